"""`.keras` files in both directions: Keras' in Tenon, Tenon's in Keras, weights and optimizer state."""
import os
import tempfile

from common import DIGITS, Checks, digits, predict, run_saved_model, tenon, train

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from keras import layers


def every_layer():
    """A functional model of the layers that Tenon has, each with options off their defaults."""
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 16, offset=-0.5)(image)
    x = layers.ZeroPadding2D(((1, 0), (2, 1)))(x)
    x = layers.Conv2D(6, 3, padding="same", strides=2, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(epsilon=2e-3, momentum=0.9, name="norm")(x)
    x = layers.Activation("relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1, activation="tanh", name="depthwise")(x)
    x = layers.Add()([x, y])
    x = layers.Concatenate()([layers.MaxPooling2D(2, padding="same")(x), layers.AveragePooling2D(2, padding="same")(x)])
    a, b = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    x = layers.Concatenate()([a, b, layers.Flatten()(layers.Reshape((-1, 4))(x))])
    x = layers.LayerNormalization(name="layer_norm")(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(16, activation="gelu", name="hidden")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="digit")(x))


def layers_within_layers():
    """Masks, states, attention, models within models, layers in two places; inputs and outputs by name."""
    tokens, numbers = keras.Input((6,), dtype="int32", name="tokens"), keras.Input((6, 4), name="numbers")
    words = layers.Embedding(9, 4, mask_zero=True)(tokens)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(words)
    y, state = layers.GRU(5, return_sequences=True, return_state=True)(layers.Masking(0.0)(numbers))
    y = layers.RNN([layers.LSTMCell(4), layers.GRUCell(6)], return_sequences=True)(y)
    attended = layers.MultiHeadAttention(2, 3, value_dim=4)(x, y)
    inner = keras.Sequential([keras.Input((6, 6)), layers.TimeDistributed(layers.Dense(6, activation="tanh")), layers.BatchNormalization()], name="inner")
    x = layers.Add()([inner(x), inner(attended), y])
    both = layers.Dense(5, name="both")
    tail = keras.Input((5,))
    two = keras.Model(tail, [layers.Dense(5)(tail), layers.Dense(2)(tail)], name="two")
    last, pair = two(both(both(layers.SimpleRNN(5)(x))))
    return keras.Model({"tokens": tokens, "numbers": numbers}, {"last": layers.Concatenate()([last, state]) * 2.0, "pair": pair})


def give_state(model, rng):
    """Random values in every variable, moving averages too, so that none is left at its initial value."""
    for variable in model.variables:
        if variable.dtype in ("float32", tf.float32):
            value = rng.normal(0, 0.3, variable.shape)
            variable.assign(np.abs(value) + 0.5 if "variance" in variable.name else value)


def keras_file_in_tenon(check, folder):
    rng = np.random.default_rng(3)
    model = every_layer()
    give_state(model, rng)
    path = os.path.join(folder, "every.keras")
    model.save(path)
    x = rng.uniform(0, 16, (7, 8, 8, 1)).astype(np.float32)
    check.close(predict(path, x), model.predict(x, verbose=0), "Keras' file gives Keras' outputs in Tenon", 1e-5)


def layers_within_layers_both_ways(check, folder):
    rng = np.random.default_rng(8)
    model = layers_within_layers()
    give_state(model, rng)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    path, again, data, found = (os.path.join(folder, name) for name in ("within.keras", "again.keras", "within.npz", "found.npz"))
    model.save(path)
    x = {"tokens": rng.integers(0, 9, (8, 6)).astype(np.int32), "numbers": rng.normal(size=(8, 6, 4)).astype(np.float32)}
    x["tokens"][2:5, 3:] = 0
    x["numbers"][1, 4:] = 0
    y = {"last": rng.normal(size=(8, 10)).astype(np.float32), "pair": rng.normal(size=(8, 2)).astype(np.float32)}
    np.savez(data, **x, **y)
    tenon("predict", "--model", path, "--data", data, "--output", found)
    wanted = model.predict(x, verbose=0)
    for i, name in enumerate(sorted(wanted)):
        check.close(np.load(found)[f"output_{i}"], wanted[name], f"layers within layers: {name} in Tenon", 1e-5)
    exported = os.path.join(folder, "within", "1")
    train(path, data, epochs=2, batch_size=4, shuffle="false", save=again, export_dir=exported)
    model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    read = keras.saving.load_model(again)
    for got, variable in zip(read.weights, model.weights):
        check.close(got.numpy(), variable.numpy(), f"layers within layers: {variable.path} after training", 2e-4)
    served = tf.saved_model.load(exported).signatures["serving_default"](**{name: tf.constant(value) for name, value in x.items()})
    for name, value in read.predict(x, verbose=0).items():
        check.close(served[name].numpy(), value, f"layers within layers: {name} in TensorFlow", 1e-5)


def tenon_file_in_keras(check, folder):
    path = os.path.join(folder, "tenon.keras")
    train(os.path.join(DIGITS, "cnn.json"), os.path.join(DIGITS, "train.csv"), optimizer="adam", batch_size=32,
          loss="sparse_categorical_crossentropy", metrics="accuracy", epochs=1, seed=1, save=path)
    model = keras.saving.load_model(path)
    x, labels = digits("test")
    check.close(model.predict(x, verbose=0), predict(path, x), "Tenon's file gives Tenon's outputs in Keras", 1e-5)
    steps = -(-1438 // 32)
    check.that(int(model.optimizer.iterations) == steps, "the optimizer's step count", int(model.optimizer.iterations))
    moments = [v for v in model.optimizer.variables if "velocity" in v.path or "momentum" in v.path]
    check.that(len(moments) == 2 * len(model.trainable_variables) and all(np.any(v.numpy()) for v in moments),
               "the optimizer's moments", [v.path for v in moments])
    loss, _ = model.evaluate(x, labels, verbose=0)
    model.fit(*digits("train"), batch_size=32, epochs=1, verbose=0)
    check.that(model.evaluate(x, labels, verbose=0)[0] < loss, "Keras goes on training Tenon's file")
    again = os.path.join(folder, "again.keras")
    model.save(again)
    check.close(predict(again, x), model.predict(x, verbose=0), "and Tenon reads what Keras then wrote", 1e-5)


def classes_in_keras(check, folder):
    """What Tenon stores beside a model is no trouble to Keras."""
    data, path = os.path.join(folder, "pets.csv"), os.path.join(folder, "pets.keras")
    with open(data, "w", encoding="utf-8") as f:
        f.write("a,label\n0,cat\n10,dog\n20,zebra\n")
    train("mlp", data, loss="sparse_categorical_crossentropy", save=path)
    x = np.array([[0], [10], [20]], np.float32)
    check.close(keras.saving.load_model(path).predict(x, verbose=0), predict(path, x), "a model with names of classes in Keras", 1e-5)


TEXTS = np.array(["The quick, brown fox", "the lazy dog's  dog", "", "a fox!", "zebra  and the FOX the fox", "na\u00efve \u00dcn\u00ef dog"])
WORDS = np.array([["fox", "dog", "cat"], ["the", "bird", "fox"], ["zzz", "yyy", "dog"], ["dog", "dog", "dog"], ["a", "the", "cat"], ["fox", "x", "fox"]])
NUMBERS = np.array([[3, 5, 7], [99, 0, 3], [-4, 12, 5], [5, 5, 5], [1, 2, 3], [7, 7, 0]], np.int64)


def preprocessing():
    """A model of all preprocessing layers, each output one of them; and its inputs."""
    kinds = {"text": ((), "string"), "words": ((3,), "string"), "numbers": ((3,), "int64"), "reals": ((3,), "float32"), "word": ((1,), "string"),
             "number": ((1,), "int64")}
    inputs = {name: keras.Input(shape, dtype=dtype, name=name) for name, (shape, dtype) in kinds.items()}
    text, words, numbers, reals, word, number = inputs.values()
    some = ["fox", "dog", "the"]

    def adapted(layer, data):
        layer.adapt(data)
        return layer

    def on_text(**options):
        return adapted(layers.TextVectorization(**options), TEXTS)(text)

    crossed = layers.HashedCrossing(11)((word, number)), layers.HashedCrossing(5, output_mode="one_hot")((word, word))
    outputs = [
        on_text(), on_text(output_sequence_length=4, max_tokens=6), on_text(output_mode="multi_hot"), on_text(output_mode="count", ngrams=2),
        on_text(output_mode="tf_idf", max_tokens=30, pad_to_max_tokens=True), on_text(split="character", ngrams=(1, 3), standardize="lower"),
        on_text(standardize="strip_punctuation"), on_text(split="character", standardize=None, output_mode="count"),
        layers.TextVectorization(vocabulary=some, output_mode="tf_idf", idf_weights=[1.0, 2.0, 3.0])(text),
        layers.TextVectorization(vocabulary=[*some, "fox dog"], split=None, ngrams=2, output_sequence_length=4)(words),
        layers.StringLookup(vocabulary=some, mask_token="")(words), layers.StringLookup(vocabulary=some, num_oov_indices=4, salt=9)(words),
        layers.StringLookup(vocabulary=some, num_oov_indices=3, output_mode="multi_hot")(words),
        adapted(layers.StringLookup(output_mode="tf_idf"), WORDS)(words), adapted(layers.StringLookup(max_tokens=4), WORDS)(words),
        layers.StringLookup(vocabulary=some, invert=True, mask_token="pad")(numbers), adapted(layers.IntegerLookup(), NUMBERS)(numbers),
        layers.IntegerLookup(vocabulary=[3, 5], num_oov_indices=3, oov_method="farmhash")(numbers),
        layers.IntegerLookup(vocabulary=[3, 5, -4], output_mode="count", num_oov_indices=2)(numbers),
        layers.IntegerLookup(vocabulary=[10, 20, 30, 40], invert=True)(numbers), layers.Hashing(7, mask_value="fox")(words),
        layers.Hashing(9, salt=[3, 4], output_mode="multi_hot")(words), layers.Hashing(7, mask_value=5)(numbers), *crossed,
        adapted(layers.Discretization(num_bins=4, output_mode="one_hot"), np.arange(30.0))(reals), layers.Discretization([0.0, 1.5, 4.0])(reals),
        layers.SpectralNormalization(layers.Dense(4), power_iterations=2)(reals),
    ]
    named = {f"{index:02}_{output._keras_history.operation.name}": output for index, output in enumerate(outputs)}
    values = TEXTS, WORDS, NUMBERS, (NUMBERS / 3).astype(np.float32), WORDS[:, :1], NUMBERS[:, :1]
    return keras.Model(inputs, named), dict(zip(kinds, values))


def as_bytes(value):
    return np.char.encode(value, "utf-8") if value.dtype.kind == "U" else np.asarray(value)


def compare_export(check, what, path, to, inputs, wanted, tolerance=1e-6):
    """A file's SavedModel by `tenon convert`: Tenon's and TensorFlow's answers are Keras'."""
    tenon("convert", path, "--export_dir", to)
    in_tenon = run_saved_model(to, **{name: as_bytes(value) for name, value in inputs.items()})
    served = tf.saved_model.load(to).signatures["serving_default"](**{name: tf.constant(value) for name, value in inputs.items()})
    for name, want in wanted.items():
        for who, got in (("Tenon", in_tenon[name]), ("TensorFlow", served[name].numpy())):
            if want.dtype == object:
                check.that(np.array_equal(got.astype("S"), want.astype("S")), f"{what}: {name} in {who}", got)
            else:
                check.close(got, want, f"{what}: {name} in {who}", tolerance)


def preprocessing_layers(check, folder):
    model, inputs = preprocessing()
    path = os.path.join(folder, "preprocessing.keras")
    model.save(path)
    wanted = {name: np.asarray(value) for name, value in model({k: tf.constant(v) for k, v in inputs.items()}).items()}
    compare_export(check, "preprocessing", path, os.path.join(folder, "preprocessing", "1"), inputs, wanted)


def training_behind_preprocessing(check, folder):
    """Models that begin with preprocessing layers learn in Tenon what they learn in Keras, from texts too."""
    rng = np.random.default_rng(8)
    texts = np.array([" ".join(rng.choice(["red", "green", "blue", "moon"], rng.integers(1, 5))) for _ in range(48)])
    words, numbers = rng.choice(["a", "b", "c"], (48, 1)), rng.normal(size=(48, 4)).astype(np.float32)
    classes, normalised = rng.integers(0, 3, 48), layers.Normalization()
    counted, found = layers.TextVectorization(output_mode="tf_idf", ngrams=2), layers.StringLookup()
    whole, ids = layers.IntegerLookup(num_oov_indices=2), rng.choice([3, 5, 2**40, -7], (48, 1))
    found.adapt(words)
    whole.adapt(ids[:40])
    normalised.adapt(numbers)
    counted.adapt(texts)
    text = ((1,), "string")
    for name, (shape, dtype), made, x in (
            ("normalised", ((4,), "float32"), [normalised], numbers),
            ("one_hot", text, [layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")], words),
            ("hashed", text, [layers.Hashing(5), layers.Embedding(5, 3), layers.Flatten()], words),
            ("found", text, [found, layers.Embedding(5, 3), layers.Flatten()], words),
            ("found_numbers", ((1,), "int64"), [whole, layers.Embedding(9, 3), layers.Flatten()], ids),
            ("counted", text, [counted], texts[:, None])):
        model = keras.Sequential([keras.Input(shape, dtype=dtype), *made, layers.Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        path, data, to = (os.path.join(folder, name + ending) for ending in (".keras", ".npz", "_trained.keras"))
        model.save(path)
        np.savez(data, x=x.astype("S") if dtype == "string" else x, y=classes)
        epochs = train(path, data, epochs=2, batch_size=16, shuffle="false", save=to)
        if name in ("found", "counted"):
            check_other_files(check, folder, name, path, x[:, 0], classes, epochs)
        fed = tf.constant(x)
        losses = model.fit(fed, tf.constant(classes), epochs=2, batch_size=16, shuffle=False, verbose=0).history["loss"]
        check.close([epoch["loss"] for epoch in epochs], losses, f"losses behind preprocessing: {name}", 1e-5)
        check.close(keras.models.load_model(to)(fed), np.asarray(model(fed)), f"trained behind preprocessing: {name}", 1e-5)


def check_other_files(check, folder, name, path, texts, classes, wanted):
    """The same rows as CSV and as records, held in memory or read as they are needed, give the same losses."""
    table, records = os.path.join(folder, name + ".csv"), os.path.join(folder, name + ".tfrecord")
    with open(table, "w", encoding="utf-8") as file:
        file.write("word,label\n" + "".join(f'"{text}",{number}\n' for text, number in zip(texts, classes)))
    with tf.io.TFRecordWriter(records) as writer:
        for text, number in zip(texts, classes):
            features = {"word": tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()])),
                        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    for data in (table, records):
        for flags in ({"shuffle": "false"}, {"shuffle_buffer": 1}):
            epochs = train(path, data, epochs=2, batch_size=16, **flags)
            check.close([epoch["loss"] for epoch in epochs], [epoch["loss"] for epoch in wanted], f"losses from {data} {flags}", 1e-6)


def texts_beside_numbers(check, folder):
    """A model of two inputs, one of texts: columns of a CSV and features of records by name."""
    word, age = keras.Input((1,), dtype="string", name="word"), keras.Input((2,), name="age")
    x = layers.Flatten()(layers.Embedding(5, 3)(layers.StringLookup(vocabulary=["a", "b"])(word)))
    model = keras.Model([word, age], layers.Dense(1, name="y")(layers.Concatenate()([x, age])))
    model.compile("rmsprop", "mse")
    path, table, records = (os.path.join(folder, "beside" + ending) for ending in (".keras", ".csv", ".tfrecord"))
    model.save(path)
    rng = np.random.default_rng(2)
    words, ages, y = rng.choice(["a", "b", "", "x"], 20), rng.normal(size=(20, 2)).astype(np.float32), rng.normal(size=20).astype(np.float32)
    with open(table, "w", encoding="utf-8") as file:
        file.write("y,age_0,word,age_1\n")
        for i, word_of_row in enumerate(words):
            file.write(f"{y[i]!s},{ages[i, 0]!s},{word_of_row},{ages[i, 1]!s}\n")
    with tf.io.TFRecordWriter(records) as writer:
        for i, word_of_row in enumerate(words):
            features = {"word": tf.train.Feature(bytes_list=tf.train.BytesList(value=[word_of_row.encode()])),
                        "age": tf.train.Feature(float_list=tf.train.FloatList(value=ages[i])),
                        "y": tf.train.Feature(float_list=tf.train.FloatList(value=y[i:i + 1]))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    wanted = model.fit([tf.constant(words[:, None]), ages], y, epochs=2, batch_size=8, shuffle=False, verbose=0).history["loss"]
    for data in (table, records):
        epochs = train(path, data, epochs=2, batch_size=8, shuffle="false")
        check.close([epoch["loss"] for epoch in epochs], wanted, f"texts beside numbers: losses from {data}", 1e-5)


def slices_and_activations(check, folder):
    """Python's slices, each activation, images enlarged by interpolation, layers that augment, attention by groups."""
    image, steps = keras.Input((6, 5, 2), name="image"), keras.Input((4, 6), name="steps")
    x = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.2), layers.RandomContrast(0.1)], name="augment")(image)
    named = {"bilinear": layers.UpSampling2D((2, 3), interpolation="bilinear")(x), "bicubic": layers.UpSampling2D(2, interpolation="bicubic")(x)}
    named |= {"last": steps[:, -1], "some": steps[:, 1:-1:2, ::-1], "column": steps[..., 0], "new": steps[:, None, 2], "reach": steps[:, :3, None]}
    named["grouped"] = layers.GroupQueryAttention(3, 4, 1)(steps, steps)
    for name in ("celu", "glu", "hard_shrink", "hard_tanh", "log_sigmoid", "mish", "soft_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
                 "tanh_shrink"):
        named[name] = layers.Activation(name)(steps)
    model, path = keras.Model({"image": image, "steps": steps}, named), os.path.join(folder, "options.keras")
    rng = np.random.default_rng(4)
    give_state(model, rng)
    model.save(path)
    inputs = {"image": rng.normal(size=(3, 6, 5, 2)).astype(np.float32), "steps": rng.normal(size=(3, 4, 6)).astype(np.float32)}
    wanted = {name: value.numpy() for name, value in model(inputs, training=False).items()}
    compare_export(check, "options", path, os.path.join(folder, "options", "1"), inputs, wanted, 1e-5)


def files_of_keras_2(check, folder):
    """Files of Keras 2, and of Keras 3 under Keras 2's name: weights of layers within layers, options that Keras 3 has no more."""
    for package, one in (("keras_3", keras), ("keras_2", tf_keras)):
        made = one.layers
        cells = made.RNN([made.LSTMCell(3), made.GRUCell(2)], return_sequences=True)
        inner = one.Sequential([made.Input((6, 2)), made.TimeDistributed(made.Dense(3)), made.BatchNormalization()])
        net = one.Sequential([
            made.Input((6, 6, 2), name="x"), made.SeparableConv2D(4, 3, padding="same"), made.Conv2DTranspose(3, 2, strides=2), made.DepthwiseConv2D(3),
            made.LeakyReLU(0.2), made.BatchNormalization(), made.SpatialDropout2D(0.1), made.Reshape((10, 30)), made.Conv1D(6, 5),
            made.Bidirectional(made.LSTM(3, return_sequences=True)), made.GRU(4, return_sequences=True), made.SimpleRNN(5, return_sequences=True), cells, inner,
            made.Flatten(), made.Dense(3)])
        give_state(net, np.random.default_rng(5))
        x = np.random.default_rng(6).normal(size=(3, 6, 6, 2)).astype(np.float32)
        for ending in ("h5", "keras"):
            path, to = os.path.join(folder, f"{package}.{ending}"), os.path.join(folder, f"{package}_{ending}", "1")
            net.save(path)
            tenon("convert", path, "--export_dir", to)
            name = next(iter(tf.saved_model.load(to).signatures["serving_default"].structured_input_signature[1]))
            got = next(iter(run_saved_model(to, **{name: x}).values()))
            check.close(got, np.asarray(net(x, training=False)), f"a .{ending} file of {package}", 1e-5)


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        keras_file_in_tenon(check, folder)
        layers_within_layers_both_ways(check, folder)
        tenon_file_in_keras(check, folder)
        classes_in_keras(check, folder)
        preprocessing_layers(check, folder)
        training_behind_preprocessing(check, folder)
        texts_beside_numbers(check, folder)
        slices_and_activations(check, folder)
        files_of_keras_2(check, folder)
    check.done()


if __name__ == "__main__":
    main()
