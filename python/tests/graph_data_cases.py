"""Datasets within traced functions, as functions of `tf` that give plain Python values."""
import numpy as np

from data_cases import error_of, plain


def loops(tf):
    D = tf.data.Dataset
    numbers = D.range(6)

    @tf.function
    def total(dataset):
        found = tf.constant(0, tf.int64)
        for x in dataset:
            found += x
        return found

    @tf.function
    def until(dataset, limit):
        found, steps = tf.constant(0, tf.int64), 0
        for x in dataset:
            if found > limit:
                break
            if x == 2:
                continue
            found += x
            steps += 1
        return found, steps

    @tf.function
    def pairs(dataset):
        found = tf.TensorArray(tf.float32, 0, dynamic_size=True)
        i = 0
        for x, more in dataset:
            found = found.write(i, tf.reduce_sum(x) + more["k"])
            i += 1
        return found.stack()

    @tf.function
    def inner(n):
        found = tf.constant(0, tf.int64)
        for x in tf.data.Dataset.range(n).map(lambda v: v * n):
            found += x
        return found

    dataset = D.from_tensor_slices((np.arange(6, dtype=np.float32).reshape(3, 2), {"k": [1., 2., 3.]}))
    return plain([total(numbers), total(numbers.batch(4).map(tf.reduce_sum)), total(D.range(0)), until(numbers, tf.constant(3, tf.int64)),
                  pairs(dataset), inner(tf.constant(4, tf.int64)), inner(tf.constant(2, tf.int64)), tf.function(lambda: numbers.reduce(tf.constant(1, tf.int64), lambda s, x: s + x))()])


def iterators(tf):
    D = tf.data.Dataset

    @tf.function
    def two(iterator):
        a = next(iterator)
        return a * 10 + next(iterator)

    @tf.function
    def own():
        iterator = iter(D.range(3))
        return next(iterator), next(iterator)

    @tf.function
    def rest(iterator):
        found = tf.constant(0, tf.int64)
        for x in iterator:
            found += x
            if x >= 4:
                break
        return found

    @tf.function
    def maybe(iterator):
        optional = iterator.get_next_as_optional()
        return optional.get_value() if optional.has_value() else tf.constant(-1, tf.int64)

    iterator = iter(D.range(9))
    found = [two(iterator), two(iterator), own(), own(), rest(iterator), next(iterator), rest(iterator), maybe(iterator),
             maybe(iter(D.range(1)))]
    return [plain(found), error_of(lambda: two(iter(D.range(1))))]


def builtins(tf):
    """enumerate, zip, map and filter of datasets; loops within loops; ragged elements; a step that reads its own dataset."""
    D = tf.data.Dataset

    @tf.function
    def together(d):
        found = tf.constant(0, tf.int64)
        for i, x in enumerate(d):
            found += i * x
        for i, x in d.enumerate(3):
            found += i * x
        for a, b in zip(d, d):
            found += a * b
        for a in map(lambda v: v * 2, d):
            found += a
        for a in filter(lambda v: v > 2, d):
            found += a
        return found

    @tf.function
    def nested(d):
        found = tf.constant(0, tf.int64)
        for x in d:
            for y in tf.data.Dataset.range(x):
                if y == 3:
                    break
                found += y
        return found

    @tf.function
    def rows(d):
        found = tf.constant(0)
        for x in d:
            found += tf.reduce_sum(x * 2)
        return found, d.reduce(0, lambda s, x: s + tf.reduce_sum(x))

    ragged = D.from_tensor_slices(tf.ragged.constant([[1], [2, 3]]))
    return plain([together(D.range(6)), nested(D.range(6)), rows(ragged)])


def by_python(tf):
    """A loop that AutoGraph does not see has no end while a function is traced."""
    dataset = tf.data.Dataset.range(6)

    @tf.function(autograph=False)
    def total():
        found = tf.constant(0, tf.int64)
        for x in dataset:
            found += x
        return found

    try:
        total()
    except ValueError as error:
        return str(error)[:76]


def iterator_arguments(tf):
    """A function that takes an iterator is traced once for each kind of elements."""
    @tf.function
    def two(iterator):
        return next(iterator) * 10 + next(iterator)

    @tf.function
    def outer(iterator):
        return two(iterator) + next(iterator)

    found = [plain(two(iter(tf.data.Dataset.range(start, start + 5)))) for start in range(3)]
    return found + [two.experimental_get_tracing_count(), plain(outer(iter(tf.data.Dataset.range(4))))]


def distributed(tf):
    """A custom training loop as a whole in a traced function, for two replicas."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    x = np.arange(22, dtype=np.float32).reshape(11, 2)
    data = tf.data.Dataset.from_tensor_slices((x, x[:, 0])).batch(4)
    with strategy.scope():
        w = tf.Variable([[0.5], [0.25]])

    def step(inputs):
        x, y = inputs
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((tf.matmul(x, w)[:, 0] - y) ** 2) / 4
        w.assign_sub(0.001 * tf.distribute.get_replica_context().all_reduce("SUM", tape.gradient(loss, w)))
        return loss

    @tf.function
    def epoch(dataset):
        total, steps = tf.constant(0.), 0
        for batch in dataset:
            total += strategy.reduce("SUM", strategy.run(step, args=(batch,)), axis=None)
            steps += 1
        return total, steps

    @tf.function
    def two_steps(iterator):
        total = tf.constant(0.)
        for _ in tf.range(2):
            total += strategy.reduce("SUM", strategy.run(step, args=(next(iterator),)), axis=None)
        return total

    shared = strategy.experimental_distribute_dataset(data)
    own = strategy.distribute_datasets_from_function(lambda context: data)
    return plain([epoch(shared), epoch(shared), two_steps(iter(shared)), two_steps(iter(shared)), epoch(own), w.read_value()])


CASES = [loops, iterators, builtins, by_python, iterator_arguments, distributed]


def begin(tf):
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                               [tf.config.LogicalDeviceConfiguration()] * 2)


ALONE = True
