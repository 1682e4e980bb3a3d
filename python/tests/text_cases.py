"""What Keras' layers for texts, numbers and categories do, as functions of `tf` that give plain Python values."""
import os
import tempfile

import numpy as np

from data_cases import error_of, plain
from ragged_cases import shown

_WORDS = ["tree", "river", "stone", "cloud", "fire", "leaf", "bird", "moon", "salt", "wind"]


def _near(values):
    return [[round(float(x), 5) for x in row] for row in np.asarray(values)]


def lookups(tf):
    k, out = tf.keras.layers, []
    words = ["b", "a", "zz", "", "c", "yy"]
    for options in ({}, {"num_oov_indices": 2}, {"mask_token": ""}, {"num_oov_indices": 3, "salt": 7}, {"invert": True}):
        layer = k.StringLookup(vocabulary=["a", "b", "c"], **options)
        given = [0, 1, 3, 9] if options.get("invert") else words
        out += [plain(layer(tf.constant(given))), layer.get_vocabulary(), layer.vocabulary_size()]
    for mode in ("one_hot", "multi_hot", "count"):
        layer = k.StringLookup(vocabulary=["a", "b", "c"], output_mode=mode)
        out += [plain(layer(tf.constant([["a", "a", "zz"], ["c", "b", "b"]]))) if mode != "one_hot" else plain(layer(tf.constant(words))),
                plain(k.StringLookup(vocabulary=["a", "b"], output_mode=mode, max_tokens=5, pad_to_max_tokens=True)(tf.constant(["a"])))]
    tfidf = k.StringLookup(vocabulary=["a", "b"], idf_weights=[.5, 2.], output_mode="tf_idf")
    out += [plain(tfidf(tf.constant([["a", "b", "b", "q"]])))]
    numbers = k.IntegerLookup(vocabulary=[12, 36, 1138], num_oov_indices=2)
    out += [plain(numbers(tf.constant([[12, 1138, 42], [42, 1000, 36]], tf.int64))), plain(numbers.get_vocabulary())]
    adapted = k.StringLookup()
    adapted.adapt([["a", "c", "d"], ["d", "z", "z"]])
    counted = k.IntegerLookup(output_mode="tf_idf", max_tokens=4)
    counted.adapt(tf.data.Dataset.from_tensor_slices([[5, 5, 1], [5, 2, 1], [9, 9, 9]]).batch(2))
    out += [adapted.get_vocabulary(), plain(adapted(["z", "a", "?"])), plain(counted.get_vocabulary()), _near(counted(tf.constant([[5, 9, 7]])))]
    layer = k.StringLookup(vocabulary=["a", "b", "c"])
    out += [shown(tf, layer(tf.ragged.constant([["a"], [], ["c", "?"]]))), shown(tf, layer(tf.sparse.from_dense([["a", ""], ["", "c"]])))]
    strict = k.StringLookup(vocabulary=["a"], num_oov_indices=0)
    return out + [error_of(f) for f in (lambda: strict(tf.constant(["q"])), lambda: k.StringLookup(vocabulary=["a", "a"]), lambda: layer.adapt(["x"]))]


def vectorizations(tf):
    texts = ["The quick brown fox.", "A quick, quick dog!", "brown   dogs & foxes"]
    out = []
    for options in ({}, {"output_sequence_length": 3}, {"output_sequence_length": 6}, {"standardize": None, "split": None}, {"ngrams": 2},
                    {"split": "character"}, {"max_tokens": 5}, {"output_mode": "multi_hot"}, {"output_mode": "count", "ngrams": (1, 3)},
                    {"output_mode": "tf_idf"}, {"standardize": "lower"}, {"standardize": "strip_punctuation"}, {"ragged": True},
                    {"output_mode": "multi_hot", "max_tokens": 20, "pad_to_max_tokens": True},
                    {"standardize": lambda x: tf.strings.regex_replace(tf.strings.upper(x), "O", "0"), "split": lambda x: tf.strings.split(x, "Q")}):
        layer = tf.keras.layers.TextVectorization(**options)
        layer.adapt(tf.data.Dataset.from_tensor_slices(texts).batch(2))
        found = layer(tf.constant(texts))
        out += [layer.get_vocabulary(), _near(found) if options.get("output_mode") == "tf_idf" else shown(tf, found) if options.get("ragged") else plain(found)]
    layer = tf.keras.layers.TextVectorization(vocabulary=["quick", "dog"], output_sequence_length=4)
    out += [plain(layer(texts)), plain(layer(tf.constant([[t] for t in texts]))), plain(layer("a quick dog")), plain(
        [x for x in tf.data.Dataset.from_tensor_slices(texts).batch(2).map(layer)]), plain([x for x in tf.data.Dataset.from_tensor_slices(texts).map(layer)])]
    again = tf.keras.layers.TextVectorization.from_config(layer.get_config())
    return out + [again.get_vocabulary(), plain(again(texts)), tuple(layer.compute_output_shape((None, 1)))]


def categories(tf):
    k, out = tf.keras.layers, []
    for options in ({}, {"salt": 133}, {"salt": [133, 137]}, {"mask_value": "b"}, {"output_mode": "one_hot"}, {"output_mode": "multi_hot"}):
        layer = k.Hashing(num_bins=5, **options)
        out.append(plain(layer(tf.constant([["a"], ["b"], ["cde"]]))))
    out += [plain(k.Hashing(7)(tf.constant([[1], [2], [300]]))), plain(k.HashedCrossing(5)((tf.constant(["A", "B", "A"]), tf.constant([101, 102, 103])))),
            plain(k.HashedCrossing(5, output_mode="one_hot")((tf.constant([["A"], ["B"]]), tf.constant([[101], [102]])))),
            shown(tf, k.Hashing(5)(tf.ragged.constant([["a"], ["b", "c"]]))), plain(k.Discretization(bin_boundaries=[0., 1., 2.])(np.array([[-1.5, 1.0, 3.4], [.5, 0., 1.3]])))]
    bins = k.Discretization(num_bins=4)
    bins.adapt(np.arange(40, dtype=np.float32).reshape(-1, 1))
    out += [[round(float(b), 4) for b in bins.bin_boundaries], plain(bins(np.array([[1.], [15.], [39.]])))]
    for mode in ("one_hot", "multi_hot", "count"):
        layer = k.CategoryEncoding(num_tokens=4, output_mode=mode)
        out.append(plain(layer(np.array([3, 2, 0, 1]))))
    out += [plain(k.CategoryEncoding(num_tokens=4, output_mode="count")(np.array([[0, 1], [1, 1]]), count_weights=np.array([[.1, .2], [.5, 1.]]))),
            plain(k.CategoryEncoding(num_tokens=4, output_mode="multi_hot")(np.array([[0, 1], [3, 1]])))]
    f = tf.keras.utils.FeatureSpace
    rows = {"colour": ["red", "green", "red", "blue"], "age": [10., 20., 35., 70.], "size": [1, 2, 3, 1], "code": ["a", "b", "c", "d"]}
    space = f(features={"colour": f.string_categorical(num_oov_indices=1), "age": f.float_discretized(num_bins=3), "size": f.integer_categorical(),
                        "code": f.string_hashed(num_bins=4)}, crosses=[f.cross(("colour", "code"), crossing_dim=8)], output_mode="concat")
    space.adapt(tf.data.Dataset.from_tensor_slices(rows))
    out += [plain(space({k_: tf.constant(v) for k_, v in rows.items()})), plain([x for x in tf.data.Dataset.from_tensor_slices(rows).batch(2).map(space)])]
    return out


def _texts(count, seed):
    """Texts of two kinds: of each, half of the words are its own."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    return [" ".join(rng.choice(_WORDS[5 * y:5 * y + 5] if rng.random() < .7 else _WORDS, rng.integers(3, 9))) + rng.choice([".", "!", ""]) for y in labels], labels


def folders(tf):
    out = []
    u = tf.keras.utils
    with tempfile.TemporaryDirectory() as root:
        texts, labels = _texts(20, 0)
        for i, (text, label) in enumerate(zip(texts, labels)):
            os.makedirs(os.path.join(root, "texts", "ab"[label]), exist_ok=True)
            with open(os.path.join(root, "texts", "ab"[label], f"{i}.txt"), "w") as file:
                file.write(text)
            os.makedirs(os.path.join(root, "images", "xy"[label]), exist_ok=True)
            picture = np.random.default_rng(i).integers(0, 255, (6, 5, 3)).astype(np.uint8)
            with open(os.path.join(root, "images", "xy"[label], f"{i}.png"), "wb") as file:
                file.write(tf.io.encode_png(picture).numpy())
        for options in ({"shuffle": False}, {"shuffle": False, "label_mode": "categorical", "batch_size": 6}, {"shuffle": False, "label_mode": None},
                        {"shuffle": False, "label_mode": "binary", "max_length": 8}, {"validation_split": .2, "subset": "training", "seed": 1, "shuffle": False},
                        {"validation_split": .2, "subset": "validation", "seed": 1, "shuffle": False}):
            ds = u.text_dataset_from_directory(os.path.join(root, "texts"), verbose=False, **options)
            out.append([plain([e for e in ds]), repr(ds.element_spec), ds.class_names])
        for options in ({"image_size": (6, 5)}, {"image_size": (4, 4), "label_mode": "categorical"}, {"image_size": (8, 8), "interpolation": "nearest", "color_mode": "grayscale"},
                        {"image_size": (4, 4), "crop_to_aspect_ratio": True}, {"image_size": (7, 7), "pad_to_aspect_ratio": True}):
            ds = u.image_dataset_from_directory(os.path.join(root, "images"), shuffle=False, verbose=False, batch_size=7, **options)
            out.append([[[np.asarray(x).shape, round(float(np.asarray(x, np.float64).mean()), 3), plain(y)] for x, y in ds], repr(ds.element_spec)])
    data = np.arange(20, dtype=np.float32).reshape(10, 2)
    for options in ({}, {"sequence_stride": 2}, {"sampling_rate": 2}, {"start_index": 2, "end_index": 8}, {"batch_size": None}):
        ds = u.timeseries_dataset_from_array(data, np.arange(10), sequence_length=3, **{"batch_size": 3, **options})
        out.append(plain([e for e in ds]))
    return out + [plain([e for e in u.timeseries_dataset_from_array(data, None, 4, batch_size=5)])]


def tutorial(tf):
    """Texts in folders' way: vectorized in the pipeline, trained, saved, loaded, exported with the raw texts as input."""
    k = tf.keras
    k.utils.set_random_seed(0)
    texts, labels = _texts(160, 1)
    rows = tf.data.Dataset.from_tensor_slices((texts, labels)).batch(16)
    vectorize = k.layers.TextVectorization(max_tokens=12, output_sequence_length=8)
    vectorize.adapt(rows.map(lambda x, y: x))
    model = k.Sequential([k.layers.Embedding(12, 8), k.layers.Dropout(.2, seed=3), k.layers.GlobalAveragePooling1D(), k.layers.Dense(1)])
    model.compile(k.optimizers.SGD(.5), k.losses.BinaryCrossentropy(from_logits=True), metrics=[k.metrics.BinaryAccuracy(threshold=0.)])
    history = model.fit(rows.map(lambda x, y: (vectorize(x), y)).cache().prefetch(tf.data.AUTOTUNE), epochs=3, verbose=0).history
    whole = k.Sequential([vectorize, model, k.layers.Activation("sigmoid")])
    whole.compile(loss=k.losses.BinaryCrossentropy(), metrics=["accuracy"])
    some = tf.constant(["tree river stone!", "bird   moon", "", "what is that"])
    out = [vectorize.get_vocabulary(), [[round(v, 5) for v in values] for values in history.values()], [round(float(v), 5) for v in whole.evaluate(rows, verbose=0)],
           _near(whole.predict(some, verbose=0))]
    with tempfile.TemporaryDirectory() as root:
        whole.save(os.path.join(root, "m.keras"))
        again = k.models.load_model(os.path.join(root, "m.keras"))
        out += [again.layers[0].get_vocabulary(), _near(again.predict(some, verbose=0))]
        whole.export(os.path.join(root, "exported"), verbose=False)
        loaded = tf.saved_model.load(os.path.join(root, "exported"))
        out.append(_near(next(iter(loaded.signatures["serving_default"](some).values()))))
    return out


CASES = [lookups, vectorizations, categories, folders, tutorial]
