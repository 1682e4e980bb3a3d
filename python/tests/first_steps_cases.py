"""What people try first: parts of variables, graphs of functions, loops of their own."""
import numpy as np


def _tried(calls):
    """What each gives, or the class of its error."""
    answers = []
    for call in calls:
        try:
            answer = call()
            answers.append(answer.numpy().tolist() if hasattr(answer, "numpy") else answer)
        except Exception as error:
            answers.append(type(error).__name__)
    return answers


def parts_of_variables(tf):
    """variable[...].assign by the rules of slices, eagerly and in traced functions."""
    every, rows = slice(None), slice(1, 3)
    cases = [
        (rows, [[1.] * 4] * 2), ((every, 1), [7., 8., 9.]), ((0, 0), 5.), (slice(None, None, -1), [[1.] * 4, [2.] * 4, [3.] * 4]),
        ((slice(0, 2), slice(1, None, 2)), np.full((2, 2), 9, np.float32)), ((Ellipsis, -1), tf.constant([1., 1., 1.])),
        (rows, [1.]), (rows, 1.), (rows, [[1] * 4] * 2), ((None, 0), [[1.] * 4]), (tf.constant(1), [1.] * 4),
        ((slice(1, 2), tf.constant(0)), [4.]), (slice(2, 2), np.zeros((0, 4), np.float32)), (rows, np.zeros((2, 4)))]

    def written(key, value, trace):
        v = tf.Variable(np.arange(12, dtype=np.float32).reshape(3, 4))

        def write():
            v[key].assign(value)
        (tf.function(write) if trace else write)()
        return v
    answers = _tried([lambda case=case, trace=trace: written(*case, trace) for case in cases for trace in (False, True)])
    v, wide = tf.Variable([1, 2, 3]), tf.Variable([[1., 2.], [3., 4.]], shape=[None, 2])

    @tf.function
    def diagonal():
        for i in tf.range(2):
            wide[i, i].assign(100. + tf.cast(i, tf.float32))
        return wide.read_value(), wide[0]

    def gradient():
        with tf.GradientTape() as tape:
            wide[0, 0].assign(5.)
            y = wide[0, 0] * wide[0, 0] + tf.reduce_sum(wide[1:] ** 2)
        return tape.gradient(y, wide)
    return answers + _tried([
        lambda: v[0].assign(9)[0], lambda: v[0].assign(9.5), lambda: v[5].assign(1), lambda: v["x"].assign(1), lambda: v,
        lambda: v[tf.constant([True, False, True])].assign([1, 1]), lambda: v[0].assign(tf.constant(1.)),
        lambda: tf.constant([1.])[0].assign(1.), lambda: wide[0][1].assign(1.), lambda: tf.Variable(1.)[...].assign(3.),
        lambda: diagonal()[0], lambda: diagonal()[1], gradient])


def concrete_functions(tf):
    """What a concrete function says of itself."""
    v, big = tf.Variable([[1.], [2.]]), tf.constant([1.] * 200)

    @tf.function
    def f(x, pair, scale=2.0, *, flag=True):
        v.assign_add(tf.ones([2, 1]))
        return {"y": tf.matmul(x, v) * scale + pair["a"], "rest": (tf.reduce_sum(big), [None, tf.cast(x, tf.int32)])}

    @tf.function
    def nothing():
        v.assign_add(tf.ones([2, 1]))
    one = f.get_concrete_function(tf.TensorSpec([None, 2], name="rows"), {"a": tf.constant(1.)}, flag=False)
    none = nothing.get_concrete_function()

    def shown(tensor):
        return [None if tensor.shape.rank is None else tensor.shape.as_list(), tensor.dtype.name]

    def of(concrete):
        graph = concrete.graph
        kinds = [op.type for op in graph.get_operations()]
        return [isinstance(concrete.name, bytes), concrete.name.startswith(b"__inference_"), graph.name,
                str(concrete.structured_input_signature), str(concrete.output_shapes), str(concrete.output_dtypes),
                [shown(tensor) for tensor in concrete.outputs], sorted((shown(tensor) for tensor in concrete.inputs), key=str),
                [tensor.shape.as_list() for tensor in tf.nest.flatten(concrete.structured_outputs) if tensor is not None],
                [len(concrete.variables), len(concrete.trainable_variables), len(graph.variables)],
                [kinds.count(kind) for kind in ("MatMul", "Mul", "AssignAddVariableOp")]]
    graph = one.graph
    matmul = [op for op in graph.get_operations() if op.type == "MatMul"][0]
    return [of(one), of(none), one.inputs[0].name, shown(graph.get_tensor_by_name(matmul.name + ":0")), matmul.inputs[0].name,
            matmul.inputs[1].op.type, len(matmul.inputs)] + _tried([
                lambda: graph.get_operation_by_name("zzz"), lambda: graph.get_tensor_by_name("zzz:0"),
                lambda: one.name == f.get_concrete_function(tf.TensorSpec([3, 2]), {"a": tf.constant(1.)}).name])


def shapes_in_functions(tf):
    """What is known of shapes while a function is traced, of tensors of known rank and of unknown."""
    found = []

    @tf.function
    def look(x, y):
        same = x == y
        results = [same, x != y, same & (x > 0.), tf.reduce_sum(tf.cast(same, tf.float32)), tf.shape(x), tf.size(x)]
        results += [reduce(x) for reduce in (tf.reduce_sum, tf.reduce_mean, tf.reduce_max, tf.reduce_min, tf.reduce_prod,
                                             tf.reduce_logsumexp, tf.math.reduce_std, tf.nn.l2_loss)]
        results += [tf.reduce_all(same), tf.reduce_any(same), tf.reduce_sum(x, axis=0), tf.reduce_sum(x, keepdims=True)]
        found.append([None if each.shape.rank is None else each.shape.as_list() for each in results])
        return results[0]
    for shapes in (([None, None], [None, None]), ([None, 3], [2, 1]), ([None], [2, None]), (None, [2]), (None, None), ([2, 3], [2, 3])):
        look.get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes))
    x = tf.constant([[1., 2.]])
    return found + _tried([lambda: look(x, x), lambda: look(x, tf.constant([1., 5.])), lambda: x == tf.constant([1., 2., 3.])])


def rows_of_variables(tf):
    """Writing and reading rows and single elements."""
    v = tf.Variable([1., 2., 3.])

    def rows(*values):
        return tf.IndexedSlices(tf.constant(values), tf.constant([0, 2][:len(values)]))
    return _tried([
        lambda: v.scatter_update(rows(5.)), lambda: v.scatter_max(rows(4., 9.)), lambda: v.scatter_min(rows(1., 8.)),
        lambda: v.scatter_mul(rows(2., 3.)), lambda: v.scatter_div(rows(4.)), lambda: v.scatter_nd_update([[1]], [7.]),
        lambda: v.scatter_nd_add([[0], [0]], [1., 1.]), lambda: v.scatter_nd_sub([[2]], [1.]), lambda: v.scatter_nd_max([[2]], [50.]),
        lambda: v.scatter_nd_min([[2]], [30.]), lambda: v.sparse_read([0, 2]), lambda: v.gather_nd([[1]]),
        lambda: v.scatter_nd_update([[9]], [1.])])


def tapes_and_traces(tf):
    """What a tape watches, how often functions are traced, and what they may not do."""
    v, x, traces = tf.Variable([1., 2.]), tf.constant(3.), []

    def watched():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(v)
            y = tf.reduce_sum(v * v)
        return [len(tape.watched_variables()), tape.gradient(y, v).numpy().tolist()]

    @tf.function
    def f(a, b=1, *, c=2):
        traces.append(0)
        return a * b + c

    def counted():
        for call in (lambda: f(x), lambda: f(x, 1), lambda: f(a=x), lambda: f(x, b=1), lambda: f(x, c=2), lambda: f(x, 1, c=2),
                     lambda: f(x, 3), lambda: f(tf.constant([1.])), lambda: f(tf.constant([1.]), b=1)):
            call()
        return [len(traces), f.experimental_get_tracing_count()]

    @tf.function
    def appends(items):
        items.append(1)
        return items

    @tf.function
    def adds(items):
        items["new"] = 1
        return x
    return _tried([watched, counted, lambda: tf.GradientTape().gradient(x, x), lambda: appends([x]), lambda: adds({"a": x}),
                   lambda: tf.function(5), lambda: tf.function(lambda: tf.float32)(), lambda: tf.function(lambda: [x, None])()[0]])


def random_numbers(tf):
    """Each function begins its random numbers anew, eager ops go on with theirs; fit() shuffles as TensorFlow does."""
    def numbers(seed=3):
        return tf.concat([tf.random.uniform([2], seed=seed), tf.cast(tf.random.shuffle(tf.range(5), seed=seed), tf.float32)], 0)
    tf.random.set_seed(5)
    first, second = tf.function(numbers), tf.function(numbers)
    found = [first(), first(), second(), numbers(), numbers(), first(), tf.function(numbers)()]
    seen = []

    class Seen(tf.keras.Model):
        def call(self, x):
            return x

        def train_step(self, data):
            seen.append(np.ravel(data[0]).astype(int).tolist())
            return {"loss": 0.}
    for seed in (1, 2):
        tf.keras.utils.set_random_seed(seed)
        before = np.random.get_state()[2]
        model = Seen()
        model.compile("sgd", run_eagerly=True)
        model.fit(np.arange(10.)[:, None], np.arange(10.), batch_size=4, epochs=2, verbose=0)
        seen.append(np.random.get_state()[2] - before)
    tf.random.set_seed(None)
    return [np.asarray(each).tolist() for each in found] + [seen]


CASES = [parts_of_variables, concrete_functions, shapes_in_functions, rows_of_variables, tapes_and_traces, random_numbers]
