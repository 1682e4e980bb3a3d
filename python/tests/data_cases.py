"""What tf.data does, as functions of `tf` that give plain Python values: make_truth.py asks TensorFlow, data_test.py Tenon."""
import os
import tempfile

import numpy as np


def plain(value):
    """Lists, dictionaries, numbers and texts."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value.decode("latin1") if isinstance(value, bytes) else value


def all_of(dataset):
    """Elements, what is said of them, and how many there are said to be."""
    return [plain([element for element in dataset]), repr(dataset.element_spec), int(dataset.cardinality())]


def error_of(function):
    try:
        function()
    except Exception as error:  # noqa: BLE001: any
        return type(error).__name__
    return "no error"


def slices(tf):
    D = tf.data.Dataset
    return [all_of(d) for d in (
        D.from_tensor_slices([1, 2, 3]), D.from_tensor_slices([[1., 2.], [3., 4.]]), D.from_tensor_slices(["a", "bc"]),
        D.from_tensor_slices(([1, 2], [[3.], [4.]])), D.from_tensor_slices({"b": [1, 2], "a": ["x", "y"]}),
        D.from_tensor_slices(({"k": [1, 2]}, (["x", "y"], [True, False]))), D.from_tensor_slices(([1],)),
        D.from_tensor_slices(np.zeros((0, 3), np.float32)), D.from_tensor_slices([]),
        D.from_tensors([1, 2]), D.from_tensors(({"a": 1}, "t")), D.from_tensor_slices(np.arange(4, dtype=np.uint8)),
        D.from_tensors((1, None)))]


def ranges(tf):
    D = tf.data.Dataset
    return [all_of(d) for d in (D.range(5), D.range(2, 5), D.range(1, 10, 3), D.range(5, 0, -2), D.range(0), D.range(3, 1),
                                D.range(3, output_type=tf.float32), D.range(5).take(0))]


def batches(tf):
    D = tf.data.Dataset
    pairs = D.from_tensor_slices((np.arange(5, dtype=np.float32), {"s": ["a", "b", "c", "d", "e"]}))
    return [all_of(d) for d in (
        D.range(5).batch(2), D.range(5).batch(2, drop_remainder=True), D.range(5).batch(5), D.range(5).batch(9),
        D.range(5).batch(9, drop_remainder=True), D.range(0).batch(3), pairs.batch(2), pairs.batch(2).batch(2),
        D.range(6).batch(2).unbatch(), D.range(6).batch(2, drop_remainder=True).unbatch(), pairs.batch(3).unbatch(),
        D.range(10).batch(3).skip(1).take(2), D.range(5).batch(2, num_parallel_calls=tf.data.AUTOTUNE))]


def padded(tf):
    D = tf.data.Dataset
    ragged = D.range(1, 5).map(lambda n: tf.range(n))
    texts = D.range(3).map(lambda n: (tf.fill([n], "x"), n))
    return [all_of(d) for d in (
        ragged.padded_batch(2), ragged.padded_batch(3, padded_shapes=[None]), ragged.padded_batch(3, padded_shapes=[6]),
        ragged.padded_batch(2, padded_shapes=[6], padding_values=tf.constant(-1, tf.int64)),
        ragged.padded_batch(3, drop_remainder=True), texts.padded_batch(2), texts.padded_batch(3, ([4], []), ("-", np.int64(0))),
        D.from_tensor_slices([[1, 2], [3, 4]]).padded_batch(2), D.from_tensor_slices([[1, 2], [3, 4]]).padded_batch(2, [3]),
        D.range(2).map(lambda n: {"a": tf.ones([n + 1, 2]), "b": n}).padded_batch(2, {"a": [None, 3], "b": []}),
        D.from_tensor_slices([[1, 2], [3, 4]]).padded_batch(2, tf.TensorShape([3])),
        ragged.concatenate(ragged).bucket_by_sequence_length(lambda x: tf.shape(x)[0], [2, 4], [2, 3, 1]),
        texts.bucket_by_sequence_length(lambda x, n: tf.cast(n, tf.int32), [2], [1, 2], padding_values=("-", np.int64(7)),
                                        drop_remainder=True),
        ragged.bucket_by_sequence_length(lambda x: tf.size(x), [3, 9], [2, 2, 2], pad_to_bucket_boundary=True))]


def choices(tf):
    D = tf.data.Dataset
    some = D.range(5).filter(lambda x: x % 2 == 0)
    return [all_of(d) for d in (
        D.range(5).take(2), D.range(5).take(-1), D.range(5).take(9), D.range(5).skip(2), D.range(5).skip(-1), D.range(5).skip(9),
        D.range(3).repeat(2), D.range(3).repeat(0), D.range(3).repeat().take(7), D.range(0).repeat(), some, some.take(1),
        some.skip(1), some.repeat(2), some.batch(2), D.range(7).shard(3, 1), D.range(7).shard(3, 0).batch(2), some.shard(2, 1),
        D.range(2).concatenate(D.range(5, 7)), some.concatenate(D.range(1)), D.range(3).enumerate(), D.range(3).enumerate(5),
        D.from_tensors([1, 2]).concatenate(D.from_tensors([1, 2, 3])), D.range(9).take_while(lambda x: x < 3),
        D.zip((D.range(3), D.range(5, 7))), D.zip(D.range(2), D.range(2)), D.zip({"a": D.range(2), "b": (D.range(3), some)}),
        D.zip(D.range(2)), D.range(10).skip(3).take(4).shard(2, 1), D.range(3).filter(lambda x: False),
        D.zip((D.range(3), D.range(2).repeat())), D.range(5).prefetch(2), D.range(5).prefetch(tf.data.AUTOTUNE),
        D.range(5).cache(), D.range(3).with_options(tf.data.Options()), D.range(3).apply(lambda d: d.batch(2)))]


def counts(tf):
    D = tf.data.Dataset
    some = D.range(5).filter(lambda x: x > 2)
    return [int(d.cardinality()) for d in (
        D.range(5).repeat(), some.repeat(), some.repeat(0), D.range(0).repeat(), D.range(5).repeat().skip(3),
        D.range(5).repeat().take(3), D.range(5).repeat().concatenate(D.range(2)), some.concatenate(D.range(2).repeat()),
        D.range(5).repeat().batch(2), D.range(5).window(2), D.range(5).window(2, drop_remainder=True),
        D.range(7).window(3, 2, 2, True), D.range(7).window(3, 1, 2), D.range(5).flat_map(D.range),
        D.range(5).repeat().shard(2, 0), D.range(5).repeat().shuffle(3), D.range(5).repeat().enumerate().prefetch(1),
        D.zip((D.range(5).repeat(), D.range(3).repeat())), D.zip((D.range(5).repeat(), some)))]


def maps(tf):
    D = tf.data.Dataset
    offset, weight = tf.constant(10, tf.int64), tf.Variable([1., 2.])
    pairs = D.from_tensor_slices(([1, 2, 3], [4., 5., 6.]))
    named = D.from_tensor_slices({"x": [1, 2], "y": [3., 4.]})
    return [all_of(d) for d in (
        D.range(5).map(lambda x: x * x), D.range(5).map(lambda x: x + offset, num_parallel_calls=tf.data.AUTOTUNE),
        D.range(50).map(lambda x: x * 2, num_parallel_calls=7), D.range(3).map(lambda x: (x, tf.cast(x, tf.float32) / 2)),
        D.range(2).map(lambda x: {"n": x, "t": (tf.strings.as_string(x), 1)}),
        pairs.map(lambda a, b: (b, a)), pairs.map(lambda a, b: tf.cast(a, tf.float32) + b), named.map(lambda d: d["x"]),
        named.map(lambda d: (d, d["y"] * 2)), D.range(2).map(lambda x: [x, x + 1]), D.range(2).map(lambda x: (x,)),
        D.range(3).map(lambda x: tf.zeros([x])), D.range(2).map(lambda x: np.float32(3.)),
        D.range(2).map(lambda x: (x, "a", 1, 2.5, True)),
        D.range(3).map(lambda x: weight * tf.cast(x, tf.float32)), D.range(4).map(lambda x: tf.reshape(x, [1, 1])).batch(2),
        D.range(4).batch(2).map(lambda x: tf.reduce_sum(x)), D.range(6).map(lambda x: x + 1).filter(lambda x: x > 2).batch(2),
        D.range(4).map(lambda x: tf.cond(x > 1, lambda: x * 10, lambda: -x)))]


def control_flow(tf):
    D = tf.data.Dataset

    def signed(x):
        if x % 2 == 0:
            return x * 10
        return -x

    def summed(x):
        total = tf.constant(0, tf.int64)
        for i in tf.range(x):
            total += i
        return total

    def small(x):
        return x < 2 or x > 4

    def rows(x):
        if x > 1:
            y = x
        else:
            y = -x
        return D.range(2).map(lambda z: z * y)
    return [all_of(d) for d in (D.range(5).map(signed), D.range(5).map(summed, num_parallel_calls=2), D.range(7).filter(small),
                                D.range(4).flat_map(rows))] + [plain(D.range(5).reduce(np.int64(0), lambda s, x: s + signed(x)))]


def flattened(tf):
    D = tf.data.Dataset
    pairs = D.from_tensor_slices(([[1, 2], [3, 4]], ["a", "b"]))
    return [all_of(d) for d in (
        D.range(4).flat_map(D.range), D.from_tensor_slices([[1, 2], [3, 4]]).flat_map(D.from_tensor_slices),
        pairs.flat_map(lambda rows, text: D.from_tensor_slices(rows).map(lambda row: (row, text))),
        D.range(3).flat_map(lambda x: D.range(x + 1).map(lambda y: y * 10 + x).filter(lambda z: z != 11)),
        D.range(3).flat_map(lambda x: D.from_tensors(x).repeat(x)),
        D.range(3).flat_map(lambda x: D.zip((D.range(x), D.range(5)))),
        D.range(2).flat_map(lambda x: D.range(2).flat_map(lambda y: D.range(2).map(lambda z: x * 100 + y * 10 + z))),
        D.range(1, 4).interleave(lambda x: D.from_tensors(x).repeat(4), cycle_length=2, block_length=2),
        D.range(6).interleave(D.range, cycle_length=3), D.range(6).interleave(D.range, cycle_length=9, block_length=3),
        D.range(6).interleave(D.range, cycle_length=2, num_parallel_calls=2, deterministic=True),
        *(D.range(8).interleave(lambda x: D.range(10 * x, 10 * x + x * x % 5), cycle, block, calls)
          for cycle, block, calls in ((1, 1, 1), (3, 2, 2), (4, 3, 4), (20, 1, tf.data.AUTOTUNE))),
        D.range(4).flat_map(lambda x: D.range(2).batch(2).map(lambda y: y + x)),
        D.range(1, 4).flat_map(lambda x: D.range(7).batch(x, drop_remainder=True).map(tf.reduce_sum)),
        D.range(1, 4).flat_map(lambda x: D.range(x, 9, x).take(x).concatenate(D.from_tensors(-x)).skip(x - 1)))]


def grouped(tf):
    """scan, group_by_window and choices."""
    D = tf.data.Dataset

    def grown(state, x):
        return tf.concat([state, [x]], 0), tf.reduce_sum(state) * x

    def count(state, x):
        return (state[0] + 1, state[1]), {"n": state[0], "text": tf.strings.join([state[1], tf.strings.as_string(x)])}

    threes = dict(key_func=lambda x: x % 3, reduce_func=lambda key, d: d.batch(9).map(lambda rows: (key, rows)))
    sizes = D.range(20).group_by_window(**threes, window_size_func=lambda key: key + 2)
    a, b = D.range(3), D.range(10, 15)
    choices = D.from_tensor_slices(np.array([1, 0, 0, 1, 0, 0, 1, 1, 1, 1], np.int64))
    return [all_of(d) for d in (
        D.range(6).scan(np.int64(0), lambda s, x: (s + x, s * 10)), D.range(4).scan(np.zeros(1, np.int64), grown),
        D.range(3).scan((np.int64(7), "t"), count), D.range(4).scan(np.int64(1), lambda s, x: (s + x, s)).shuffle(1).batch(2),
        D.range(10).group_by_window(**threes, window_size=2), D.range(10).group_by_window(**threes, window_size=100), sizes,
        D.range(0).group_by_window(**threes, window_size=2), D.range(7).group_by_window(lambda x: x // 9, lambda k, d: d.skip(1), 3),
        D.choose_from_datasets([a, b], choices), D.choose_from_datasets([a, b], choices, stop_on_empty_dataset=False),
        D.sample_from_datasets([a, b], [0.0, 1.0]), D.sample_from_datasets([a, b], [1.0, 0.0], stop_on_empty_dataset=True))]


def grouping_errors(tf):
    D = tf.data.Dataset
    d = D.range(4)
    return [error_of(f) for f in (
        lambda: d.scan(np.int64(0), lambda s, x: s), lambda: d.scan(np.int64(0), lambda s, x: (1.5, x)),
        lambda: d.group_by_window(lambda x: x, lambda k, w: w), lambda: d.group_by_window(lambda x: x, lambda k, w: w, 2, lambda k: k),
        lambda: d.group_by_window(lambda x: [x, x], lambda k, w: w, 2), lambda: d.group_by_window(lambda x: x, lambda k, w: k, 2),
        lambda: D.choose_from_datasets([], d), lambda: D.choose_from_datasets([d], D.from_tensors(1.5)),
        lambda: list(D.choose_from_datasets([d], d)), lambda: D.sample_from_datasets([d, d], [1.0]),
        lambda: list(d.group_by_window(lambda x: x, lambda k, w: w, window_size_func=lambda k: k - 1)))]


def windows(tf):
    D = tf.data.Dataset

    def nested(d):
        return [[plain(list(part)) for part in (w if isinstance(w, tuple) else (w,))] for w in d]

    pairs = D.from_tensor_slices(([1, 2, 3], ["a", "b", "c"]))
    named = D.from_tensor_slices({"x": [1, 2, 3]})
    return [nested(D.range(7).window(3)), nested(D.range(7).window(3, 1, 2)), nested(D.range(7).window(3, drop_remainder=True)),
            nested(pairs.window(2)), [plain(list(w["x"])) for w in named.window(2)], repr(D.range(7).window(2).element_spec),
            repr(pairs.window(2).element_spec), all_of(D.range(7).window(3, 2).flat_map(lambda w: w.batch(3))),
            all_of(pairs.window(2).flat_map(lambda a, b: D.zip((a.batch(2), b.batch(2))))),
            all_of(D.range(8).window(3, shift=1, drop_remainder=True).flat_map(lambda w: w.batch(3, drop_remainder=True)).map(
                lambda w: (w[:-1], w[-1]))),
            all_of(D.range(5).window(2).flat_map(lambda w: w.map(lambda x: x * 2).take(1)))]


def reduced(tf):
    D = tf.data.Dataset
    return [plain(x) for x in (
        D.range(5).reduce(tf.constant(0, tf.int64), lambda s, x: s + x), D.range(0).reduce(7, lambda s, x: s),
        D.range(5).reduce(np.int64(0), lambda s, _: s + 1),
        D.zip((D.range(3), D.range(3))).reduce((tf.constant(0, tf.int64), 1), lambda s, x: (s[0] + x[0] * x[1], s[1] + 1)),
        D.range(3).reduce({"n": 0}, lambda s, _: {"n": s["n"] + 1}))]


def generated(tf):
    D, S = tf.data.Dataset, tf.TensorSpec

    def count(stop=3):
        for i in range(stop):
            yield i

    def ragged():
        yield [1]
        yield [1, 2]

    def pairs():
        yield np.ones(2, np.float32), "a"
        yield [3, 4], b"b"

    def named():
        yield {"a": 1, "b": [1.5]}

    return [all_of(d) for d in (
        D.from_generator(count, output_signature=S([], tf.int32)), D.from_generator(count, tf.int64, args=[5]),
        D.from_generator(count, tf.int64, [], [2]), D.from_generator(ragged, output_signature=S([None], tf.int64)),
        D.from_generator(pairs, output_signature=(S([2], tf.float32), S([], tf.string))),
        D.from_generator(pairs, (tf.float32, tf.string), ([2], [])), D.from_generator(lambda: iter([]), tf.float32),
        D.from_generator(named, output_signature={"a": S([], tf.int32), "b": S([1], tf.float32)}),
        D.from_generator(count, output_signature=S([], tf.int32)).map(lambda x: x * 2, num_parallel_calls=2).batch(2).prefetch(1),
        D.from_generator(count, output_signature=S([], tf.int32)).repeat(2))]


def files(tf):
    D = tf.data.Dataset
    folder = tempfile.mkdtemp()
    names = []
    for i, text in enumerate(["a\nb\r\nc", "", "d\n"]):
        names.append(os.path.join(folder, f"{i}.txt"))
        with open(names[-1], "w", newline="") as file:
            file.write(text)
    table = os.path.join(folder, "t.csv")
    with open(table, "w") as file:
        file.write("n,x,t,w\n1,2.5,a,9\n2,,\"b,c\",8\n3,4.5,,7\n")
    records = os.path.join(folder, "r.tfrecord")
    with tf.io.TFRecordWriter(records) as writer:
        for i in range(3):
            writer.write(bytes([i] * i))
    packed = os.path.join(folder, "r.gz")
    with tf.io.TFRecordWriter(packed, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        writer.write(b"zip")
    csv = tf.data.experimental.CsvDataset
    listed = [os.path.basename(p) for p in plain(list(D.list_files(folder + "/*.txt", shuffle=False)))]
    shuffled = sorted(os.path.basename(p) for p in plain(list(D.list_files([folder + "/0*", folder + "/1*"]))))
    made = tf.data.experimental.make_csv_dataset(table, 2, label_name="n", num_epochs=1, shuffle=False)
    return [all_of(d) for d in (
        tf.data.TextLineDataset(names), tf.data.TextLineDataset(names[0]), tf.data.TextLineDataset(D.from_tensor_slices(names)),
        D.from_tensor_slices(names).interleave(tf.data.TextLineDataset, cycle_length=2),
        tf.data.TFRecordDataset(records), tf.data.TFRecordDataset([records, records]),
        tf.data.TFRecordDataset(packed, compression_type="GZIP"),
        csv(table, [tf.int32, [0.5], tf.constant(["none"]), tf.int64], header=True),
        csv([table], [tf.int64, "-"], header=True, select_cols=[0, 2]))] + [
            listed, shuffled, plain([element for element in made.take(2)]), sorted(made.element_spec[0])]


def reading(tf):
    D = tf.data.Dataset
    iterator = iter(D.range(2))
    optional = iterator.get_next_as_optional()
    out = [bool(optional.has_value()), plain(optional.get_value()), plain(iterator.get_next()),
           bool(iterator.get_next_as_optional().has_value()), repr(iterator.element_spec)]
    out += [plain(list(D.from_tensor_slices(({"a": [1, 2]}, ["x", "y"])).as_numpy_iterator())), len(D.range(5)),
            bool(D.range(0)), plain(D.range(1).get_single_element()), repr(D.range(3).batch(2)), repr(D.range(3).map(lambda x: x))]
    shuffled = D.range(20).shuffle(5, seed=1)
    first, second = plain(list(shuffled)), plain(list(shuffled))
    fixed = D.range(20).shuffle(20, seed=1, reshuffle_each_iteration=False)
    return out + [sorted(first), sorted(second), first != second, plain(list(fixed)) == plain(list(fixed)),
                  sorted(plain(list(D.range(9).shuffle(3).repeat(2).batch(4).unbatch()))), max(first[0], first[1]) < 7]


def refused(tf):
    D, S = tf.data.Dataset, tf.TensorSpec
    int32 = S([], tf.int32)
    return [error_of(f) for f in (
        lambda: D.from_tensor_slices(([1, 2], [1, 2, 3])), lambda: D.from_tensor_slices(3), lambda: len(D.range(5).repeat()),
        lambda: len(D.range(5).filter(lambda x: x > 2)), lambda: D.range(3).filter(lambda x: x),
        lambda: D.range(3).concatenate(D.from_tensors(1.)), lambda: D.range(3).batch(0), lambda: D.range(3).shard(2, 3),
        lambda: D.range(10).shuffle(0), lambda: D.list_files("/nonexistent/*"), lambda: list(tf.data.TextLineDataset("/nonexistent")),
        lambda: list(tf.data.TFRecordDataset(__file__)), lambda: iter(D.range(0)).get_next(), lambda: next(iter(D.range(0))),
        lambda: D.range(3).get_single_element(), lambda: D.range(2).window(2).as_numpy_iterator(),
        lambda: list(D.from_generator(lambda: iter([[1, 2]]), output_signature=int32)),
        lambda: list(D.from_generator(lambda: iter(["a"]), output_signature=int32)), lambda: D.from_generator([1], int32),
        lambda: list(D.range(3).map(lambda x: tf.constant(1, tf.int64) // x)),
        lambda: D.zip((D.range(2), 3)), lambda: list(D.range(3).map(lambda x: tf.zeros([x])).batch(2)),
        lambda: D.range(3).reduce(tf.constant(0.), lambda s, x: x), lambda: D.range(2).apply(lambda d: 3),
        lambda: list(D.from_tensor_slices(["a"]).map(tf.io.read_file)),
        lambda: setattr(tf.data.Options(), "no_such", 1))]


def stored(tf):
    D = tf.data.Dataset
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "saved")
        for dataset in (D.range(4), D.from_tensor_slices({"x": [[1., 2.], [3., 4.]], "y": (["a", "b"], [1, 2])}),
                        D.range(5).batch(2), D.from_tensor_slices(tf.ragged.constant([[1], [2, 3], []])).batch(2)):
            dataset.save(path)
            loaded = D.load(path)
            found.append([[plain(e.to_list() if hasattr(e, "to_list") else e) for e in loaded],
                          loaded.element_spec == dataset.element_spec])
        D.range(6).save(path, shard_func=lambda x: x % 2)
        found.append(sorted(plain(list(D.load(path)))))
        taken = D.range(4).snapshot(os.path.join(folder, "snapshot"))
        found += [plain(list(taken)), plain(list(taken)), plain(list(taken.map(lambda x: x + 1)))]
        found.append(error_of(lambda: D.load(os.path.join(folder, "nothing"))))
    return found


def orders(tf):
    """Shuffles with seeds come in TensorFlow's own orders, pass for pass."""
    D = tf.data.Dataset
    found = []
    for source in (D.range(10), D.range(10).map(lambda x: x), D.from_tensor_slices(list(range(10)))):
        for options in ({"buffer_size": 10, "seed": 1}, {"buffer_size": 4, "seed": 1}, {"buffer_size": 100, "seed": 7},
                        {"buffer_size": 1, "seed": 7}, {"buffer_size": 4, "seed": 1, "reshuffle_each_iteration": False}):
            shuffled = source.shuffle(**options)
            found.append([plain(list(shuffled)) for _ in range(3)])
            for count in (1, 2, 3):
                repeated, batches = source.shuffle(**options).repeat(count), source.shuffle(**options).batch(3).repeat(count)
                found.append([[plain(list(repeated)), [plain(each) for each in batches]] for _ in range(2)])
        found.append(plain(list(source.shuffle(4, seed=3).repeat().take(35))))
        found.append(plain(list(source.shuffle(7, seed=3).shuffle(4, seed=5))))
    tf.random.set_seed(5)
    found += [plain(list(D.range(10).shuffle(4, seed=2))), plain(list(D.range(10).shuffle(4)))]
    tf.random.set_seed(None)
    return found


CASES = [slices, ranges, batches, padded, choices, counts, maps, control_flow, flattened, grouped, grouping_errors, windows,
         reduced, generated, files, reading, refused, stored, orders]
