"""Writes tenon/keras/testdata/preprocessing.json: models of Keras' preprocessing layers and of slices, by name, for
tenon/keras/hostile_file_test.cc, which damages them.

    .venv/bin/python tests/keras/make_preprocessing_cases.py
"""
import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
import keras  # noqa: E402
from keras import layers  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "tenon", "keras", "testdata", "preprocessing.json")


def texts():
    text = keras.Input((1,), dtype="string", name="text")
    words = layers.TextVectorization(vocabulary=["a", "b", "c"], output_sequence_length=4, ngrams=2)(text)
    bags = layers.TextVectorization(vocabulary=["a", "b"], output_mode="tf_idf", idf_weights=[.5, .25], split="character")(text)
    place = layers.StringLookup(vocabulary=["x", "y"], num_oov_indices=2, output_mode="multi_hot")(text)
    bins = layers.Hashing(5, mask_value="", salt=[1, 2])(text)
    return keras.Model(text, [words, bags, place, bins])


def numbers():
    whole = keras.Input((1,), dtype="int64", name="whole")
    value = keras.Input((1,), name="value")
    place = layers.IntegerLookup(vocabulary=[4, 7, 9], output_mode="one_hot")(whole)
    bins = layers.Discretization(bin_boundaries=[0., 1.5, 3.], output_mode="one_hot")(value)
    crossed = layers.HashedCrossing(6, output_mode="one_hot")((whole, whole))
    return keras.Model([whole, value], [place, bins, crossed])


def slices():
    x = keras.Input((6, 5), name="x")
    y = layers.SpectralNormalization(layers.Dense(3))(layers.Dropout(.5, noise_shape=(None, 1, 5))(x))
    return keras.Model(x, [y[:, -1], x[:, 1:-1:2, ::-1], x[..., 0], x[:, None, 2], layers.Dense(2, activation="sparsemax")(y)])


models = {make.__name__: json.loads(make().to_json()) for make in (texts, numbers, slices)}
with open(OUT, "w", encoding="utf-8") as file:
    json.dump(models, file, separators=(",", ":"))
