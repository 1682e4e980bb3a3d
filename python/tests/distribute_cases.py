"""Programs over tf.distribute with two logical CPUs, for TensorFlow's answers (make_truth.py) and Tenon's."""
import numpy as np

SUM, MEAN = "SUM", "MEAN"


def _rows(value):
    return value.numpy().tolist()


def _results(strategy, value):
    return [_rows(each) for each in strategy.experimental_local_results(value)]


def _where(tf):
    context = tf.distribute.get_replica_context()
    replica = None if context is None else int(context.replica_id_in_sync_group)
    return [tf.distribute.has_strategy(), tf.distribute.in_cross_replica_context(), replica,
            tf.distribute.get_strategy().num_replicas_in_sync]


def contexts(tf):
    strategy, seen = tf.distribute.MirroredStrategy(), [_where(tf)]
    with strategy.scope():
        seen.append(_where(tf))
        strategy.run(lambda: seen.append(_where(tf)))
        strategy.run(lambda: tf.distribute.get_replica_context().merge_call(
            lambda s, x: seen.append([s is strategy, *_where(tf)]), args=(1,)))
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    one.run(lambda: seen.append(_where(tf)))
    seen.append(_where(tf))
    return seen


def variables(tf):
    """What replicas and others write and read, for each kind of variable."""
    A, S = tf.VariableAggregation, tf.VariableSynchronization
    strategy = tf.distribute.MirroredStrategy()
    out = {}
    for aggregation in (A.NONE, A.SUM, A.MEAN, A.ONLY_FIRST_REPLICA):
        for synchronization in (S.AUTO, S.ON_WRITE, S.ON_READ):
            with strategy.scope():
                v = tf.Variable([1.0, 2.0], aggregation=aggregation, synchronization=synchronization, trainable=False)

            def step(v=v):
                me = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
                v.assign_add(tf.stack([me + 1, 1.0]))
                v.assign_sub(v * 0.5)
                return v.read_value()

            for call in (step, tf.function(step)):
                seen = _results(strategy, strategy.run(call))
                seen.append(_results(strategy, v))
                if aggregation != A.NONE or synchronization != S.ON_READ:
                    seen.append(_rows(v.read_value()))
                out.setdefault(f"{aggregation.name} {synchronization.name}", []).append(seen)
            if aggregation != A.NONE:
                v.assign(tf.constant([7.0, 8.0]))
                out[f"{aggregation.name} {synchronization.name}"].append([_results(strategy, v), _rows(v + 0.0)])
    return out


def reductions(tf):
    strategy = tf.distribute.MirroredStrategy()
    value = strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant([[1.0, 2.0], [3.0, 5.0]]) * (c.replica_id_in_sync_group + 1))
    out = [_rows(strategy.reduce(op, value, axis=axis)) for op in (SUM, MEAN) for axis in (None, 0, 1)]
    out += [_rows(strategy.gather(value, axis)) for axis in (0, 1)]
    rows = strategy.experimental_distribute_values_from_function(lambda c: tf.ones([c.replica_id_in_sync_group + 1]))
    out += [_rows(strategy.reduce(tf.distribute.ReduceOp.MEAN, rows, axis=0)), _rows(strategy.gather(rows, 0))]

    def replica(x):
        context = tf.distribute.get_replica_context()
        return (context.all_reduce("SUM", x), context.all_reduce(tf.distribute.ReduceOp.MEAN, {"a": [x, x + 1]}),
                context.all_gather(x, 0))

    for call in (replica, tf.function(replica)):
        a, b, c = strategy.run(call, args=(value,))
        out.append([_results(strategy, each) for each in (a, b["a"][1], c)])
    return out


def gradients_of_all_reduce(tf):
    strategy = tf.distribute.MirroredStrategy()

    def replica(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.distribute.get_replica_context().all_reduce("SUM", x * x) * x
        return tape.gradient(y, x)

    value = strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant([1.0, 2.0]) * (c.replica_id_in_sync_group + 1))
    return [_results(strategy, strategy.run(call, args=(value,))) for call in (replica, tf.function(replica))]


def shares(tf):
    strategy, D = tf.distribute.MirroredStrategy(), tf.data.Dataset
    out = [[_results(strategy, e) for e in strategy.experimental_distribute_dataset(D.range(rows).batch(4))]
           for rows in (8, 9, 10, 11, 1)]

    def make(context):
        out.append([context.num_replicas_in_sync, context.num_input_pipelines, context.get_per_replica_batch_size(8),
                    str(context)])
        return D.range(7).batch(3)

    out.append([_results(strategy, e) for e in strategy.distribute_datasets_from_function(make)])
    pairs = strategy.experimental_distribute_dataset(D.from_tensor_slices({"x": np.arange(6.0), "y": np.arange(6)}).batch(4))
    out.append([{k: _results(strategy, v) for k, v in e.items()} for e in pairs])
    iterator = iter(pairs)
    out.append([_results(strategy, iterator.get_next()["y"]), [list(s.shape) for s in _specs(pairs.element_spec["x"])]])
    return out


def _specs(spec):
    return getattr(spec, "_value_specs", None) or spec


DATA = np.random.default_rng(3)
X = DATA.normal(size=(44, 8, 8, 1)).astype(np.float32)
Y = (X.reshape(44, -1)[:, :3].argmax(1)).astype(np.int64)


def _model(tf, *more):
    L = tf.keras.layers
    return tf.keras.Sequential([L.Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), *more, L.MaxPooling2D(), L.Flatten(),
                                L.Dense(8, activation="relu"), L.Dense(3)])


def _fitted(tf, make, optimizer="adam", epochs=3, batch=16, **options):
    tf.keras.utils.set_random_seed(1)
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        model = make()
        model.compile(optimizer=optimizer() if callable(optimizer) else optimizer,
                      loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"], **options)
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(batch)
    history = model.fit(dataset, epochs=epochs, verbose=0).history
    return model, [history["loss"], history["accuracy"]]


def fit(tf):
    model, out = _fitted(tf, lambda: _model(tf))
    out.append(model.evaluate(X, Y, batch_size=10, verbose=0))
    out.append(np.sum(model.predict(X, batch_size=9, verbose=0), 0).tolist())
    out.append([float(np.abs(w).sum()) for w in model.get_weights()])
    out.append(_rows(model.optimizer.iterations.value))
    return out


def fit_with_dropout(tf):
    return _fitted(tf, lambda: _model(tf, tf.keras.layers.Dropout(0.3)),
                   lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9))[1]


def fit_with_batch_norm(tf, synchronized=False):
    model, seen = _fitted(tf, lambda: _model(tf, tf.keras.layers.BatchNormalization(synchronized=synchronized)), "rmsprop", 2,
                          22)
    return [*seen, [float(np.abs(w).sum()) for w in model.get_weights()], model.evaluate(X, Y, verbose=0)]


def fit_with_synchronized_batch_norm(tf):
    return fit_with_batch_norm(tf, True)


def fit_with_own_step(tf):
    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.flat, self.dense = tf.keras.layers.Flatten(), tf.keras.layers.Dense(3)

        def call(self, x):
            return self.dense(self.flat(x))

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
            grads = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    return _fitted(tf, Own, "sgd", 2, 22)[1]


def fit_with_options(tf):
    """Clipped gradients, decay, weights of samples and of classes."""
    model, out = _fitted(tf, lambda: _model(tf), lambda: tf.keras.optimizers.Adam(0.01, clipnorm=0.1, weight_decay=0.01), 2)
    options = {"batch_size": 22, "shuffle": False, "verbose": 0}
    out.append(model.fit(X, Y, sample_weight=np.arange(44) / 44, epochs=2, **options).history["loss"])
    out.append(model.fit(X, Y, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, **options).history["loss"])
    return out


def custom_loop(tf):
    """TensorFlow's way of a loop of one's own: the loss scaled by the size of the whole batch."""
    tf.keras.utils.set_random_seed(2)
    strategy, batch = tf.distribute.MirroredStrategy(), 12
    dataset = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((X, Y)).batch(batch))
    with strategy.scope():
        model = _model(tf)
        optimizer = tf.keras.optimizers.Adam(0.01)
        optimizer.build(model.trainable_variables)
        loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
        test_loss = tf.keras.metrics.Mean(name="test_loss")
        accuracy = tf.keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        checkpoint = tf.train.Checkpoint(optimizer=optimizer, model=model)

    def compute_loss(labels, predictions):
        return tf.nn.compute_average_loss(loss_object(labels, predictions), global_batch_size=batch)

    def train_step(inputs):
        images, labels = inputs
        with tf.GradientTape() as tape:
            predictions = model(images, training=True)
            loss = compute_loss(labels, predictions)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        accuracy.update_state(labels, predictions)
        return loss

    def test_step(inputs):
        images, labels = inputs
        test_loss.update_state(loss_object(labels, model(images, training=False)))

    @tf.function
    def distributed_train_step(inputs):
        losses = strategy.run(train_step, args=(inputs,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    @tf.function
    def distributed_test_step(inputs):
        return strategy.run(test_step, args=(inputs,))

    out = []
    for step in (distributed_train_step, lambda x: strategy.reduce("SUM", strategy.run(train_step, args=(x,)), axis=None),
                 lambda x: strategy.reduce("SUM", strategy.run(traced_step, args=(x,)), axis=None)):
        traced_step = tf.function(train_step)
        losses = [float(step(x)) for x in dataset]
        for x in dataset:
            distributed_test_step(x)
        out.append([losses, float(accuracy.result()), float(test_loss.result())])
        test_loss.reset_state()
        accuracy.reset_state()
    import tempfile
    path = checkpoint.save(tempfile.mkdtemp() + "/ck")
    before = model.get_weights()
    distributed_train_step(next(iter(dataset)))
    checkpoint.restore(path)
    out.append([bool(np.array_equal(a, b)) for a, b in zip(before, model.get_weights())])
    out.append(float(distributed_train_step(next(iter(dataset)))))
    return out


def without_keras(tf):
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        w, b = tf.Variable([[1.0], [2.0]], name="w"), tf.Variable(0.5, name="b")
        steps = tf.Variable(0, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA, trainable=False)
    dataset = strategy.experimental_distribute_dataset(
        tf.data.Dataset.from_tensor_slices((X[:, 0, :2, 0], X[:, 1, :1, 0])).batch(8))

    @tf.function
    def step(x, y):
        def replica(x, y):
            with tf.GradientTape() as tape:
                errors = tf.reduce_sum((x @ w + b - y) ** 2, 1)
                if tf.reduce_sum(x) > 0.0:
                    errors = errors * 2.0
                loss = tf.nn.compute_average_loss(errors, global_batch_size=8)
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, tape.gradient(loss, [w, b]))
            watched = sorted(v.name for v in tape.watched_variables())

            def update(strategy, *gradients):
                for v, g in zip((w, b), gradients):
                    strategy.extended.update(v, lambda v, g: v.assign_sub(0.1 * g), args=(g,))

            context.merge_call(update, args=tuple(gradients))
            steps.assign_add(tf.ones([], tf.int64))
            return loss, watched

        loss, watched = strategy.run(replica, args=(x, y))
        return strategy.reduce("SUM", loss, axis=None), watched

    out = []
    for x, y in dataset:
        loss, _ = step(x, y)
        out.append(float(loss))
    return [out, _rows(w), _rows(b), _rows(steps), _results(strategy, w)]


def one_worker(tf):
    out = []
    for strategy in (tf.distribute.MultiWorkerMirroredStrategy(), tf.distribute.OneDeviceStrategy("/cpu:0"),
                     tf.distribute.MirroredStrategy(["/cpu:1"]),
                     tf.distribute.MirroredStrategy(cross_device_ops=tf.distribute.HierarchicalCopyAllReduce())):
        with strategy.scope():
            v = tf.Variable(1.0, aggregation=tf.VariableAggregation.SUM)
        strategy.run(lambda v=v: v.assign_add(1.5 + tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group,
                                                            tf.float32)))
        out.append([strategy.num_replicas_in_sync, list(strategy.extended.worker_devices), _rows(v)])
    return out


def devices(tf):
    cpu = tf.config.list_physical_devices("CPU")[0]
    return [repr(tf.config.list_physical_devices()), repr(tf.config.list_physical_devices("GPU")),
            repr(tf.config.list_logical_devices()), repr(tf.config.get_visible_devices()),
            repr(tf.config.get_logical_device_configuration(cpu)), tf.config.get_soft_device_placement(),
            [d.name.split(":")[-1] for d in tf.config.experimental.list_logical_devices("CPU")],
            tf.config.threading.get_intra_op_parallelism_threads()]


def texts(tf):
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        variables = [tf.Variable(1.0, name="a"), tf.Variable([1, 2], synchronization=tf.VariableSynchronization.ON_READ,
                                                             aggregation=tf.VariableAggregation.SUM)]
    value = strategy.run(lambda: tf.distribute.get_replica_context().replica_id_in_sync_group + 1)
    return [repr(v) for v in variables] + [repr(value), str(value)] + [v.name for v in variables]


CASES = [contexts, variables, reductions, gradients_of_all_reduce, shares, fit, fit_with_dropout, fit_with_batch_norm,
         fit_with_synchronized_batch_norm, fit_with_own_step, fit_with_options, custom_loop, without_keras, one_worker, devices,
         texts]
# TensorFlow's collectives take one program in a process.
ALONE = True


def begin(tf):
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                               [tf.config.LogicalDeviceConfiguration()] * 2)
