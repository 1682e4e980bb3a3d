"""What tf.io, tf.train.Example, tf.strings and tf.lookup do, as functions of `tf` that give plain Python values."""
import os
import tempfile

import numpy as np

from data_cases import error_of, plain


def _examples(tf):
    t = tf.train
    feature = t.Feature
    ints, floats, texts = (lambda *v: feature(int64_list=t.Int64List(value=v)), lambda *v: feature(float_list=t.FloatList(value=v)),
                           lambda *v: feature(bytes_list=t.BytesList(value=v)))
    return [t.Example(features=t.Features(feature=f)) for f in (
        {"n": ints(1), "x": floats(.5, -1.25), "t": texts(b"a", b"bc")}, {"n": ints(-5), "x": floats(1e-40, 3e38), "t": texts()},
        {"n": ints(2 ** 62), "x": floats(0., float("inf")), "t": texts(b"\xff\x00")}, {"n": ints(7), "x": floats(1, 2)}, {})]


def examples(tf):
    made = _examples(tf)
    texts = [plain(e.SerializeToString(deterministic=True)) for e in made]
    back = [tf.train.Example.FromString(e.SerializeToString()) for e in made]
    first = back[0].features.feature
    built = tf.train.Example()
    built.features.feature["a"].int64_list.value.extend([3, 4])
    built.features.feature["b"].bytes_list.value.append(b"x")
    built.features.feature["c"].float_list.value[:] = [1.5]
    lists = [tf.train.Int64List(value=[1, -1]), tf.train.FloatList(value=[.1]), tf.train.BytesList(value=[b"x", b""])]
    one = tf.train.Example(features=tf.train.Features(feature={"t": first["t"]}))
    return [texts, [a == b for a, b in zip(made, back)],
            [list(first["n"].int64_list.value), list(first["x"].float_list.value),
             [v.decode() for v in first["t"].bytes_list.value]], sorted(first), [first[k].WhichOneof("kind") for k in "ntx"],
            plain(built.SerializeToString(deterministic=True)), str(one),
            [plain(m.SerializeToString()) for m in lists],
            made[0] == made[1], built.ByteSize(),
            [error_of(f) for f in (lambda: tf.train.Int64List(value=["a"]), lambda: tf.train.Int64List(value=[2 ** 63]),
                                   lambda: tf.train.BytesList(value=["text"]), lambda: tf.train.FloatList(value=["a"]),
                                   lambda: tf.train.Int64List(value=[1.5]))]]


def parsing(tf):
    serialized = [e.SerializeToString() for e in _examples(tf)]
    fixed = tf.io.FixedLenFeature
    some = {"n": fixed([], tf.int64), "x": fixed([2], tf.float32)}
    more = {"n": fixed([], tf.int64, default_value=-1), "x": fixed([2], tf.float32, [9., 8.]),
            "t": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)}

    def shown(parsed):
        return {k: [plain(v), v.dtype.name] for k, v in parsed.items()}

    records = tf.data.Dataset.from_tensor_slices(serialized[:4])
    return [shown(tf.io.parse_single_example(serialized[0], some)), shown(tf.io.parse_example(serialized[:3], some)),
            shown(tf.io.parse_example(serialized, more)), shown(tf.io.parse_single_example(serialized[4], more)),
            plain([x for x in records.map(lambda s: tf.io.parse_single_example(s, some))]),
            plain([x for x in records.batch(3).map(lambda s: tf.io.parse_example(s, more))]),
            repr(records.map(lambda s: tf.io.parse_single_example(s, more)).element_spec),
            [error_of(f) for f in (lambda: tf.io.parse_single_example(serialized[4], some),
                                   lambda: tf.io.parse_single_example(b"\x0a\x7f", some), lambda: tf.io.parse_example(serialized, {}),
                                   lambda: tf.io.parse_single_example(serialized[0], {"x": fixed([3], tf.float32)}))]]


def files(tf):
    folder = tempfile.mkdtemp()
    path, g = os.path.join(folder, "deep", "f.txt"), tf.io.gfile
    tf.io.write_file(path, "a\nb")
    out = [plain(tf.io.read_file(path)), g.exists(path), g.isdir(folder), g.listdir(folder), [os.path.basename(f) for f in g.glob(
        folder + "/*/*.txt")], error_of(lambda: tf.io.read_file(path + "0"))]
    read = tf.function(lambda name: tf.strings.length(tf.io.read_file(name)))
    out += [plain(read(tf.constant(path))), plain([x for x in tf.data.Dataset.from_tensor_slices([path]).map(tf.io.read_file)])]
    with g.GFile(path + "2", "w") as file:
        file.write("lines\nof text\n")
    with g.GFile(path + "2") as file:
        out += [file.readline(), file.read(3), file.size(), [line for line in file]]
    with g.GFile(path, "rb") as file:
        out.append(plain(file.read()))
    g.copy(path, path + "3")
    g.rename(path + "3", path + "4")
    g.makedirs(folder + "/x/y")
    g.makedirs(folder + "/x/y")
    g.mkdir(folder + "/z")
    out += [sorted(os.listdir(os.path.dirname(path))), sorted(os.listdir(folder)), g.stat(path).length]
    out += [error_of(f) for f in (lambda: g.copy(path, path + "2"), lambda: g.remove(path + "0"), lambda: g.listdir(path + "0"),
                                  lambda: g.GFile(path + "0").read(), lambda: g.mkdir(folder + "/z"), lambda: g.rmtree(path + "0"))]
    g.rmtree(folder + "/x")
    g.remove(path)
    return out + [g.exists(folder + "/x"), g.exists(path), g.join("a", "b")]


def encodings(tf):
    image = tf.constant(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5)
    png = tf.io.encode_png(image)
    jpeg = tf.io.encode_jpeg(image, quality=90)
    back = tf.io.decode_jpeg(jpeg)
    raw = np.arange(3, dtype="<i4").tobytes()
    return [plain(tf.io.decode_png(png)), plain(tf.io.decode_image(png)), tf.io.decode_png(png, channels=4).shape.as_list(),
            back.shape.as_list(), back.dtype.name, tf.io.decode_image(jpeg, dtype=tf.float32).dtype.name,
            plain(tf.io.is_jpeg(jpeg)), plain(tf.io.is_jpeg(png)), plain(tf.io.extract_jpeg_shape(jpeg)),
            plain(tf.io.decode_raw(raw, tf.int32)), plain(tf.io.decode_base64(tf.io.encode_base64("hello"))),
            plain(tf.io.encode_base64("hello", pad=True)), plain(tf.io.parse_tensor(tf.io.serialize_tensor([1., 2.]), tf.float32)),
            [plain(c) for c in tf.io.decode_csv(["1,a,2.5", "3,\"b,c\","], [[0], ["-"], [9.]])],
            [plain(c) for c in tf.io.decode_csv("1;2", [0, tf.constant([], tf.int64)], field_delim=";")],
            [error_of(f) for f in (lambda: tf.io.decode_png(b"none"), lambda: tf.io.decode_csv("a", [[0]]),
                                   lambda: tf.io.decode_csv(",", [[0], tf.constant([], tf.int64)]))]]


def texts(tf):
    s = tf.strings
    words = tf.constant(["Ab cD", "", "\u00c4b1"])
    return [plain(x) for x in (
        s.lower(words), s.upper(words), s.lower(words, encoding="utf-8"), s.length(words), s.length(words, unit="UTF8_CHAR"),
        s.strip(["  a ", "b\n"]), s.substr("hello", 1, 3), s.substr(["abc", "def"], [0, 1], [2, 2]), s.join(["a", "b", "c"], "-"),
        s.join([["a", "b"], ["c", "d"]]), s.reduce_join([["a", "b"], ["c", "d"]]), s.reduce_join([["a", "b"], ["c", "d"]], axis=0),
        s.reduce_join([["a", "b"], ["c", "d"]], axis=-1, separator="+", keepdims=True), s.split("a b  c"), s.split("a,b,,c", ","),
        s.split("a,b,c", sep=",", maxsplit=1), s.regex_replace(["a1b22", "x"], "[0-9]+", "<\\0>"),
        s.regex_replace("aaa", "a", "b", replace_global=False), s.regex_full_match(["ab", "abc"], "a.*b"),
        s.to_number(["1.5", "-2"]), s.to_number("7", tf.int64), s.as_string([1, -2]), s.as_string(3.14159, precision=2),
        s.as_string([True, False]), s.to_hash_bucket_fast(["a", "b"], 10), s.to_hash_bucket(["a", "b"], 10),
        s.to_hash_bucket_strong(["a", "b"], 10, [1, 2]), s.unicode_decode("\u00e4b", "UTF-8"), s.unicode_script([65, 0x3b1]),
        s.unicode_transcode("\u00e4", "UTF-8", "UTF-16-BE"), s.format("{} and {}", (tf.constant([1, 2]), 3)),
        s.unsorted_segment_join(["a", "b", "c"], [1, 0, 1], 2, "-"))]


def tables(tf):
    lookup = tf.lookup
    folder = tempfile.mkdtemp()
    vocabulary = os.path.join(folder, "v.txt")
    with open(vocabulary, "w") as file:
        file.write("zero\none\ntwo\n")
    pairs = os.path.join(folder, "p.txt")
    with open(pairs, "w") as file:
        file.write("a 10\nb 20\n")
    table = lookup.StaticHashTable(lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), -1)
    back = lookup.StaticHashTable(lookup.KeyValueTensorInitializer(tf.constant([1, 2], tf.int64), ["a", "b"]), "?")
    whole = lookup.StaticHashTable(lookup.TextFileInitializer(
        vocabulary, tf.string, lookup.TextFileIndex.WHOLE_LINE, tf.int64, lookup.TextFileIndex.LINE_NUMBER), -1)
    split = lookup.StaticHashTable(lookup.TextFileInitializer(pairs, tf.string, 0, tf.int64, 1, delimiter=" "), 0)
    ids = lookup.StaticVocabularyTable(lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0, 1], tf.int64)), 3)
    changing = lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
    changing.insert(["x", "y"], [5, 6])
    changing.remove(tf.constant(["y"]))
    traced = tf.function(lambda x: table.lookup(x) * 10)
    words = tf.data.Dataset.from_tensor_slices(["b", "c", "a"])
    return [plain(table.lookup(tf.constant(["a", "c"]))), plain(table[tf.constant("b")]), plain(table.size()),
            table.key_dtype.name, table.value_dtype.name, plain(back.lookup(tf.constant([2, 3], tf.int64))),
            plain(whole.lookup(tf.constant(["two", "no"]))),
            plain(split.lookup(tf.constant(["a", "b", "c"]))), plain(ids.lookup(tf.constant(["b", "u", "v", "w"]))), plain(ids.size()),
            plain(changing.lookup(tf.constant(["x", "y"]))), plain(changing.size()), sorted(plain(table.export()[1])),
            plain(traced(tf.constant(["a", "z"]))), plain([x for x in words.map(table.lookup)]),
            plain([x for x in words.map(whole.lookup)]),
            error_of(lambda: table.lookup(tf.constant([1])))]


def sound(tf):
    waves = tf.constant([[0., 1.], [.5, -.5], [-1., .25], [.1, 2.]])
    file = tf.audio.encode_wav(waves, 8000)
    return [plain(tf.strings.length(file)), *(plain(tf.audio.decode_wav(file, *more)) for more in ((), (1,), (2, 2), (-1, 6)))]


CASES = [examples, parsing, files, encodings, texts, tables, sound]
