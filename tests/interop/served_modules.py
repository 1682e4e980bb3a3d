"""Generative models, quantised models and tf.Modules with control flow, states and linear algebra."""
from served import export_keras, export_module, function, integers, keras, model, normal, np, rng, spec, tf

layers = keras.layers
SEED = {"seed": lambda n: np.array([n, 7], np.int32)}


def weights(seed, *shape):
    return tf.Variable(np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 0.5)


@model
def vae_stateless(folder):
    class Net(tf.Module):
        def __init__(self):
            self.enc, self.dec = weights(1, 12, 8), weights(2, 4, 12)

        @function(spec([None, 12], tf.float32, "x"), spec([2], tf.int32, "seed"))
        def serve(self, x, seed):
            mean, logvar = tf.split(tf.tanh(x @ self.enc), 2, -1)
            z = mean + tf.exp(0.5 * logvar) * tf.random.stateless_normal(tf.shape(mean), seed)
            kl = -0.5 * tf.reduce_sum(1 + logvar - mean ** 2 - tf.exp(logvar), -1)
            keep = tf.random.stateless_uniform(tf.shape(x), seed, maxval=3, dtype=tf.int32)
            s2 = tf.random.split(seed, 2)[1]
            cut = tf.random.stateless_truncated_normal(tf.shape(x), s2)
            return {"y": tf.sigmoid(z @ self.dec), "kl": kl, "keep": keep, "cut": cut, "fold": tf.random.fold_in(seed, 3),
                    "gamma": tf.random.stateless_gamma([5], seed, 2.0), "shuffle": tf.random.experimental.stateless_shuffle(tf.range(9), seed),
                    "poisson": tf.random.stateless_poisson([6], seed, 3.0), "binomial": tf.random.stateless_binomial([5], seed, 10.0, 0.3)}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"x": normal(12), **SEED}))


@model
def gan_generator(folder):
    z, label = keras.Input((8,), name="z"), keras.Input((1,), dtype="int32", name="label")
    x = layers.Multiply()([z, layers.Flatten()(layers.Embedding(5, 8)(label))])
    x = layers.Reshape((4, 4, 8))(layers.Dense(128, use_bias=False)(x))
    for filters in (8, 4):
        x = layers.Conv2DTranspose(filters, 5, strides=2, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Conv2DTranspose(3, 4, strides=1, padding="same", output_padding=None, activation="tanh")(x)
    net = layers.SpectralNormalization(layers.Dense(3))
    critic = net(layers.Flatten()(layers.AveragePooling2D(4)(x)))
    return export_keras(keras.Model([z, label], {"image": x, "critic": critic}), folder, z=normal(8), label=integers(5, 1))


@model
def autoencoder_conv(folder):
    x = keras.Input((16, 16, 1), name="x")
    y = layers.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2")(x)
    y = layers.ActivityRegularization(1e-3)(layers.MaxPooling2D((2, 2), padding="same")(y))
    y = layers.UpSampling2D((2, 2))(layers.Conv2D(4, 3, padding="same", activation="exponential")(y))
    y = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(y)
    net = keras.Model(x, {"y": y, "error": keras.ops.mean(keras.ops.square(x - y), axis=(1, 2, 3))})
    return export_keras(net, folder, x=normal(16, 16, 1))


@model
def flow_linalg(folder):
    """An affine coupling with an invertible 1x1 product, and Gaussian densities by Cholesky."""
    class Net(tf.Module):
        def __init__(self):
            self.lower, self.w, self.scale = weights(3, 6, 6), weights(4, 3, 6), weights(5, 6)

        @function(spec([None, 6], tf.float32, "x"))
        def serve(self, x):
            cov = tf.matmul(self.lower, self.lower, transpose_b=True) + 2 * tf.eye(6)
            chol = tf.linalg.cholesky(cov)
            z = tf.linalg.triangular_solve(chol, tf.transpose(x))
            logp = -0.5 * tf.reduce_sum(z ** 2, 0) - tf.reduce_sum(tf.math.log(tf.linalg.diag_part(chol)))
            a, b = x[:, :3], x[:, 3:]
            shift, log_scale = tf.split(tf.tanh(a @ self.w), 2, -1)
            y = tf.concat([a, b * tf.exp(log_scale) + shift], -1)
            lu, p = tf.linalg.lu(cov)
            sign, logdet = tf.linalg.slogdet(cov)
            return {"logp": logp, "y": y, "lu": lu, "p": p, "logdet": logdet, "sign": sign, "solve": tf.linalg.solve(cov, tf.transpose(x)),
                    "inv": tf.linalg.inv(cov), "eig": tf.linalg.eigvalsh(cov), "sv": tf.linalg.svd(cov, compute_uv=False), "det": tf.linalg.det(cov),
                    "q": tf.abs(tf.linalg.qr(cov)[1]), "lstsq": tf.linalg.lstsq(cov, tf.transpose(x)), "band": tf.linalg.band_part(cov, 1, 0),
                    "expm": tf.linalg.expm(cov / 10), "sqrtm": tf.linalg.sqrtm(cov), "trace": tf.linalg.trace(cov), "cross": tf.linalg.cross(a, b),
                    "pinv": tf.linalg.pinv(cov), "erf": tf.math.erfinv(tf.tanh(a)), "beta": tf.math.lbeta(tf.exp(a)),
                    "student": tf.math.lgamma(tf.exp(b)) + tf.math.digamma(tf.exp(b)), "tri": tf.linalg.tridiagonal_solve(cov[:3], x[:1, :][0])}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"x": normal(6)}))


class Loops(tf.Module):
    @function(spec([None], tf.float32, "x"))
    def collatz(self, x):
        n = tf.cast(tf.abs(x) * 10, tf.int64) + 1

        def one(v):
            steps = tf.constant(0)
            while v > 1:
                if v % 2 == 0:
                    v = v // 2
                else:
                    v = 3 * v + 1
                if steps > 80:
                    break
                steps += 1
            return steps
        return {"steps": tf.map_fn(one, n, fn_output_signature=tf.int32)}

    @function(spec([None], tf.float32, "x"))
    def mixed(self, x):
        ta = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False)
        total = tf.constant(0.0)
        for v in x:
            if v < -1.0:
                continue
            total += v
            ta = ta.write(ta.size(), tf.fill([ta.size() % 3 + 1], total))
        choice = tf.switch_case(tf.cast(tf.size(x) % 3, tf.int32), [lambda: x, lambda: x * 2, lambda: tf.reverse(x, [0])])
        picked = tf.case([(total > 1, lambda: total), (total < -1, lambda: -total)], default=lambda: 0.0)
        return {"concat": ta.concat(), "choice": choice, "picked": picked, "scan": tf.scan(lambda a, v: a * 0.5 + v, x),
                "fold": tf.foldr(lambda a, v: a - v, x), "vectorised": tf.vectorized_map(lambda v: tf.reduce_sum(v * x), x)}

    @function(spec([None], tf.float32, "x"))
    def newton(self, x):
        """Gradients inside a loop."""
        y = x
        for _ in tf.range(5):
            with tf.GradientTape() as tape:
                tape.watch(y)
                f = tf.reduce_sum(tf.sqrt(1 + (y - 2.0) ** 2) + 0.1 * y ** 4)
            y -= 0.1 * tape.gradient(f, y)
        return {"y": y}

    @function(spec([None], tf.float32, "x"))
    def shapes(self, x):
        n = tf.shape(x)[0]
        grid = tf.meshgrid(tf.cast(tf.range(n), tf.float32), tf.linspace(0.0, 1.0, n), indexing="ij")
        m = tf.reshape(tf.range(n * 4), [n, 4])
        where = tf.where(x > 0)
        return {"grid": grid[1], "roll": tf.roll(m, [1, -2], [0, 1]), "where": where, "masked": tf.boolean_mask(m, x > 0),
                "slice": m[::-1, tf.newaxis, 1:-1:2], "scatter": tf.scatter_nd(where, tf.ones(tf.shape(where)[0]), tf.shape(x, tf.int64)),
                "hist": tf.histogram_fixed_width(x, [-2.0, 2.0], 5), "bins": tf.math.bincount(tf.cast(tf.abs(x) * 2, tf.int32), minlength=6)[:6],
                "segment": tf.math.unsorted_segment_mean(x, tf.cast(x > 0, tf.int32), 3), "top": tf.math.in_top_k(tf.range(n) % 4, tf.cast(m, tf.float32), 2),
                "hot": tf.one_hot(tf.range(n) % 3, 3, "on", "off"), "spread": tf.repeat(x, tf.range(n)), "cum": tf.math.cumulative_logsumexp(x),
                "pct": tf.sort(x)[n // 2], "unique": tf.unique(tf.cast(x > 0, tf.int32))[1], "norm": tf.clip_by_norm(x, 1.0),
                "moments": tf.nn.moments(x, 0)[1], "conf": tf.math.confusion_matrix(tf.range(n) % 3, tf.range(n) % 2, 3),
                "seq": tf.sequence_mask(tf.range(n), n), "rev": tf.reverse_sequence(m, tf.fill([n], 2), 1), "bits": tf.bitwise.bitwise_xor(m, 5),
                "lrn": tf.nn.local_response_normalization(tf.reshape(x, [1, 1, 1, n])), "edit": tf.cast(tf.math.floormod(x, 0.3), tf.float64)}


@model
def module_control_flow(folder):
    net, x = Loops(), {"x": normal()}
    return export_module(net, folder, serving_default=(net.collatz, x), mixed=(net.mixed, x), newton=(net.newton, x), shapes=(net.shapes, x))


@model
def quantised_fake_quant(folder):
    class Net(tf.Module):
        def __init__(self):
            self.w, self.k = weights(8, 8, 5), weights(9, 3, 3, 1, 4)
            self.low, self.high = tf.Variable(tf.fill([5], -1.0)), tf.Variable(tf.linspace(0.5, 2.0, 5))

        @function(spec([None, 8], tf.float32, "x"))
        def serve(self, x):
            q = tf.quantization.fake_quant_with_min_max_args(x, -3, 3, 8)
            w = tf.quantization.fake_quant_with_min_max_vars_per_channel(self.w, self.low, self.high, narrow_range=True)
            y = tf.nn.relu6(q @ w)
            y = tf.quantization.fake_quant_with_min_max_vars(y, 0.0, 6.0, 4)
            q8 = tf.quantization.quantize(x, -4.0, 4.0, tf.qint8)
            dq = tf.quantization.quantize_and_dequantize_v2(x, -2.0, 2.0, range_given=True)
            image = tf.quantization.fake_quant_with_min_max_args(tf.reshape(x, [-1, 4, 2, 1]))
            return {"y": y, "back": tf.quantization.dequantize(q8.output, q8.output_min, q8.output_max), "dq": dq,
                    "conv": tf.nn.conv2d(image, self.k, 1, "SAME")}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"x": normal(8)}))


@model
def quantised_keras_int8(folder):
    x = keras.Input((6,), dtype="int32", name="x")
    y = layers.Dense(8, activation="relu")(layers.Flatten()(layers.Embedding(20, 8)(x)))
    net = keras.Model(x, layers.Dense(3)(layers.EinsumDense("bd,de->be", 6)(y)))
    net.quantize("int8")
    net.export(folder, verbose=False)
    return {"serving_default": {"x": integers(20, 6)}}


@model
def quantised_keras_float8(folder):
    x = keras.Input((12,), name="x")
    net = keras.Model(x, layers.Dense(4)(layers.Dense(16, activation="relu")(x)))
    net.quantize("float8")
    return export_keras(net, folder, x=normal(12))


@model
def keras_lora_int4(folder):
    x = keras.Input((12,), name="x")
    d = layers.Dense(8, activation="relu")
    y = layers.Dense(4)(d(x))
    net = keras.Model(x, y)
    d.enable_lora(2)
    net.quantize("int4")
    net.export(folder, verbose=False)
    return {"serving_default": {"x": normal(12)}}


@model
def train_step_signature(folder):
    """A trainable SavedModel: a signature updates variables with Adam and reports the loss."""
    class Net(tf.Module):
        def __init__(self):
            self.w, self.b = weights(11, 6, 3), tf.Variable(tf.zeros(3))
            self.m = [tf.Variable(tf.zeros_like(v)) for v in (self.w, self.b)]
            self.v = [tf.Variable(tf.zeros_like(v)) for v in (self.w, self.b)]
            self.step = tf.Variable(0, dtype=tf.int64)

        @function(spec([None, 6], tf.float32, "x"), spec([None], tf.int64, "y"))
        def train(self, x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, x @ self.w + self.b))
            self.step.assign_add(1)
            gradients, norm = tf.clip_by_global_norm(tape.gradient(loss, [self.w, self.b]), 0.5)
            for v, g, m, s in zip((self.w, self.b), gradients, self.m, self.v):
                tf.raw_ops.ResourceApplyAdam(var=v.handle, m=m.handle, v=s.handle, beta1_power=0.9, beta2_power=0.999, lr=0.1, beta1=0.9,
                                             beta2=0.999, epsilon=1e-7, grad=g)
            return {"loss": loss, "norm": norm, "w": self.w + 0.0, "step": self.step + 0}

        @function(spec([None, 6], tf.float32, "x"))
        def serve(self, x):
            return {"p": tf.nn.softmax(x @ self.w + self.b)}
    net = Net()
    x = {"x": normal(6)}
    return export_module(net, folder, serving_default=(net.serve, x), train=(net.train, {**x, "y": integers(3, dtype=np.int64)}))


@model
def batched_by_the_graph(folder):
    """tf.nondifferentiable_batch_function: the model asks TensorFlow to merge requests."""
    class Net(tf.Module):
        def __init__(self):
            self.w = weights(14, 6, 3)

        @function(spec([None, 6], tf.float32, "x"))
        def serve(self, x):
            @tf.nondifferentiable_batch_function(1, 16, 10, autograph=False)
            def merged(x):
                return tf.nn.relu(x @ self.w)
            return {"y": merged(x)}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"x": normal(6)}))


@model
def graph_network(folder):
    """Message passing by gathers and segments over an edge list."""
    class Net(tf.Module):
        def __init__(self):
            self.w, self.u = weights(12, 10, 5), weights(13, 5, 5)

        @function(spec([None, 5], tf.float32, "nodes"), spec([None, 2], tf.int32, "edges"))
        def serve(self, nodes, edges):
            n = tf.shape(nodes)[0]
            for _ in range(2):
                messages = tf.nn.relu(tf.concat([tf.gather(nodes, edges[:, 0]), tf.gather(nodes, edges[:, 1])], 1) @ self.w)
                summed = tf.math.unsorted_segment_sum(messages, edges[:, 1], n)
                top = tf.maximum(tf.math.unsorted_segment_max(messages, edges[:, 1], n), -1.0)
                nodes = tf.nn.l2_normalize(summed + top + nodes @ self.u, -1)
            adjacency = tf.scatter_nd(edges, tf.ones(tf.shape(edges)[0]), [n, n])
            degree = tf.math.divide_no_nan(1.0, tf.sqrt(tf.reduce_sum(adjacency, 1)))
            laplacian = tf.eye(n) - degree[:, None] * adjacency * degree
            a = tf.nn.softmax(tf.where(adjacency > 0, nodes @ tf.transpose(nodes), -1e9))
            return {"nodes": nodes, "laplacian": laplacian, "attention": a @ nodes, "mean": tf.math.segment_mean(nodes, tf.range(n) // 2)}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"nodes": normal(5), "edges": lambda n: rng(n).integers(0, n, (3 * n, 2)).astype(np.int32)}))


@model
def capsule_einsum(folder):
    x = keras.Input((6, 8), name="x")
    u = layers.EinsumDense("bid,jdk->bijk", output_shape=(6, 4, 5), bias_axes="k")(x)
    route = keras.ops.zeros_like(u[..., 0])
    for _ in range(3):
        c = keras.ops.softmax(route, axis=2)
        s = keras.ops.einsum("bij,bijk->bjk", c, u)
        norm = keras.ops.sum(s * s, -1, keepdims=True)
        v = s * norm / (1 + norm) / keras.ops.sqrt(norm + 1e-7)
        route = route + keras.ops.einsum("bijk,bjk->bij", u, v)
    more = keras.ops.einsum("bii->bi", keras.ops.einsum("bij,bkj->bik", c, c)) + keras.ops.logsumexp(route, axis=(1, 2))[:, None]
    return export_keras(keras.Model(x, {"v": v, "route": route, "more": more}), folder, x=normal(6, 8))


@model
def mixture_of_experts(folder):
    x = keras.Input((7,), name="x")
    gates = layers.Dense(5)(x)
    top, index = keras.ops.top_k(gates, 2)
    experts = keras.ops.stack([layers.Dense(6, activation=a)(x) for a in ("celu", "log_sigmoid", "softsign", "hard_tanh", "squareplus")], 1)
    chosen = keras.ops.take_along_axis(experts, index[:, :, None], 1)
    y = keras.ops.sum(chosen * keras.ops.softmax(top)[..., None], 1)
    more = [layers.Activation(a)(gates) for a in ("soft_shrink", "hard_shrink", "tanh_shrink", "sparse_plus", "sparsemax", "log_softmax")]
    return export_keras(keras.Model(x, [y, *more]), folder, x=normal(7))


@model
def keras_ops_many(folder):
    o = keras.ops
    x = keras.Input((4, 6), name="x")
    y = {"quantile": o.quantile(x, [0.25, 0.7], axis=-1), "median": o.median(x, axis=1), "argsort": o.argsort(x), "cumprod": o.cumprod(x, 1),
         "digitize": o.digitize(x, np.array([-1.0, 0.0, 1.0])), "diff": o.diff(x), "tril": o.tril(x), "cross": o.cross(x[..., :3], x[..., 3:]),
         "fft": o.fft((x, x))[0], "rfft": o.rfft(x)[1], "erf": o.erf(x), "roll": o.roll(x, 2, 1), "round": o.round(x, 1), "nanmax": o.max(o.nan_to_num(x), 1),
         "vdot": o.tensordot(x, x, [[1, 2], [1, 2]]), "flip": o.flip(x, 1),
         "segment": o.segment_sum(x[0], np.array([0, 0, 1, 2]), 3), "logaddexp": o.logaddexp(x, -x), "gelu": o.gelu(x), "slice": o.slice(x, [0, 1, 2], [1, 2, 3]),
         "polar": o.arctan2(x, x + 1), "norm": o.norm(x, ord=1, axis=(1, 2)), "svd": o.abs(o.svd(x, compute_uv=False)), "var": o.var(x, axis=-1),
         "solve": o.solve(o.matmul(x, o.transpose(x, (0, 2, 1))) + 3 * o.eye(4), x), "searchsorted": o.searchsorted(np.array([-1.0, 0.5], np.float32), x[0, 0]),
         "corr": o.correlate(x[0, 0], x[0, 1]), "unfold": o.image.extract_patches(x[..., None], 2), "map": o.image.map_coordinates(x[0], np.array([[0.5, 1.2], [1.1, 2.7]]), 1),
         "affine": o.image.affine_transform(x[..., None], np.array([[1.0, 0.1, 0.2, 0, 0.9, 0.1, 0, 0]])), "scan": o.cumsum(x, 1), "log1p": o.log1p(o.abs(x)),
         "rms": layers.RMSNormalization()(x)}
    return export_keras(keras.Model(x, y), folder, x=normal(4, 6))


@model
def ctc_loss_and_gradient(folder):
    """Holds calls of functions by their names, whose outputs are selected by name."""
    class Net(tf.Module):
        @function(spec([None, 7, 5], tf.float32, "x"))
        def serve(self, x):
            rows = tf.shape(x)[0]
            lengths, labels = tf.fill([rows], 7), tf.ones([rows, 2], tf.int32) * [[1, 3]]
            with tf.GradientTape() as tape:
                tape.watch(x)
                logits = tf.transpose(x, [1, 0, 2])
                loss = tf.nn.ctc_loss(labels, logits, tf.fill([rows], 2), lengths, blank_index=0)
            return {"loss": loss, "gradient": tape.gradient(loss, x)}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"x": normal(7, 5)}))


@model
def values_in_variants(folder):
    """Sparse matrices, TensorMaps and Optionals."""
    class Net(tf.Module):
        @function(spec([None, 6], tf.float32, "x"))
        def serve(self, x):
            ops, kind = tf.raw_ops, {"type": tf.float32}
            kept = tf.nn.relu(x)
            a = ops.DenseToCSRSparseMatrix(dense_input=kept, indices=tf.where(kept > 0))
            b = ops.SparseMatrixTranspose(input=a, **kind)
            square = ops.SparseMatrixSparseMatMul(a=a, b=b, **kind)
            entries = ops.TensorMapInsert(input_handle=ops.EmptyTensorMap(), key="k", value=x[0])
            some = tf.cond(x[0, 0] > 0, lambda: tf.experimental.Optional.from_value(x * 3),
                           lambda: tf.experimental.Optional.empty(tf.TensorSpec([None, 6], tf.float32)))
            return {"square": ops.CSRSparseMatrixToDense(sparse_input=square, **kind), "count": ops.SparseMatrixNNZ(sparse_matrix=square),
                    "product": ops.SparseMatrixMatMul(a=a, b=tf.ones([6, 2])),
                    "entry": ops.TensorMapLookup(input_handle=entries, key="k", value_dtype=tf.float32),
                    "some": tf.cond(some.has_value(), some.get_value, lambda: -x)}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"x": normal(6)}))
