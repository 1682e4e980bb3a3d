"""Functions that few programs use, gradients of rows that were looked up, generators of random numbers: as functions of `tf` that
give plain Python values."""
import os
import tempfile

import numpy as np

from data_cases import error_of, plain


def _matrices(tf):
    draw = np.random.default_rng(3)
    a = tf.constant(draw.normal(size=(4, 4)), tf.float32)
    return a, a @ tf.transpose(a) + 4 * tf.eye(4), tf.constant(draw.normal(size=(4, 2)), tf.float32)


def _close(value):
    """With the digits that two ways to compute a decomposition agree in."""
    return plain([np.round(x.numpy().astype("float64"), 3) + 0. for x in value])


def linalg(tf):
    a, s, b = _matrices(tf)
    n = tf.linalg
    lu = n.lu(s)
    bands = tf.constant([[1., 1, 0], [4, 4, 4], [0, 1, 1]])
    return _close([n.cholesky_solve(n.cholesky(s), b), n.expm(a * .1), *n.normalize(a, axis=1), n.sqrtm(s), n.lu_solve(*lu, b),
                   n.lu_reconstruct(*lu), n.lu_matrix_inverse(*lu), n.lstsq(s, b, fast=False), n.tensor_diag([1., 2.]),
                   n.tensor_diag_part([[1., 2.], [3., 4.]]), n.tridiagonal_solve(bands, tf.constant([1., 2., 3.])),
                   n.tridiagonal_solve(bands, b[:3]), n.tridiagonal_matmul(bands, b[:3]), n.eye(2, 3),
                   n.tridiagonal_solve([bands[0, :2], bands[1], bands[2, 1:]], b[:3], diagonals_format="sequence")])


def math(tf):
    m, x = tf.math, tf.constant([[.1, .5, -.3], [.9, .2, .4]])
    ones = [m.softsign, m.zero_fraction, m.cumulative_logsumexp, m.is_non_decreasing, m.is_strictly_increasing,
            m.reciprocal_no_nan, m.special.dawsn, m.special.spence, m.special.fresnel_sin, m.special.bessel_j0]
    positive = tf.abs(x)
    return [plain(f(x)) for f in ones] + [plain(y) for y in (
        m.polyval([1., 2., 3.], x), m.lbeta(positive), m.betainc(1., 2., positive), m.xlog1py(1., x), m.erfcinv(positive),
        m.scalar_mul(2., x), m.accumulate_n([x, x]), m.unsorted_segment_mean(x, [1, 1], 3),
        m.unsorted_segment_sqrt_n(x, [1, 1], 3), m.special.expint(positive), m.special.bessel_k0(positive))]


def arrays(tf):
    sparse = tf.sparse.from_dense
    grid = tf.reshape(tf.range(16.), [1, 4, 4, 1])
    return plain([
        tf.dynamic_partition([1, 2, 3, 4], [0, 1, 0, 1], 2), tf.dynamic_stitch([[0, 2], [1, 3]], [[1, 3], [2, 4]]),
        tf.unravel_index([5, 7], [3, 3]), tf.edit_distance(sparse([[1, 2, 3]]), sparse([[1, 3, 3]])),
        tf.space_to_batch(grid, [2, 2], [[0, 0], [0, 0]]), tf.batch_to_space(tf.reshape(grid, [4, 2, 2, 1]), 2, [[0, 0], [0, 0]]),
        tf.identity_n([1, 2.]), tf.realdiv(1., 3.), tf.foldr(lambda a, b: a - b, tf.constant([1, 2, 3])),
        tf.fingerprint(tf.constant(["a", "b"])), tf.shape_n([grid, grid[0]]), tf.constant_initializer(3.)([2]),
        tf.zeros_initializer()([2], "int32"), tf.ones_initializer()([1, 2]), list(tf.random_normal_initializer()([2, 3]).shape),
        [tf.errors.INVALID_ARGUMENT, tf.errors.OUT_OF_RANGE, tf.half.name, tf.double.name, tf.get_logger().name],
        tf.quantization.fake_quant_with_min_max_args([.3, 7.])])


def signals(tf):
    s, x = tf.signal, tf.constant([[1., 5., 2., 4.], [0., 1., -2., .5]])
    return plain([f(x) for f in (s.dct, s.idct, s.fftshift, s.ifftshift, s.mfccs_from_log_mel_spectrograms)] + [
        s.dct(x, kind, norm=norm) for kind, norm in ((1, None), (2, "ortho"), (3, None), (3, "ortho"), (4, None), (4, "ortho"))] + [
        s.dct(x, n=6), s.dct(x, n=3), s.idct(s.dct(x, norm="ortho"), norm="ortho"), tf.abs(s.rfft2d(x)), tf.abs(s.rfft2d(x, [4, 6])),
        s.irfft2d(s.rfft2d(x)), s.vorbis_window(5), s.linear_to_mel_weight_matrix(4, 9, 8000., 100., 3800.)])


def checks(tf):
    d, x, y = tf.debugging, tf.constant([1., 2.]), tf.constant([1., 3.])
    d.disable_check_numerics()
    calls = [
        lambda: d.assert_near(x, y), lambda: d.assert_near(x, x + 1e-7), lambda: d.assert_near(x, y, rtol=1.),
        lambda: d.assert_all_finite([np.nan], "m"), lambda: d.assert_positive([-1]), lambda: d.assert_negative(x),
        lambda: d.assert_non_negative(x), lambda: d.assert_non_positive(x), lambda: d.assert_none_equal(x, y),
        lambda: d.assert_rank(x, 1), lambda: d.assert_rank(x, 2), lambda: d.assert_rank_at_least(x, 2),
        lambda: d.assert_rank_in(x, (2, 3)), lambda: d.assert_scalar(x), lambda: d.assert_scalar(1.),
        lambda: d.assert_type(x, tf.int32), lambda: d.assert_integer(x), lambda: d.assert_shapes([(x, ("N",)), (y, ("N",))]),
        lambda: d.assert_shapes([(x, ("N", "M"))]), lambda: d.assert_shapes([(x, (3,))]), lambda: d.assert_equal(x, y, "m"),
        lambda: d.assert_proper_iterable(x), lambda: d.assert_proper_iterable([x]), lambda: tf.Assert(False, [x]),
        lambda: d.assert_same_float_dtype([x, tf.constant(1)]), lambda: d.assert_shapes([(x, ("N",)), (tf.ones([3]), ("N",))])]
    in_graph = tf.function(lambda x: (d.assert_positive(x), d.assert_rank(x, 1), tf.sqrt(x))[-1])
    return [error_of(f) for f in calls] + [plain(in_graph(x)), error_of(lambda: in_graph(-x)), error_of(lambda: in_graph(x[0]))]


def generators(tf):
    r = tf.random
    g = r.Generator.from_seed(42)
    found = [g.normal([3]), g.uniform([2, 2], minval=1, maxval=5), g.uniform([3], maxval=10, dtype=tf.int32),
             g.uniform_full_int([2], dtype=tf.int64), g.truncated_normal([2]), g.state.read_value()]
    found += [k.normal([2]) for k in g.split(2)]
    g.skip(10)
    found.append(g.normal([1]))
    g.reset_from_seed(1)
    found += [g.make_seeds(2), g.binomial([3], counts=[3., 4., 5.], probs=[.5, .6, .7])]
    other = r.Generator.from_key_counter(3, [0, 1], 1)
    draw = tf.function(lambda: other.uniform([2]))
    found += [draw(), draw(), other.key, r.create_rng_state(1, "philox"), r.stateless_poisson([3], [1, 2], lam=2., dtype=tf.int32),
              r.split([1, 2], 2), r.fold_in([1, 2], 3), r.experimental.stateless_split([1, 2], 3),
              r.experimental.stateless_shuffle([1, 2, 3, 4], seed=[1, 2])]
    return [plain(x) for x in found]


def rows(tf):
    """Gradients of what was looked up are IndexedSlices."""
    table, plain_rows = tf.Variable(tf.reshape(tf.range(12.), [4, 3])), tf.constant([[1., 2.], [3., 4.]])

    def shown(gradient):
        if not isinstance(gradient, tf.IndexedSlices):
            return plain(gradient)
        return ["rows", *map(plain, (gradient.values, gradient.indices, gradient.dense_shape, tf.convert_to_tensor(gradient)))]

    def of(function, source):
        with tf.GradientTape() as tape:
            tape.watch(source)
            value = function(source)
        return tape.gradient(value, source)

    functions = [lambda t: tf.gather(t, [1, 3, 1]) ** 2, lambda t: tf.nn.embedding_lookup(t, [[0, 1], [1, 1]]),
                 lambda t: tf.gather(t, [1]) * 2. + tf.gather(t, [0]), lambda t: tf.reduce_sum(tf.gather(t, [1])) + t * t,
                 lambda t: tf.gather(t, [0], axis=1), lambda t: tf.gather(t, 1)]
    found = [shown(of(f, source)) for source in (table, plain_rows) for f in functions if source is table or f is not functions[0]]
    in_graph = tf.function(lambda i: of(lambda t: tf.gather(t, i) ** 2, table))
    found.append(shown(in_graph(tf.constant([1, 2]))))
    clipped = tf.clip_by_value(of(functions[0], table), -7., 7.)
    both, length = tf.clip_by_global_norm([of(functions[0], table)], 1.)
    table.scatter_sub(both[0])
    with tf.GradientTape() as tape:
        value = tf.gather(table, [0, 0])
    return found + [shown(clipped), shown(both[0]), plain(length), plain(table), plain(tape.jacobian(value, table))]


def steps_of_rows(tf):
    """Optimizers square the gradients of a row one by one."""
    found = []
    for kind, more in (("SGD", {"momentum": .9}), ("Adam", {}), ("Adam", {"amsgrad": True}), ("Adam", {"clipvalue": 1.}), ("RMSprop", {}),
                       ("Adagrad", {}), ("Adadelta", {}), ("Nadam", {})):
        table = tf.Variable(tf.reshape(tf.range(6.), [3, 2]))
        optimizer = getattr(tf.keras.optimizers, kind)(.1, **more)
        optimizer.build([table])

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(tf.gather(table, [1, 1, 2]) ** 2)
            optimizer.apply_gradients(zip(tape.gradient(value, [table]), [table]))

        for _ in range(3):
            step()
        found.append(plain(table))
    return found


def tapes(tf):
    def of(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x)

    variable = tf.Variable([1., 2.])
    with tf.autodiff.ForwardAccumulator(variable, tf.constant([1., 0.])) as forward:
        square = variable ** 2

    @tf.function
    def in_graph(x):
        y = x ** 3 + tf.gather(x, [0])
        return tf.gradients(y, [x, variable]) + tf.gradients([y, x], x, [tf.ones_like(y), 2. * x]) + tf.hessians(y, x)

    made = in_graph(tf.constant([1., 2.]))
    numbers = tf.test.compute_gradient(lambda x: x * x, [tf.constant([1., 2.])])
    return [plain(of(tf.grad_pass_through(tf.round), tf.constant([1.3, 2.6]))), plain(forward.jvp(square)), plain(made),
            plain(numbers[0]), [[round(v, 2) for v in row] for row in plain(numbers[1])[0]],
            error_of(lambda: tf.gradients(square, variable))]


def branches(tf):
    """Values that are made of several tensors come out of branches and loops."""
    ragged, sparse = tf.ragged.constant([[1, 2], [3]]), tf.sparse.from_dense([[0, 2], [3, 0]])

    @tf.function
    def chosen(x):
        a = tf.cond(x > 0, lambda: ragged + 1, lambda: tf.concat([ragged, ragged], 1))
        b = tf.cond(x > 0, lambda: sparse, lambda: tf.sparse.add(sparse, sparse))
        if x > 0:
            c = ragged * 2
        else:
            c = ragged
        return a, b.values, c

    @tf.function
    def grown(n):
        return tf.while_loop(lambda i, _: i < n, lambda i, r: (i + 1, tf.concat([r, r], 1)), (0, ragged), shape_invariants=(
            tf.TensorShape([]), tf.RaggedTensorSpec([None, None], tf.int32)))[1]

    @tf.function
    def collected(x):
        rows = tf.TensorArray(tf.float32, 0, dynamic_size=True)
        for i in tf.range(3):
            rows = rows.write(i, x)
            x = x * 2.
        return rows.stack()[:, None, 1:]  # of which the rank is known

    found = [chosen(tf.constant(x)) for x in (1, -1)]
    return [[a.to_list(), plain(b), c.to_list()] for a, b, c in found] + [grown(tf.constant(2)).to_list(),
                                                                            plain(collected(tf.constant([1., 2.])))]


def pictures(tf):
    real = np.random.default_rng(0).uniform(0, 1, (6, 6, 3)).astype(np.float32)
    image, batch, i, n = tf.constant(real), tf.constant(real[None]), tf.image, tf.nn
    boxes, scores = [[0., 0, 1, 1], [0, 0, 1, .9], [2, 2, 3, 3]], [.9, .8, .7]
    four = [1, 1, 1, 1]
    return plain([
        i.rgb_to_yuv(image)[0], i.yuv_to_rgb(image)[0], i.rgb_to_yiq(image)[0], i.yiq_to_rgb(image)[0],
        i.non_max_suppression_with_scores(boxes, scores, 3, soft_nms_sigma=.5),
        i.non_max_suppression_padded(boxes, scores, 3, pad_to_max_output_size=True),
        list(i.combined_non_max_suppression(tf.reshape(boxes, [1, 3, 1, 4]), tf.reshape(scores, [1, 3, 1]), 2, 3)),
        i.extract_glimpse(batch, [2, 2], [[0., 0.]]), list(i.adjust_jpeg_quality(image, 75).shape),
        n.dilation2d(batch, tf.zeros([2, 2, 3]), four, "SAME", "NHWC", four)[0, 0],
        n.erosion2d(batch, tf.ones([2, 2, 3]) * .1, four, "SAME", "NHWC", four)[0, 0], list(n.max_pool_with_argmax(batch, 2, 2, "VALID")),
        n.lrn(batch)[0, 0], n.weighted_cross_entropy_with_logits(tf.constant([1., 0]), tf.constant([.3, .2]), 2.),
        n.weighted_moments(image, [0, 1], tf.ones([6, 6, 1]) * .5), n.sufficient_statistics(image, [0, 1])[:3], n.crelu(image[0, 0]),
        n.atrous_conv2d(batch, tf.ones([2, 2, 3, 1]), 2, "SAME")[0, 0], n.log_poisson_loss([1., 2.], [.1, .2], True),
        list(n.isotonic_regression(tf.constant([[3., 1., 2.], [1., 4., 2.]]))), n.isotonic_regression([1., 3., 2.], False)[0]])


def datasets(tf):
    d = tf.data.Dataset
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "records")
        with open(name, "wb") as file:
            file.write(b"HHabcdefT")
        whole = tf.data.FixedLengthRecordDataset(name, 2, header_bytes=2, footer_bytes=1)
        found = [plain(list(whole)), error_of(lambda: list(tf.data.FixedLengthRecordDataset(name, 2)))]
    e = tf.data.experimental
    return found + [plain(list(each)) for each in (
        d.from_tensor_slices([1, 3, 1, 2, 3]).unique(), d.counter(2, 3).take(3), d.range(6).batch(3).rebatch(2),
        d.range(5).batch(5).rebatch(2, True), d.random(seed=3).take(0), d.range(4).apply(e.unique()), e.Counter().take(2),
        d.range(2).apply(e.enumerate_dataset()), d.range(3).apply(e.map_and_batch(lambda x: x + 1, 2)), e.from_list([(1, 2.), (3, 4.)]),
        d.range(40).map(lambda x: x % 2).rejection_resample(lambda x: tf.cast(x, tf.int32), [0., 1.], [.5, .5]).take(2))] + [
        len(list(d.random(seed=3).take(2))), e.Optional.from_value(3).get_value().numpy().item(),
        bool(tf.experimental.Optional.empty(tf.TensorSpec([])).has_value())]


def sequences(tf):
    t, io = tf.train, tf.io

    def ints(*values):
        return t.Feature(int64_list=t.Int64List(value=values))

    def example(steps):
        lists = {"a": t.FeatureList(feature=[ints(i, -i) for i in range(steps)]),
                 "s": t.FeatureList(feature=[t.Feature(bytes_list=t.BytesList(value=[b"x"] * i)) for i in range(steps)])}
        return t.SequenceExample(context=t.Features(feature={"n": ints(steps)}), feature_lists=t.FeatureLists(feature_list=lists))

    texts = [example(n).SerializeToString() for n in (2, 3)]
    again = t.SequenceExample.FromString(texts[1])
    asked = {"context_features": {"n": io.FixedLenFeature([], tf.int64), "m": io.VarLenFeature(tf.float32)},
             "sequence_features": {"a": io.FixedLenSequenceFeature([2], tf.int64), "s": io.VarLenFeature(tf.string)}}

    def shown(parsed):
        return [{k: plain(tf.sparse.to_dense(v) if isinstance(v, tf.SparseTensor) else v) for k, v in part.items()} for part in parsed]

    return [len(again.feature_lists.feature_list["a"].feature), list(again.context.feature["n"].int64_list.value),
            example(2).SerializeToString(deterministic=True).decode("latin1"), shown(io.parse_single_sequence_example(texts[0], **asked)),
            shown(io.parse_sequence_example(texts, **asked))]


def states(tf):
    table = tf.lookup.experimental.DenseHashTable(tf.int64, tf.float32, default_value=-1., empty_key=-2, deleted_key=-3)
    keys = tf.constant([1, 2], tf.int64)
    table.insert(keys, [10., 20.])
    table.erase(keys[:1])
    average, variable = tf.train.ExponentialMovingAverage(.9), tf.Variable(1.)
    average.apply([variable])
    variable.assign(2.)
    average.apply([variable])
    fixed = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), 7)
    return [plain(table.lookup(keys)), plain(table.size()), plain(average.average(variable)), plain(fixed.default_value)]


def numpy_names(tf):
    n = tf.experimental.numpy
    a, b = n.reshape(n.arange(6), (2, 3)), n.array([1., 2., 3.])
    made = [a, n.ones((2,)), n.zeros_like(a), n.full((2,), 7), n.eye(2), n.identity(2), n.linspace(0, 1, 3), n.add(a, b),
            n.divide(a, 2), n.power(a, 2), n.maximum(a, 2.5), n.matmul(a, b), n.dot(b, b), n.outer([1, 2], [3, 4]), n.inner(b, b),
            n.tensordot(a, n.transpose(a), 1), n.einsum("ij->ji", a), n.concatenate([a, a], 0), n.stack([b, [1, 2, 3]]),
            n.vstack([b, b]), n.hstack([b, b]), n.where(a > 2, a, 0), n.clip(a, 1, 3), n.take(b, [0, 2]), n.sum(a, axis=0), n.mean(a),
            n.std(a), n.var(a), n.prod(b), n.max(a), n.argmax(a), n.sort(n.array([3, 1, 2])), n.argsort(n.array([3, 1, 2])),
            n.cumsum(a), n.cumsum(a, axis=1), n.exp(b), n.log2(b), n.isclose(1., 1.0001), n.allclose(b, b), n.any(a > 4), n.all(a > 4),
            n.flip(b), n.tile(b, 2), n.repeat(b, 2), n.roll(b, 1), n.diag(b), n.tril(a), n.moveaxis(a, 0, 1), n.swapaxes(a, 0, 1),
            n.expand_dims(b, 0), n.squeeze(n.ones((1, 2))), n.meshgrid([1, 2], [3, 4]), n.split(n.arange(4), 2),
            n.logaddexp(b, 1.), n.diff(b), n.count_nonzero(a), n.kron(n.eye(2), n.ones((1, 2))), n.nonzero(b)]
    return [[plain(x), [y.dtype.name for y in (x if isinstance(x, (list, tuple)) else [x])]] for x in made] + [
        list(n.shape(a)), int(n.ndim(a)), n.pi, n.float32.__name__, n.newaxis is None, list(n.random.randn(2, 3).shape)]


CASES = [datasets, sequences, states, numpy_names, linalg, math, arrays, signals, checks, generators, rows, steps_of_rows, tapes, branches, pictures]
