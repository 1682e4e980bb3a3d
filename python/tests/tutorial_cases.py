"""What people learn TensorFlow and Keras by, in small: programs as functions of `tf` that give losses, weights and predictions."""
import os
import tempfile

import numpy as np

from data_cases import plain


def begin(tf):
    """Before each program."""
    tf.keras.utils.set_random_seed(7)


def _images(count=64):
    """Bright squares in one of four corners."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, count)
    x = rng.uniform(0, .3, (count, 8, 8, 1)).astype(np.float32)
    for image, place in zip(x, label):
        row, column = 4 * (place // 2), 4 * (place % 2)
        image[row:row + 4, column:column + 4] += .6
    return x, label


def classification(tf):
    begin(tf)
    x, y = _images()
    model = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(16, "relu"),
                                 tf.keras.layers.Dropout(.2, seed=3), tf.keras.layers.Dense(4)])
    model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    found = model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0)
    sure = tf.keras.Sequential([model, tf.keras.layers.Softmax()])
    return plain([found.history, model.evaluate(x, y, verbose=0), sure(x[:2]), model.predict(x[:3], verbose=0)])


def convolutions(tf):
    begin(tf)
    x, y = _images()
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(),
                                 layers.BatchNormalization(), layers.Flatten(), layers.Dense(4, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16).prefetch(tf.data.AUTOTUNE)
    found = model.fit(data, epochs=2, validation_data=data.take(2), verbose=0)
    return plain([found.history, model.get_weights()[2:4]])


def regression(tf):
    begin(tf)
    rng = np.random.default_rng(1)
    x = rng.normal(5, 3, (80, 3)).astype(np.float32)
    y = (x @ [1., -2., .5] + 4).astype(np.float32)
    normalise = tf.keras.layers.Normalization(axis=-1)
    normalise.adapt(x)
    model = tf.keras.Sequential([normalise, tf.keras.layers.Dense(8, "relu", kernel_regularizer=tf.keras.regularizers.L2(.001)),
                                 tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(.05), "mae")
    stop = tf.keras.callbacks.EarlyStopping("val_loss", patience=2)
    found = model.fit(x, y, epochs=6, validation_split=.2, shuffle=False, callbacks=[stop], verbose=0)
    return plain([normalise.mean, normalise.variance, found.history, model.predict(x[:2], verbose=0)])


def texts(tf):
    begin(tf)
    said = np.array(["good film", "a very good show", "bad film", "very bad, so bad", "fine and good", "bad bad bad"])
    liked = np.array([1., 1., 0., 0., 1., 0.], np.float32)
    vectorise = tf.keras.layers.TextVectorization(max_tokens=20, output_sequence_length=5)
    vectorise.adapt(said)
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((5,), dtype="int64"), layers.Embedding(20, 4), layers.GlobalAveragePooling1D(),
                                 layers.Dense(1, "sigmoid")])
    model.compile(tf.keras.optimizers.SGD(.5), "binary_crossentropy", metrics=["accuracy"])
    found = model.fit(vectorise(said), liked, epochs=3, batch_size=3, shuffle=False, verbose=0)
    return [vectorise.get_vocabulary(), plain(vectorise(said)), plain(found.history)]


def loop_of_ones_own(tf):
    begin(tf)
    x, y = _images()
    model = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(4)])
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = tf.keras.optimizers.Adam(.01)
    accuracy, mean = tf.keras.metrics.SparseCategoricalAccuracy(), tf.keras.metrics.Mean()

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        mean(loss)
        accuracy.update_state(labels, model(images))

    found = []
    for _ in range(2):
        mean.reset_state()
        accuracy.reset_state()
        for images, labels in tf.data.Dataset.from_tensor_slices((x, y)).batch(16):
            step(images, labels)
        found.append([float(mean.result()), float(accuracy.result())])
    return found


def tapes(tf):
    x = tf.Variable([[1., 2.], [3., 4.]])
    with tf.GradientTape(persistent=True) as tape:
        with tf.GradientTape() as inner:
            y = tf.reduce_sum(x ** 3)
        slope = inner.gradient(y, x)
        z = tf.sin(x) * 2
    return plain([slope, tape.gradient(slope, x), tape.jacobian(z, x), tape.gradient(z, {"x": x})["x"]])


def functions(tf):
    traced = []

    @tf.function
    def power(x, n):
        traced.append(1)
        result = tf.ones_like(x)
        for _ in tf.range(n):
            result *= x
        if tf.reduce_sum(result) > 100:
            result = result / 10
        return result

    found = [power(tf.constant(x), tf.constant(n)) for x, n in (([2., 3.], 3), ([2., 5.], 4), ([2.], 1))]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def collatz(x):
        steps = tf.zeros_like(x)
        while tf.reduce_any(x > 1):
            steps += tf.cast(x > 1, tf.int32)
            x = tf.where(x <= 1, x, tf.where(tf.equal(x % 2, 0), x // 2, 3 * x + 1))
        return steps

    return plain([found, len(traced), collatz([6, 7, 1]), collatz([27])])


def saving(tf):
    begin(tf)
    x, y = _images(32)
    model = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(4)])
    model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, verbose=0, shuffle=False)
    want = model.predict(x[:4], verbose=0)
    found = [plain(want)]
    with tempfile.TemporaryDirectory() as folder:
        model.save(os.path.join(folder, "m.keras"))
        again = tf.keras.models.load_model(os.path.join(folder, "m.keras"))
        again.fit(x, y, verbose=0, shuffle=False)
        found.append(plain(again.predict(x[:4], verbose=0)))
        model.save_weights(os.path.join(folder, "w.weights.h5"))
        checkpoint = tf.train.Checkpoint(model=model)
        path = checkpoint.save(os.path.join(folder, "c"))
        model.layers[-1].kernel.assign(tf.zeros([64, 4]))
        checkpoint.restore(path).assert_existing_objects_matched()
        found.append(bool(np.array_equal(model.predict(x[:4], verbose=0), want)))
        model.export(os.path.join(folder, "e"), verbose=False)
        served = tf.saved_model.load(os.path.join(folder, "e")).signatures["serving_default"]
        name = list(served.structured_input_signature[1])[0]
        found.append(plain(list(served(**{name: tf.constant(x[:4])}).values())[0]))
    return found


def series(tf):
    begin(tf)
    wave = np.sin(np.arange(60, dtype=np.float32) / 3)
    data = tf.keras.utils.timeseries_dataset_from_array(wave[:-1, None], wave[5:], 5, batch_size=16, shuffle=False)
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((5, 1)), layers.LSTM(6, return_sequences=True), layers.GRU(4), layers.Dense(1)])
    model.compile("rmsprop", "mse")
    return plain([model.fit(data, epochs=2, verbose=0).history, model.predict(data.take(1), verbose=0)[:3]])


def attention(tf):
    begin(tf)
    layers = tf.keras.layers
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 9, (24, 6)), rng.integers(0, 2, 24)
    given = layers.Input((6,), dtype="int32")
    words = layers.Embedding(9, 8)(given) + layers.Embedding(6, 8)(tf.range(6))
    seen = layers.MultiHeadAttention(2, 4)(words, words)
    words = layers.LayerNormalization()(words + seen)
    words = layers.LayerNormalization()(words + layers.Dense(8)(layers.Dense(16, "gelu")(words)))
    model = tf.keras.Model(given, layers.Dense(2)(layers.GlobalAveragePooling1D()(words)))
    model.compile(tf.keras.optimizers.SGD(.1, momentum=.9), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return plain(model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0).history)


def autoencoder(tf):
    begin(tf)
    x, _ = _images(32)
    layers = tf.keras.layers

    class Denoise(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = tf.keras.Sequential([layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")])
            self.decoder = tf.keras.Sequential([layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
                                                layers.Conv2D(1, 3, padding="same", activation="sigmoid")])

        def call(self, x):
            return self.decoder(self.encoder(x))

    model = Denoise()
    model.compile("adam", "mse")
    noisy = x + np.random.default_rng(3).normal(0, .1, x.shape).astype(np.float32)
    return plain([model.fit(noisy, x, epochs=2, batch_size=8, shuffle=False, verbose=0).history, model.encoder(x[:1])[0, 0]])


def adversaries(tf):
    begin(tf)
    x, _ = _images(16)
    layers = tf.keras.layers
    maker = tf.keras.Sequential([layers.Input((3,)), layers.Dense(16), layers.LeakyReLU(), layers.Reshape((4, 4, 1)),
                                 layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="tanh")])
    judge = tf.keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3, strides=2), layers.LeakyReLU(), layers.Flatten(),
                                 layers.Dense(1)])
    entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)
    of_maker, of_judge = tf.keras.optimizers.Adam(.01), tf.keras.optimizers.Adam(.01)

    @tf.function
    def step(images, noise):
        with tf.GradientTape() as a, tf.GradientTape() as b:
            made = maker(noise, training=True)
            real, false = judge(images, training=True), judge(made, training=True)
            fooled = entropy(tf.ones_like(false), false)
            caught = entropy(tf.ones_like(real), real) + entropy(tf.zeros_like(false), false)
        of_maker.apply_gradients(zip(a.gradient(fooled, maker.trainable_variables), maker.trainable_variables))
        of_judge.apply_gradients(zip(b.gradient(caught, judge.trainable_variables), judge.trainable_variables))
        return fooled, caught

    noise = np.random.default_rng(4).normal(size=(3, 16, 3)).astype(np.float32)
    return [plain(step(x, each)) for each in noise]


def transfer(tf):
    begin(tf)
    x, y = _images(32)
    layers = tf.keras.layers
    base = tf.keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(),
                                layers.GlobalAveragePooling2D()])
    base.trainable = False
    given = layers.Input((8, 8, 1))
    model = tf.keras.Model(given, layers.Dense(4)(base(given, training=False)))
    losses = []
    for fine in (False, True):
        base.trainable = fine
        model.compile(tf.keras.optimizers.Adam(.001 if fine else .01),
                      tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses.append(model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history)
        losses.append(len(model.trainable_variables))
    return plain(losses)


def translation(tf):
    """An encoder and a decoder with masks, from ragged pairs that a map pads; loss and accuracy of one's own."""
    k, words, depth = tf.keras, 12, 8
    k.utils.set_random_seed(3)

    class Positions(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.embedding = k.layers.Embedding(words, depth, mask_zero=True)
            angles = np.arange(64)[:, None] / 10000 ** (np.arange(depth // 2)[None] / (depth / 2))
            self.positions = tf.cast(np.concatenate([np.sin(angles), np.cos(angles)], -1), tf.float32)

        def compute_mask(self, *args, **kwargs):
            return self.embedding.compute_mask(*args, **kwargs)

        def call(self, x):
            length = tf.shape(x)[1]
            return self.embedding(x) * tf.math.sqrt(tf.cast(depth, tf.float32)) + self.positions[tf.newaxis, :length, :]

    class Attention(k.layers.Layer):
        def __init__(self, causal=False):
            super().__init__()
            self.attention, self.norm = k.layers.MultiHeadAttention(2, depth // 2), k.layers.LayerNormalization()
            self.add, self.causal = k.layers.Add(), causal

        def call(self, x, context=None):
            if context is None:
                return self.norm(self.add([x, self.attention(query=x, value=x, key=x, use_causal_mask=self.causal)]))
            found, self.last_scores = self.attention(query=x, key=context, value=context, return_attention_scores=True)
            return self.norm(self.add([x, found]))

    class Transformer(k.Model):
        def __init__(self):
            super().__init__()
            self.source, self.target, self.encode, self.decode = Positions(), Positions(), Attention(), Attention(True)
            self.cross, self.dropout, self.last = Attention(), k.layers.Dropout(.1, seed=2), k.layers.Dense(words)

        def call(self, inputs):
            context, x = inputs
            context = self.encode(self.dropout(self.source(context)))
            logits = self.last(self.cross(self.decode(self.target(x)), context))
            try:
                del logits._keras_mask  # so that losses are not scaled by it
            except AttributeError:
                pass
            return logits

    class Schedule(k.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            step = tf.cast(step, tf.float32)
            return tf.math.rsqrt(float(depth)) * tf.math.minimum(tf.math.rsqrt(step), step * 40 ** -1.5)

    def loss(label, logits):
        mask = label != 0
        each = k.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")(label, logits)
        mask = tf.cast(mask, each.dtype)
        return tf.reduce_sum(each * mask) / tf.reduce_sum(mask)

    def accuracy(label, logits):
        found = tf.argmax(logits, axis=2)
        label = tf.cast(label, found.dtype)
        mask = label != 0
        match = tf.cast((label == found) & mask, tf.float32)
        return tf.reduce_sum(match) / tf.reduce_sum(tf.cast(mask, tf.float32))

    def padded(source, target):
        target = target[:, :7]
        return (source[:, :6].to_tensor(), target[:, :-1].to_tensor()), target[:, 1:].to_tensor()
    rng = np.random.RandomState(0)
    sides = [tf.ragged.constant([rng.randint(1, words, rng.randint(3, 8)).tolist() for _ in range(24)], dtype=tf.int64)
             for _ in range(2)]
    rows = tf.data.Dataset.from_tensor_slices(tuple(sides)).batch(8).map(padded, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    model = Transformer()
    model.compile(loss=loss, optimizer=k.optimizers.SGD(Schedule()), metrics=[accuracy])
    history = model.fit(rows, epochs=2, validation_data=rows, verbose=0).history
    return [{name: [float(x) for x in values] for name, values in history.items()},
            [float(x) for x in model.evaluate(rows, verbose=0)], len(model.trainable_variables)]


CASES = [classification, convolutions, regression, texts, loop_of_ones_own, tapes, functions, saving, series, attention, autoencoder,
         adversaries, transfer, translation]
