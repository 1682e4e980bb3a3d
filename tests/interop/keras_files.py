"""`.keras` files in both directions: Keras' in Tenon, Tenon's in Keras, weights and optimizer state."""
import os
import tempfile

from common import DIGITS, Checks, digits, predict, tenon, train

import keras
import numpy as np
import tensorflow as tf
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
        if variable.dtype == "float32":
            value = rng.normal(0, 0.3, variable.shape)
            variable.assign(np.abs(value) + 0.5 if "variance" in variable.path else value)


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


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        keras_file_in_tenon(check, folder)
        layers_within_layers_both_ways(check, folder)
        tenon_file_in_keras(check, folder)
        classes_in_keras(check, folder)
    check.done()


if __name__ == "__main__":
    main()
