"""What sparse tensors and the features of Examples that are made of several do, as functions of `tf`."""
from data_cases import error_of, plain
from ragged_cases import shown


def _some(tf):
    a = tf.SparseTensor([[0, 0], [0, 3], [2, 1]], [1., 2., 3.], [3, 4])
    b = tf.SparseTensor([[0, 3], [1, 1]], [-2., 5.], [3, 4])
    texts = tf.SparseTensor([[0, 0], [1, 0], [1, 1]], ["x", "y", "z"], [2, 2])
    return a, b, texts, tf.SparseTensor([[0, 0], [0, 1], [2, 0]], tf.constant([1, 4, 2], tf.int64), [3, 2])


def edits(tf):
    a, b, texts, ids = _some(tf)
    s = tf.sparse
    eager = [s.to_dense(a), s.to_dense(texts, "?"), s.to_dense(texts), s.from_dense([[0, 1], [2, 0]]), s.add(a, b), s.add(a, b, 1e-3),
             s.add(a, tf.ones([3, 4])), s.concat(0, [a, b]), s.concat(1, [a, b]), s.concat(-1, [a, b], expand_nonconcat_dims=True),
             s.expand_dims(a, 0), s.expand_dims(a, -1), s.expand_dims(a, 1), s.fill_empty_rows(a, 9.), s.map_values(tf.square, a),
             s.map_values(tf.add, a, 1.), s.maximum(a, b), s.minimum(a, b), s.reduce_sum(a), s.reduce_sum(a, 0), s.reduce_sum(a, -1, keepdims=True),
             s.reduce_max(a, 1), s.reduce_sum(a, 1, output_is_sparse=True), s.reorder(tf.SparseTensor([[1, 0], [0, 1]], [1, 2], [2, 2])),
             s.reshape(a, [2, 6]), s.reshape(a, [-1, 2]), s.reset_shape(a, [5, 6]), s.reset_shape(a), s.retain(a, [True, False, True]),
             s.slice(a, [0, 1], [3, 3]), s.softmax(a), s.sparse_dense_matmul(a, tf.ones([4, 2])), s.sparse_dense_matmul(a, tf.ones([3, 2]), adjoint_a=True),
             s.sparse_dense_matmul(tf.ones([2, 3]), a), s.split(a, num_split=2, axis=1), s.transpose(a), s.transpose(a, [1, 0]), s.eye(2, 3),
             s.to_indicator(ids, 6), s.segment_sum(tf.ones([4, 2]), [0, 2, 3], [0, 0, 1]), s.segment_mean(tf.ones([4, 2]), [0, 2, 3], [0, 0, 2]),
             s.cross([texts, texts]), s.cross([texts, texts], separator="-"), s.cross_hashed([texts, texts], 50), s.cross_hashed([ids, ids]),
             s.bincount(ids, axis=-1), s.bincount(ids), s.bincount([[1, 1, 2], [0, 3, 3]], axis=-1, minlength=5), s.bincount(
                 tf.ragged.constant([[1, 1], [2]]), axis=-1, binary_output=True), tf.math.bincount(ids, axis=-1),
             s.bincount(ids, axis=-1, weights=tf.SparseTensor(ids.indices, [.5, 1., 2.], [3, 2])),
             a * 2., a * tf.constant([[2.], [3.], [4.]]), a / 2., tf.cast(a, tf.int32), tf.abs(b), tf.square(b), -a if hasattr(a, "__neg__") else s.map_values(tf.negative, a),
             a.shape.as_list(), a.dtype.name, tf.shape(a), s.mask(tf.IndexedSlices(tf.ones([3, 2]), tf.constant([0, 4, 2])), [4]).values]
    traced = tf.function(lambda x, y: (s.to_dense(x), s.add(x, y), s.reduce_sum(x, 1), s.concat(0, [x, y]), s.expand_dims(x, 0), x))(a, b)
    fixed = tf.function(lambda x: s.reduce_sum(x, 1), input_signature=[tf.SparseTensorSpec([None, 4], tf.float32)])
    return [shown(tf, each) for each in eager + [list(traced), fixed(a), fixed(b)]] + [error_of(f) for f in (
        lambda: tf.SparseTensor([0], [1], [1]), lambda: s.to_dense(tf.ones([2])), 
        lambda: s.retain(a, [True]), lambda: s.reset_shape(a, [1, 1]), lambda: tf.SparseTensor([[0, 0]], [1, 2], [1, 1]))]


def gradients(tf):
    _, _, _, ids = _some(tf)
    w, x = tf.Variable([[1., 2.], [3., 4.]]), tf.constant([1., -2., 3.])
    out = []
    for run in (lambda g: g, tf.function):
        @run
        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                a = tf.SparseTensor(ids.indices, x, [3, 2])
                loss = tf.reduce_sum(tf.sparse.sparse_dense_matmul(a, w) ** 2) + tf.reduce_sum(tf.sparse.reduce_sum(a, 1) ** 2)
            return tape.gradient(loss, [x, w])
        out += gradient(x)
    return [shown(tf, each) for each in out]


def lookups(tf):
    a, _, _, ids = _some(tf)
    table = tf.constant([[1., 2.], [3., 4.], [5., 6.], [7., 8.], [9., 10.]])
    weights = tf.SparseTensor(ids.indices, [.5, 1., 2.], [3, 2])
    f = tf.nn.embedding_lookup_sparse
    out = [f(table, ids, None, combiner=c) for c in ("sum", "mean", "sqrtn")] + [f(table, ids, weights, combiner=c) for c in
                                                                               ("sum", "mean", "sqrtn")]
    out += [tf.nn.safe_embedding_lookup_sparse(table, ids), tf.nn.safe_embedding_lookup_sparse(table, ids, default_id=1, combiner="sum")]
    words = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), -1)
    ragged = tf.ragged.constant([["a"], ["b", "c"]])
    out += [words.lookup(ragged), words[ragged], words.lookup(tf.sparse.from_dense([["a", ""], ["c", "b"]]))]
    sets = [tf.sets.intersection(tf.constant([[1, 2], [3, 4]]), tf.constant([[2, 5], [3, 4]])), tf.sets.size(
        tf.sets.union(tf.constant([[1, 2]]), tf.constant([[2, 5]]))), tf.sets.difference(tf.constant([[1, 2]]), tf.constant([[2, 5]]))]
    return [shown(tf, each) for each in out + sets]


def datasets(tf):
    D = tf.data.Dataset
    a, b, texts, ids = _some(tf)
    ds = [D.from_tensors(a), D.from_tensor_slices(a), D.from_tensor_slices(a).batch(2), D.from_tensor_slices(a).batch(2).unbatch(),
          D.from_tensor_slices((texts, [1, 2])).map(lambda t, i: (tf.sparse.to_dense(t, ""), i)), D.from_tensors(a).map(lambda x: tf.sparse.add(x, b)),
          D.range(3).map(lambda i: tf.sparse.from_dense(tf.range(3, dtype=tf.int64) * i)).batch(3), D.from_tensor_slices({"k": ids}).shuffle(1).batch(3),
          D.from_generator(lambda: iter([a, b]), output_signature=tf.SparseTensorSpec([3, 4], tf.float32))]
    return [[repr(d.element_spec), [shown(tf, each) for each in d]] for d in ds]


def _examples(tf):
    t = tf.train

    def example(**features):
        def feature(v):
            return t.Feature(bytes_list=t.BytesList(value=v)) if v and isinstance(v[0], bytes) else t.Feature(
                float_list=t.FloatList(value=v)) if v and isinstance(v[0], float) else t.Feature(int64_list=t.Int64List(value=v))
        return t.Example(features=t.Features(feature={k: feature(v) for k, v in features.items()})).SerializeToString()

    return [example(v=[3, 1, 4, 1, 5, 9], lengths=[2, 4], splits=[0, 1, 6], starts=[0, 2], limits=[3, 6], ids=[0, 0, 0, 1, 1, 3], t=[b"a", b"b"], i=[4, 2], x=[.5, 1.5]),
            example(v=[], lengths=[], splits=[0], starts=[], limits=[], ids=[], i=[]),
            example(v=[7, 8], lengths=[1, 0, 1], splits=[0, 0, 2], starts=[0, 1], limits=[1, 2], ids=[1, 1], t=[b"c"], i=[0], x=[2.5])]


def features(tf):
    serialized = _examples(tf)
    R = tf.io.RaggedFeature
    asked = {"v": R(tf.int64), "t": R(tf.string, row_splits_dtype=tf.int64), "x": tf.io.VarLenFeature(tf.float32),
             "s": tf.io.SparseFeature("i", "x", tf.float32, 6)}
    asked_less = {k: asked[k] for k in ("v", "t", "x")}
    cut = {"lengths": R(tf.int64, "v", [R.RowLengths("lengths")]), "splits": R(tf.int64, "v", [R.RowSplits("splits")]),
           "starts": R(tf.int64, "v", [R.RowStarts("starts")]), "limits": R(tf.int64, "v", [R.RowLimits("limits")]),
           "ids": R(tf.int64, "v", [R.ValueRowIds("ids")]), "uniform": R(tf.int64, "v", [R.UniformRowLength(2)])}
    out = [tf.io.parse_example(serialized, asked), tf.io.parse_single_example(serialized[0], asked_less), tf.io.parse_example(serialized, cut),
           tf.io.parse_single_example(serialized[0], cut), tf.io.parse_single_example(serialized[2], cut)]
    records = tf.data.Dataset.from_tensor_slices(serialized)
    sets = [records.map(lambda s: tf.io.parse_single_example(s, asked_less)).ragged_batch(3), records.batch(2).map(lambda s: tf.io.parse_example(s, asked_less)),
            records.batch(2).map(lambda s: tf.io.parse_example(s, cut))]
    return [shown(tf, {k: each[k] for k in sorted(each)}) for each in out] + [
        [shown(tf, {k: e[k] for k in sorted(e)}) for e in d] for d in sets]


def slices(tf):
    """IndexedSlices beside tensors; gradients made shorter together."""
    s = tf.IndexedSlices(tf.ones([2, 2]), tf.constant([1, 1]), tf.constant([3, 2]))
    three, ones = tf.constant(3.), tf.ones([3, 2])
    clipped, length = tf.clip_by_global_norm([s, None, tf.ones([2])], 1.0)
    lists = [tf.clip_by_global_norm([tf.constant(x)], 1.)[0][0] for x in ([3., 4.], [.3, .4])]
    known = tf.clip_by_global_norm([tf.constant([3., 4.])], 1., use_norm=tf.constant(10.))[0][0]
    return [plain([s * three, three * s, s + ones, ones - s, s - ones]), type(clipped[0]).__name__, clipped[1],
            plain([clipped[0].values, clipped[2], length, tf.linalg.global_norm([s]), lists, known]),
            plain([tf.strided_slice(tf.range(8), [1], [7], [2]), tf.strided_slice(tf.range(8), [1], [7], begin_mask=1),
                   tf.reduce_mean(tf.ragged.constant([[3, 1, 4, 1], [5, 9, 2]]), axis=1)])]


CASES = [edits, gradients, lookups, datasets, features, slices]
