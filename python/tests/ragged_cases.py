"""What ragged tensors do, as functions of `tf` that give plain Python values."""
import numpy as np

from data_cases import error_of


def shown(tf, value):
    """Lists of a tensor of any kind, with its dtype and shape."""
    if isinstance(value, (list, tuple)):
        return [shown(tf, each) for each in value]
    if isinstance(value, dict):
        return {key: shown(tf, each) for key, each in value.items()}
    if isinstance(value, tf.SparseTensor):
        return [shown(tf, part) for part in (value.indices, value.values, value.dense_shape)]
    if isinstance(value, tf.RaggedTensor):
        return [texts(value.to_list()), value.dtype.name, value.shape.as_list(), value.ragged_rank]
    if isinstance(value, tf.Tensor):
        found = value.numpy()
        return [texts(found.tolist() if hasattr(found, "tolist") else found), value.dtype.name, value.shape.as_list()]
    return texts(value)


def texts(value):
    if isinstance(value, list):
        return [texts(each) for each in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _some(tf):
    r = tf.ragged.constant
    return (r([[3, 1, 4, 1], [], [5, 9, 2], [6], []]), r([[1.5, -2.], [], [0.25]]), r([[[1, 2], [3]], [], [[4, 5, 6]]]),
            r([[[1, 2], [3, 4]], [[5, 6]]], ragged_rank=1), r([["a", "bcd"], [], ["ef"]]))


def made(tf):
    R, x = tf.RaggedTensor, tf.constant([3, 1, 4, 1, 5, 9, 2, 6])
    out = [R.from_row_splits(x, [0, 4, 4, 7, 8, 8]), R.from_row_lengths(x, [4, 0, 3, 1, 0]),
           R.from_value_rowids(x, [0, 0, 0, 0, 2, 2, 2, 3], nrows=5), R.from_value_rowids(x, [0, 0, 0, 0, 2, 2, 2, 3]),
           R.from_row_starts(x, [0, 4, 4, 7, 8]), R.from_row_limits(x, [4, 4, 7, 8, 8]), R.from_uniform_row_length(x, 2),
           R.from_uniform_row_length(x, 4), R.from_nested_row_splits(x, [[0, 3, 3, 5], [0, 4, 4, 7, 8, 8]]),
           R.from_nested_row_lengths(x, [[2, 0, 3], [4, 0, 3, 1, 0]]),
           R.from_nested_value_rowids(x, [[0, 0, 2], [0, 0, 1, 1, 1, 2, 2, 2]], [4, 3])]
    dense = tf.constant([[1, 2, 0], [0, 0, 0], [3, 0, 4], [5, 0, 0]])
    cube = tf.constant([[[5, 0, 7], [0, 0, 0]], [[6, 0, 0], [0, 0, 0]]])
    out += [R.from_tensor(dense), R.from_tensor(dense, lengths=[1, 0, 3, 2]), R.from_tensor(dense, padding=0),
            R.from_tensor(cube, lengths=([2, 1], [3, 0, 3])), R.from_tensor(cube, ragged_rank=2),
            R.from_tensor(cube, padding=0, ragged_rank=2), R.from_tensor(cube, padding=[0, 0, 0]), R.from_tensor(cube)]
    sparse = tf.SparseTensor([[0, 0], [0, 1], [2, 0]], [1, 2, 3], [4, 3])
    out += [R.from_sparse(sparse)]
    c = tf.ragged.constant
    out += [c([[1, 2], [3]]), c([[], []]), c([[[]], []]), c([[1.5], []], dtype="float64"), c([[[1], [2]], [[3]]]),
            c([[[1, 2]], [[3, 4], [5, 6]]], ragged_rank=1), c([[[1, 2]], []], inner_shape=(2,)), c([["x"], ["y", "z"]]),
            c([[True], []]), c([[1]], row_splits_dtype="int32"), c([], ragged_rank=1), c([[[1, 2], [3]], []]),
            c(np.array([np.array([1, 2]), np.array([3])], dtype=object)), c([[2 ** 40]])]
    for f in (lambda: c([1, [2]]), lambda: c([[1], 2]), lambda: c([[[1]], [2]]), lambda: c([[1]], ragged_rank=3),
              lambda: R.from_row_splits(x, [1, 8]), lambda: R.from_row_splits(x, [0, 5, 3, 8]),
              lambda: R.from_row_splits(x, [0, 5]), lambda: R.from_row_lengths(x, [4, 5]), lambda: R.from_row_splits(x, []),
              lambda: R.from_value_rowids(x, [0, 0, 2, 1, 1, 1, 1, 1]), lambda: R.from_uniform_row_length(x, 3),
              lambda: R(x, [0, 8]), lambda: R.from_tensor(dense, lengths=[1, 0, 3, 2], padding=0)):
        out.append(error_of(f))
    return [shown(tf, each) for each in out]


def parts(tf):
    ints, reals, deep, pairs, words = _some(tf)
    out = []
    for r in (ints, reals, deep, pairs, words):
        out += [r.values, r.flat_values, r.row_splits, list(r.nested_row_splits), r.row_lengths(), r.row_starts(),
                r.row_limits(), r.value_rowids(), r.nrows(), r.bounding_shape(), list(r.nested_row_lengths()),
                list(r.nested_value_rowids()), r.to_tensor(), r.to_sparse(), r.with_values(r.values), r.ragged_rank,
                r.bounding_shape(1), r.merge_dims(0, 1)]
    out += [deep.row_lengths(2), pairs.row_lengths(2), deep.merge_dims(1, 2), deep.merge_dims(0, 2), pairs.merge_dims(1, 2),
            ints.to_tensor(default_value=-1), ints.to_tensor(shape=[None, 2]), ints.to_tensor(shape=[6, 5]),
            deep.to_tensor(shape=[None, 1, None]), words.to_tensor("?"), ints.with_row_splits_dtype("int32").row_splits,
            repr(ints), repr(words), repr(reals), repr(deep), ints.numpy().tolist()[3].tolist(),
            tf.RaggedTensor.from_row_lengths([1, 2, 3, 4], [2, 2]).numpy()]
    return [shown(tf, each if not isinstance(each, np.ndarray) else each.tolist()) for each in out]


def indices(tf):
    ints, _, deep, pairs, words = _some(tf)
    uniform = tf.RaggedTensor.from_uniform_row_length(tf.ragged.constant([[1], [2, 3], [], [4, 5, 6]]), 2)
    out = []
    for r in (ints, deep, pairs, words):
        out += [r[0], r[1], r[-1], r[tf.constant(1)], r[1:], r[:-1], r[1:2], r[::2], r[::-1], r[5:], r[:0], r[:, 1:], r[:, :1],
                r[:, -1:], r[:, ::2], r[:, ::-1], r[:, 5:], r[..., :1], r[tf.newaxis], r[:, tf.newaxis], r[1:, :2], r[0, 1:],
                r[:, 2:0:-1], r[:, -3:-1]]
    out += [ints[0, 1], deep[0, 0], deep[0, 0, 1], deep[:, :, 1:], deep[:, 1:, :1], pairs[..., 0], pairs[:, :, 1], pairs[0, 1, 1],
            uniform, uniform[0], uniform[:, 1], uniform[:, -1], uniform[1, 0], uniform[:, :1], pairs[:, :, tf.newaxis]]
    for f in (lambda: ints[:, 0], lambda: deep[:, 0], lambda: ints[0.5], lambda: ints[ints > 2], lambda: ints[7], lambda: ints[tf.constant(9)]):
        out.append(error_of(f))
    return [shown(tf, each) for each in out]


def arithmetic(tf):
    ints, reals, deep, pairs, words = _some(tf)
    other = ints * 2
    column, row = tf.constant([[1], [2], [3], [4], [5]]), tf.constant([[10.], [20.], [30.]])
    out = [ints + 1, 1 - ints, ints + other, -ints, abs(ints), ints // 2, ints % 3, reals / 2., 2. / (reals + 3.), reals ** 2.,
           ints > 2, ints == other, ints != other, ints <= other, ~(ints > 2), (ints > 2) & (ints < 5), (ints > 2) | (ints < 2),
           ints + column, column * ints, reals * row, reals + tf.constant([[1.]]), deep + 1, deep * tf.constant([[[2]], [[3]], [[4]]]),
           pairs + tf.constant([10, 20]), pairs * tf.ragged.constant([[[1], [2]], [[3]]], ragged_rank=1), tf.add(ints, 1), tf.square(reals),
           tf.exp(reals), tf.cast(ints, "float32"), tf.cast(reals, tf.int64), tf.maximum(ints, 3), tf.clip_by_value(ints, 2, 5),
           tf.zeros_like(ints), tf.ones_like(reals), tf.identity(ints), tf.nn.relu(reals), tf.math.log1p(tf.abs(reals)),
           tf.one_hot(ints, 10, dtype="int32"), tf.where(ints > 2, ints, -ints), tf.where(ints > 2, ints, 0), tf.where(ints > 2),
           tf.math.floormod(ints, 3), tf.round(reals), tf.equal(words, "a"), tf.size(ints), tf.rank(deep),
           np.array(2, np.int32) * ints, ints + np.array([[1], [2], [3], [4], [5]], np.int32), tf.nn.softmax(reals)]
    out += [error_of(f) for f in (lambda: ints + tf.ragged.constant([[1], [2], [3], [4], [5]]), lambda: ints + 1.5,
                                  lambda: ints + tf.constant([1, 2, 3]), lambda: bool(ints), 
                                  lambda: len(ints), lambda: hash(ints))]
    return [shown(tf, each) for each in out]


def reductions(tf):
    ints, reals, deep, pairs, _ = _some(tf)
    flags = ints > 2
    out = []
    for name in ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod"):
        f = getattr(tf, name)
        out += [f(ints), f(ints, 0), f(ints, 1), f(ints, -1), f(ints, axis=1, keepdims=True), f(deep, 2), f(deep, 1), f(pairs, 1),
                f(pairs, 2), f(deep), f(deep, [1, 2])]
    out += [tf.reduce_mean(reals), tf.reduce_mean(reals, 0), tf.reduce_mean(tf.cast(deep, "float32"), [1, 2]),
            tf.reduce_mean(tf.ragged.constant([[1., 2.], [3.]]), 1), tf.reduce_any(flags, 1), tf.reduce_all(flags, 1),
            tf.reduce_any(flags), tf.math.reduce_variance(tf.ragged.constant([[1., 2.], [3.]]), axis=1),
            tf.math.reduce_std(tf.ragged.constant([[1., 4.], [3.]]), axis=1),
            tf.math.bincount(ints, axis=-1), tf.math.bincount(ints, axis=-1, minlength=12, binary_output=True),
            tf.math.bincount(ints)]
    out += [error_of(f) for f in (lambda: tf.reduce_sum(ints, 2),)]
    return [shown(tf, each) for each in out]


def joined(tf):
    ints, reals, deep, pairs, words = _some(tf)
    out = [tf.concat([ints, ints + 1], 0), tf.concat([ints, ints + 1], 1), tf.concat([deep, deep], 0), tf.concat([deep, deep], 1),
           tf.concat([deep, deep + 10], 2), tf.concat([ints, tf.constant([[7], [8], [9], [1], [2]])], 1),
           tf.concat([ints, tf.constant([[7, 8]])], 0), tf.stack([ints, ints]), tf.stack([ints, ints + 1], 1),
           tf.stack([ints, ints + 1], 2), tf.ragged.stack([[1, 2], [3]]), tf.ragged.stack([tf.constant([1]), tf.constant([2, 3])]),
           tf.ragged.stack([ints, ints[:1]]), tf.expand_dims(ints, 0), tf.expand_dims(ints, 1), tf.expand_dims(ints, 2),
           tf.expand_dims(ints, -1), tf.squeeze(tf.ragged.constant([[1], [2]]), 1), tf.squeeze(tf.expand_dims(ints, 0), 0),
           tf.gather(ints, [2, 0]), tf.gather(ints, [[2, 0], [1, 1]]), tf.gather(tf.constant([10, 20, 30]), tf.ragged.constant([[0], [2, 1]])),
           tf.gather(ints, tf.ragged.constant([[0], [2, 3]])), tf.gather(deep, [2]), tf.gather(pairs, [1, 0]),
           tf.gather(ints, 2), tf.tile(ints, [2, 1]), tf.tile(ints, [1, 2]), tf.reverse(ints, [0]), tf.reverse(ints, [1]),
           tf.ragged.boolean_mask(ints, ints > 2), tf.ragged.boolean_mask([[1, 2], [3, 4]], [[True, False], [False, False]]),
           tf.ragged.boolean_mask(ints, [True, False, True, False, True]),
           tf.ragged.boolean_mask([1, 2, 3], [True, False, True]),
           tf.ragged.range([3, 0, 2]), tf.ragged.range([0, 5], [4, 6]), tf.ragged.range([0, 5], [4, 9], 2), tf.ragged.range(3.),
           tf.ragged.map_flat_values(tf.add, ints, 5), tf.ragged.row_splits_to_segment_ids([0, 3, 3, 5]),
           tf.ragged.segment_ids_to_row_splits([0, 0, 2, 2]), tf.ragged.cross([words, words]),
           tf.ragged.cross_hashed([words, words], num_buckets=100),
           tf.ragged.stack_dynamic_partitions(["a", "b", "c", "d"], [1, 0, 3, 1], 5),
           tf.map_fn(tf.reduce_sum, ints, fn_output_signature=tf.int32), tf.nn.embedding_lookup(tf.eye(10), ints),
           [row for row in ints]]
    return [shown(tf, each) for each in out]


def strings(tf):
    s, words = tf.strings, tf.ragged.constant([["Ab c", "d"], [], ["E  f g"]])
    vector = tf.constant(["the quick", "", "brown  fox jumps"])
    out = [s.split(vector), s.split("a b"), s.split(["a,b", "c,,d"], ","), s.split(["a b c"], maxsplit=1), s.split([["a b"], ["c"]]),
           s.split(words), s.lower(words), s.upper(words), s.length(words), s.strip(words), s.regex_replace(words, "[A-Z]", "_"),
           s.substr(words, 0, 1), s.join([words, words], "-"), s.join([words, "!"]), s.to_hash_bucket_fast(words, 100),
           s.to_number(tf.ragged.constant([["1", "2"], []])), s.as_string(tf.ragged.constant([[1, 2], []])),
           s.reduce_join(words, axis=-1, separator="+"), s.reduce_join(s.split(vector), axis=-1, separator=" "),
           s.bytes_split(["abc", "", "d\xe9"]), s.bytes_split("xy"), s.bytes_split(words),
           s.ngrams(s.split(vector), 2), s.ngrams(["a", "b", "c"], 2), s.ngrams(s.split(vector), [1, 2], separator="|"),
           s.ngrams(s.split(vector), 2, pad_values=("<", ">")), s.ngrams(["a", "b"], 3, preserve_short_sequences=True),
           s.ngrams([["a", "b", "c"], ["d", "e", "f"]], 2)]
    texts_ = ["h\xe9llo", "", "\u4f60\u597d", "\U0001f600x"]
    out += [s.unicode_decode(texts_, "UTF-8"), s.unicode_decode(texts_[2], "UTF-8"),
            list(s.unicode_decode_with_offsets(texts_, "UTF-8")), s.unicode_split(texts_, "UTF-8"), s.unicode_split(texts_[0], "UTF-8"),
            list(s.unicode_split_with_offsets(texts_, "UTF-8")), s.unicode_encode(s.unicode_decode(texts_, "UTF-8"), "UTF-8"),
            s.unicode_encode([72, 105], "UTF-8"), s.unicode_encode([[72, 105], [74, 75]], "UTF-16-BE"),
            s.unicode_script(s.unicode_decode(texts_, "UTF-8")), s.unicode_transcode(words, "UTF-8", "UTF-16-BE"),
            s.unicode_decode(words, "UTF-8"), s.unicode_decode([b"a\xff"], "UTF-8", errors="ignore")]
    return [shown(tf, each) for each in out]


def functions(tf):
    ints, reals, deep, pairs, words = _some(tf)
    traces = []

    @tf.function
    def twice(r):
        traces.append(1)
        return {"doubled": r * 2, "rows": r.row_lengths(), "dense": r.to_tensor()}

    out = [twice(ints), twice(ints + 1), twice(deep), len(traces)]
    sentence = tf.function(lambda s: tf.strings.split(s), input_signature=[tf.TensorSpec([None], tf.string)])
    out += [sentence(["a b", "c"]), sentence(["d"])]
    fixed = tf.function(lambda r, n: tf.reduce_sum(r, 1) + n, input_signature=[
        tf.RaggedTensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.int32)])
    out += [fixed(ints, 1), fixed(ints[:2], 5)]
    inner = tf.function(lambda r: (r[1:], r[:, 1:], tf.concat([r, r], 1), tf.gather(r, [0]), tf.expand_dims(r, 1), r[0],
                                   tf.stack([r, r]), tf.where(r > 2, r, 0), r + tf.constant([[1], [2], [3], [4], [5]])))
    out += [list(inner(ints))]

    @tf.function
    def branch(r, flag):
        if flag:
            out = tf.reduce_sum(r, 1)
        else:
            out = tf.reduce_max(r + 0 * r, 1)
        return out

    out += [branch(ints, tf.constant(True)), branch(ints, tf.constant(False))]
    spec = tf.RaggedTensorSpec([None, None], tf.int32)
    out += [repr(tf.type_spec_from_value(ints)) if hasattr(tf, "type_spec_from_value") else "", spec.is_compatible_with(ints),
            spec.is_compatible_with(reals), spec == tf.RaggedTensorSpec([None, None], tf.int32), spec.shape.as_list(), spec.ragged_rank,
            repr(spec)]
    out += [tf.nest.flatten({"a": ints, "b": 1}, expand_composites=True), len(tf.nest.flatten([ints, deep], expand_composites=True)),
            tf.nest.map_structure(lambda x: x, [ints]), tf.nest.pack_sequence_as(
                [ints], tf.nest.flatten([ints], expand_composites=True), expand_composites=True)]
    return [shown(tf, each) for each in out if not isinstance(each, str) or
                                                                each.startswith("RaggedTensorSpec(TensorShape")]


def gradients(tf):
    table = tf.Variable([[1., 2.], [3., 4.], [5., 6.]])
    ids = tf.ragged.constant([[0, 2], [], [1]])
    out = []
    for f in (lambda e: tf.reduce_sum(tf.reduce_mean(e[:1], 1) ** 2), lambda e: tf.reduce_sum(e.to_tensor(2.) ** 2),
              lambda e: tf.reduce_sum(tf.reduce_sum(e * e, 1) * [[1.], [2.], [3.]]), lambda e: tf.reduce_sum(tf.concat([e, e * 2], 1).flat_values),
              lambda e: tf.reduce_sum(tf.gather(e, [0, 0]).flat_values ** 2), lambda e: tf.reduce_sum(e[:, 1:].flat_values * 3.),
              lambda e: tf.reduce_sum(tf.reduce_max(e[:1], 1))):
        for run in (lambda g: g, tf.function):
            @run
            def gradient(f=f):
                with tf.GradientTape() as tape:
                    loss = f(tf.nn.embedding_lookup(table, ids))
                return loss, tf.convert_to_tensor(tape.gradient(loss, table))
            out.append(gradient())
    x = tf.ragged.constant([[1., 2.], [3.]])
    with tf.GradientTape() as tape:
        tape.watch(x.flat_values)
        y = tf.reduce_sum(x * x)
    return [shown(tf, each) for each in out] + [shown(tf, tape.gradient(y, x.flat_values))]


def datasets(tf):
    D = tf.data.Dataset
    ints, _, deep, pairs, words = _some(tf)

    def spec(d):
        return repr(d.element_spec)

    def listed(d):
        return [shown(tf, each) for each in d]

    ds = [D.from_tensors(ints), D.from_tensor_slices(ints), D.from_tensor_slices(ints).batch(2), D.from_tensor_slices(deep),
          D.from_tensor_slices(deep).batch(2), D.from_tensor_slices(ints).batch(2).batch(2), D.from_tensor_slices((ints, [1, 2, 3, 4, 5])).batch(3),
          D.from_tensor_slices({"a": words}).map(lambda e: {"b": tf.strings.length(e["a"])}), D.from_tensor_slices(pairs).batch(2),
          D.from_tensor_slices(["a b", "c", "d e f"]).map(tf.strings.split), D.from_tensor_slices(["a b", "c", "d e f"]).batch(2).map(tf.strings.split),
          D.from_tensor_slices(["a b", "c", "d e f"]).map(tf.strings.split).ragged_batch(2), D.from_tensor_slices(ints).batch(3).unbatch(),
          D.range(4).map(lambda i: tf.range(i)).ragged_batch(3), D.range(5).map(lambda i: tf.ones([i, i + 1])).ragged_batch(2, drop_remainder=True),
          D.range(3).map(lambda i: tf.RaggedTensor.from_row_lengths(tf.range(i + 2), [i, 2])), D.range(3).map(
              lambda i: tf.RaggedTensor.from_row_lengths(tf.range(i + 2), [i, 2])).batch(2),
          D.from_tensors(ints).map(lambda r: r + 1).map(lambda r: tf.reduce_sum(r, 1)), D.from_tensor_slices(ints).shuffle(1).repeat(2).take(7).skip(4),
          D.zip((D.from_tensor_slices(ints), D.range(5))).filter(lambda r, i: i > 2), D.from_tensor_slices(ints).concatenate(D.from_tensor_slices(ints)).batch(10),
          D.from_tensor_slices(ints).batch(2, drop_remainder=True), D.from_tensors(ints).cache().prefetch(1),
          D.from_generator(lambda: iter([ints, ints[:1]]), output_signature=tf.RaggedTensorSpec([None, None], tf.int32)),
          D.from_tensor_slices(ints).window(2).flat_map(lambda w: w.batch(2))]
    out = [[spec(d), listed(d)] for d in ds]
    total = D.from_tensor_slices(ints).batch(2).reduce(0, lambda s, r: s + tf.reduce_sum(r))
    arrays = [each.tolist() for each in D.from_tensor_slices(ints).as_numpy_iterator()]
    return out + [shown(tf, total), arrays, error_of(lambda: D.from_tensors(ints).padded_batch(2))]


CASES = [made, parts, indices, arithmetic, reductions, joined, strings, functions, gradients, datasets]
