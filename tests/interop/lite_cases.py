"""The models of lite_models.py: functions and Keras models with the inputs they are run on."""
import zlib

import numpy as np
import tensorflow as tf

QUANTISED = ("int8", "int16x8")

# The cases of tenon/lite/lite_test.cc, small ones of each kind.
STORED = """net_mlp net_lstm net_bilstm net_gru net_rnn float16_net_mlp int8_net_cnn unary_gelu fused_add_relu6 binary_floormod
    cast_int array_strided array_split_v array_mirror_reflect array_one_hot array_top_k array_gather_batch dynamic_reshape
    dynamic_mean conv_SAME_2 conv_grouped depthwise_dilated_SAME transpose_conv_VALID_2 conv3d_SAME bilinear_True_False_18 lrn
    matmul_3d while if_1 while_if variable hashtable strings nms_v5 int8_conv int8_depthwise int8_fc int8_add_self int8_softmax
    int8_mean int8_avg_pool int8_bilinear int8_hard_swish int8_leaky int8_pad int8_less int8_transpose_conv int16x8_conv int16x8_add
    int16x8_mean int16x8_fc uint8_io_softmax int8_io_conv int8_sqrt
    int8_prelu int16x8_tanh""".split()


class Case:
    """One model. `function` takes tensors by the names of `inputs`: arrays, or (array, partial shape)."""

    def __init__(self, name, function, quantise=None, tolerance=1e-5, random=False, batch=None, tolerance_integer=0,
                 io=None, module=None, **inputs):
        self.name, self.function, self.quantise = name, function, quantise
        self.tolerance = tolerance
        self.random, self.tolerance_integer = random, tolerance_integer
        self.io, self.module = io, module or tf.Module()
        self.arrays = {k: v[0] if isinstance(v, tuple) else v for k, v in inputs.items()}
        self.shapes = {k: v[1] if isinstance(v, tuple) else v.shape for k, v in inputs.items()}

    def converter(self):
        if isinstance(self.function, tf.keras.Model):
            return tf.lite.TFLiteConverter.from_keras_model(self.function)
        if isinstance(self.function, tf.Module):
            function, module = self.function.run.get_concrete_function(), self.function
        else:
            specs = {k: tf.TensorSpec(s, tf.string if self.arrays[k].dtype == object else self.arrays[k].dtype, k) for k, s in self.shapes.items()}
            names = ", ".join(specs)
            scope = {"f": self.function}
            exec(f"def run({names}):\n  return f({names})", scope)  # the names are those of the signature
            function = tf.function(scope["run"]).get_concrete_function(**specs)
            module = self.module
        return tf.lite.TFLiteConverter.from_concrete_functions([function], module)

    def representative(self):
        rng = np.random.default_rng(5)
        for _ in range(8):
            yield [a + rng.normal(0, 0.05, a.shape).astype(a.dtype) if a.dtype == np.float32 else a
                   for a in self.arrays.values()]

    def make(self):
        converter = self.converter()
        converter.allow_custom_ops = False
        q = self.quantise
        if q:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if q == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if q in QUANTISED:
            converter.representative_dataset = self.representative
            kind = tf.lite.OpsSet.TFLITE_BUILTINS_INT8 if q == "int8" else \
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [kind]
            if self.io:
                converter.inference_input_type = converter.inference_output_type = self.io
        model = converter.convert()
        lite = tf.lite.Interpreter(model_content=model)
        inputs = {}
        details = {d["name"]: d for d in lite.get_input_details()}
        signatures = lite.get_signature_list()
        names = next(iter(signatures.values()))["inputs"] if signatures else list(details)
        runner = lite.get_signature_runner(next(iter(signatures))) if signatures else None
        given = list(self.arrays.values())
        for i, name in enumerate(names):
            detail = runner.get_input_details()[name] if runner else details[name]
            value = self.arrays.get(name, given[i] if i < len(given) else None)
            scale, zero = detail["quantization"]
            if scale and value.dtype == np.float32 and detail["dtype"] != np.float32:
                info = np.iinfo(detail["dtype"])
                value = np.clip(np.round(value / scale) + zero, info.min, info.max).astype(detail["dtype"])
            inputs[name] = value
        return model, inputs


def rng_of(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def floats(name, *shape, low=-3.0, high=3.0):
    return rng_of(name).uniform(low, high, shape).astype(np.float32)


def ints(name, *shape, low=-9, high=9, dtype=np.int32):
    return rng_of(name).integers(low, high, shape).astype(dtype)


def elementwise():
    x, positive = floats("x", 2, 5, 3), floats("p", 2, 5, 3, low=0.1, high=4)
    unary = {"abs": tf.abs, "ceil": tf.math.ceil, "cos": tf.cos, "elu": tf.nn.elu, "exp": tf.exp, "floor": tf.floor,
             "neg": tf.negative, "relu": tf.nn.relu, "relu6": tf.nn.relu6, "round": tf.round, "sigmoid": tf.sigmoid,
             "sign": tf.sign, "sin": tf.sin, "square": tf.square, "tanh": tf.tanh, "zeros_like": lambda v: tf.zeros_like(v) + v,
             "gelu": tf.nn.gelu, "gelu_tanh": lambda v: tf.nn.gelu(v, approximate=True),
             "leaky": lambda v: tf.nn.leaky_relu(v, 0.3), "hard_swish": lambda v: v * tf.nn.relu6(v + 3) * (1 / 6),
             "relu_n1": lambda v: tf.minimum(tf.maximum(v, -1.0), 1.0), "relu_0_1": lambda v: tf.minimum(tf.maximum(v, 0.0), 1.0),
             "prelu": lambda v: tf.nn.relu(v) - np.float32([0.1, 0.2, 0.3]) * tf.nn.relu(-v)}
    for name, f in unary.items():
        yield Case(f"unary_{name}", f, x=x, tolerance=2e-5)
    for name, f in {"log": tf.math.log, "rsqrt": tf.math.rsqrt, "sqrt": tf.sqrt}.items():
        yield Case(f"unary_{name}", f, x=positive)
    for name in ("abs", "neg", "sign", "square"):
        yield Case(f"unary_{name}_int32", unary[name], x=ints("i", 4, 3))
    y = floats("y", 2, 5, 3)
    row = floats("row", 3)
    binary = {"add": tf.add, "sub": tf.subtract, "mul": tf.multiply, "div": tf.divide, "maximum": tf.maximum,
              "minimum": tf.minimum, "squared_difference": tf.math.squared_difference, "floordiv": tf.math.floordiv,
              "floormod": tf.math.floormod, "atan2": tf.atan2, "less": tf.less, "less_equal": tf.less_equal,
              "greater": tf.greater, "greater_equal": tf.greater_equal, "equal": tf.equal, "not_equal": tf.not_equal}
    for name, f in binary.items():
        yield Case(f"binary_{name}", f, x=x, y=y)
        yield Case(f"binary_{name}_row", f, x=x, y=row)
        if name not in ("div", "atan2"):
            yield Case(f"binary_{name}_int32", f, x=ints("a", 4, 6), y=ints("b", 6, low=1))
    for name, f in (("add", tf.add), ("sub", tf.subtract), ("mul", tf.multiply), ("div", tf.divide)):
        for act in (tf.nn.relu, tf.nn.relu6):
            yield Case(f"fused_{name}_{act.__name__}", lambda a, b, f=f, act=act: act(f(a, b)), x=x, y=y)
    for dtype in (np.int64,):
        for name in ("add", "sub", "mul", "maximum", "floordiv", "floormod", "less", "equal"):
            yield Case(f"binary_{name}_int64", binary[name], x=ints("a", 4, 6, dtype=dtype), y=ints("b", 6, low=1, dtype=dtype))
    yield Case("pow", tf.pow, x=positive, y=y)
    yield Case("pow_int32", tf.pow, x=ints("a", 5), y=ints("c", 5, low=0, high=4))
    a, b = ints("t", 3, 4, low=0, high=2) > 0, ints("u", 3, 4, low=0, high=2) > 0
    yield Case("logical_and", tf.logical_and, x=a, y=b)
    yield Case("logical_or", tf.logical_or, x=a, y=b)
    yield Case("logical_not", tf.logical_not, x=a)
    yield Case("select", lambda c, x, y: tf.where(c, x, y), c=a, x=floats("s", 3, 4), y=floats("v", 3, 4))
    yield Case("select_row", lambda c, x, y: tf.where(c, x, y), c=a, x=floats("s", 3, 4), y=floats("v", 4))
    yield Case("add_n", lambda x, y, z: tf.add_n([x, y, z]), x=x, y=y, z=positive)
    yield Case("cast_int", lambda x: tf.cast(x, tf.int32), x=x)
    yield Case("cast_bool", lambda x: tf.cast(x, tf.bool), x=ints("i", 4, 3))
    yield Case("cast_int64", lambda x: tf.cast(x, tf.float32), x=ints("i", 4, 3, dtype=np.int64))
    yield Case("cast_uint8", lambda x: tf.cast(x, tf.float32), x=ints("i", 4, 3, low=0, high=255, dtype=np.uint8))
    yield Case("bitcast", lambda x: tf.bitcast(x, tf.int32), x=x)
    yield Case("bitwise_xor", tf.bitwise.bitwise_xor, x=ints("a", 4, 6), y=ints("b", 4, 6))
    yield Case("right_shift", tf.bitwise.right_shift, x=ints("a", 4, 6), y=ints("b", 4, 6, low=0, high=5))
    yield Case("bucketize", lambda x: tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.0, 2.0]), x=x)
    yield Case("fake_quant", lambda x: tf.quantization.fake_quant_with_min_max_args(x, -2, 2.5), x=x)
    yield Case("complex_abs", lambda x, y: tf.abs(tf.signal.rfft2d(x, fft_length=[4, 8])) + y, x=floats("f", 4, 8), y=floats("z", 1))


def arrays():
    x = floats("x", 2, 4, 6)
    image = floats("image", 2, 4, 6, 8)
    one = {
        "reshape": lambda x: tf.reshape(x, [4, -1]), "transpose": lambda x: tf.transpose(x, [2, 0, 1]),
        "expand_dims": lambda x: tf.expand_dims(x, 1), "squeeze": lambda x: tf.squeeze(tf.expand_dims(x, -2) * 2.0, -2),
        "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 3]]), "pad_v2": lambda x: tf.pad(x, [[0, 1], [1, 2], [0, 3]], constant_values=1.5),
        "mirror_reflect": lambda x: tf.pad(x, [[0, 0], [1, 2], [2, 0]], "REFLECT"),
        "mirror_symmetric": lambda x: tf.pad(x, [[1, 0], [1, 2], [2, 0]], "SYMMETRIC"),
        "slice": lambda x: tf.slice(x, [0, 1, 2], [2, 2, -1]), "strided": lambda x: x[:, 3:0:-2, ::2],
        "strided_shrink": lambda x: x[1, ..., -1], "strided_new": lambda x: x[:, tf.newaxis, 1:3],
        "split": lambda x: tf.split(x, 3, 2), "split_v": lambda x: tf.split(x, [1, 3, 2], -1),
        "pack": lambda x: tf.stack([x, x * 2, x + 1], 1), "unpack": lambda x: tf.unstack(x, axis=1),
        "concat": lambda x: tf.concat([x, x * 2], -1), "tile": lambda x: tf.tile(x, [1, 2, 3]),
        "broadcast_to": lambda x: tf.broadcast_to(x[:, :1], [3, 2, 5, 6]) + 1, "reverse": lambda x: tf.reverse(x, [1, 2]),
        "reverse_sequence": lambda x: tf.reverse_sequence(x, [2, 5], seq_axis=2, batch_axis=0),
        "shape": lambda x: tf.shape(x) + 1, "cumsum": lambda x: tf.cumsum(x, 1), "cumsum_reverse": lambda x: tf.cumsum(x, 2, True, True),
        "matrix_diag": tf.linalg.diag, "sum": lambda x: tf.reduce_sum(x, [0, 2]), "mean": lambda x: tf.reduce_mean(x, 1, True),
        "max": lambda x: tf.reduce_max(x, -1), "min": lambda x: tf.reduce_min(x, [1, 2]), "prod": lambda x: tf.reduce_prod(x, 2),
        "arg_max": lambda x: tf.argmax(x, 1, tf.int32), "arg_min": lambda x: tf.argmin(x, -1), "softmax": tf.nn.softmax,
        "log_softmax": tf.nn.log_softmax, "l2_normalize": lambda x: tf.nn.l2_normalize(x, -1),
        "top_k": lambda x: tf.math.top_k(x, 3), "gather": lambda x: tf.gather(x, [2, 0, 2], axis=1),
        "gather_batch": lambda x: tf.gather(x, [[0, 1], [3, 2]], axis=1, batch_dims=1), "gather_nd": lambda x: tf.gather_nd(x, [[0, 1], [1, 3]]),
        "where": lambda x: tf.where(x > 0), "one_hot": lambda x: tf.one_hot(tf.cast(x, tf.int32), 4, 2.0, -1.0, 1),
        "segment_sum": lambda x: tf.math.segment_sum(x, [0, 2]), "rfft2d": lambda x: tf.math.real(tf.signal.rfft2d(x, fft_length=[4, 8])),
        "imag": lambda x: tf.math.imag(tf.signal.rfft2d(x, fft_length=[4, 8])),
        "softmax_scaled": lambda x: tf.nn.softmax(x * 2.0), "dynamic_update": lambda x: tf.raw_ops.XlaDynamicUpdateSlice(input=x, update=x[:1, :2], indices=[1, 1, 0]) if False else tf.tensor_scatter_nd_update(x, [[0, 1, 2]], [5.0]),
    }
    for name, f in one.items():
        yield Case(f"array_{name}", f, x=x)
    for name in ("reshape", "transpose", "slice", "strided", "sum", "max", "softmax", "concat", "gather", "mean", "pad", "shape", "tile"):
        if name != "tile":
            yield Case(f"dynamic_{name}", one[name], x=(x, [None, 4, 6]))
    for name in ("concat", "sum", "prod", "max", "min", "reverse", "gather", "tile", "pad", "transpose", "slice", "cumsum", "top_k", "arg_max"):
        yield Case(f"int32_{name}", one[name], x=ints("i", 2, 4, 6))
    for d, n in ((2, "space"),):
        yield Case("space_to_depth", lambda x: tf.nn.space_to_depth(x, 2), x=image)
        yield Case("depth_to_space", lambda x: tf.nn.depth_to_space(x, 2), x=image)
        yield Case("space_to_batch", lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [1, 1]]), x=image)
        yield Case("batch_to_space", lambda x: tf.batch_to_space(x, [2, 1], [[1, 0], [0, 0]]), x=image)
    a = ints("t", 3, 4, low=0, high=2) > 0
    yield Case("reduce_any", lambda x: tf.reduce_any(x, 1), x=a)
    yield Case("reduce_all", lambda x: tf.reduce_all(x, 0, True), x=a)
    yield Case("fill", lambda n, v: tf.fill(n, v), n=np.int32([2, 3]), v=np.float32(1.5))
    yield Case("range", lambda a, b, d: tf.range(a, b, d), a=np.int32(1), b=np.int32(9), d=np.int32(3))
    yield Case("rank", lambda x: tf.rank(x) + tf.shape(x)[0], x=(x, None))
    yield Case("unique", lambda x: tf.unique(x), x=np.int32([3, 1, 3, 2, 1]))
    yield Case("scatter_nd", lambda i, u: tf.scatter_nd(i, u, [4, 3]), i=np.int32([[1], [3], [1]]), u=floats("u", 3, 3))
    yield Case("sparse_to_dense", lambda i, v: tf.raw_ops.SparseToDense(sparse_indices=i, output_shape=[5], sparse_values=v, default_value=-1.0, validate_indices=False), i=np.int32([1, 3]), v=floats("v", 2))
    for name in ("sum", "prod", "max", "min"):
        yield Case(f"unsorted_segment_{name}", lambda x, f=getattr(tf.math, f"unsorted_segment_{name}"): f(x, [2, 0], 4), x=x)
    yield Case("matrix_set_diag", lambda x, d: tf.linalg.set_diag(x, d), x=x, d=floats("d", 2, 4))
    yield Case("broadcast_args", lambda x, y: tf.broadcast_dynamic_shape(x, y), x=np.int32([2, 1, 3]), y=np.int32([4, 1]))
    boxes = np.float32([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 2, 1, 3], [0, 2.05, 1, 3]])
    yield Case("nms_v4", lambda b, s: tf.raw_ops.NonMaxSuppressionV4(boxes=b, scores=s, max_output_size=3, iou_threshold=0.5, score_threshold=0.1, pad_to_max_output_size=True), b=boxes, s=np.float32([0.9, 0.8, 0.3, 0.7]))
    yield Case("nms_v5", lambda b, s: tf.raw_ops.NonMaxSuppressionV5(boxes=b, scores=s, max_output_size=3, iou_threshold=0.5, score_threshold=0.1, soft_nms_sigma=0.5, pad_to_max_output_size=True), b=boxes, s=np.float32([0.9, 0.8, 0.3, 0.7]))
    yield Case("embedding", lambda i: tf.nn.embedding_lookup(floats("table", 7, 3), i), i=np.int32([[1, 4], [6, 0]]))
    yield Case("random_uniform", lambda n: tf.random.uniform(n, seed=3), n=np.int32([3, 2]), random=True)
    yield Case("random_normal", lambda n: tf.random.normal(n, seed=3), n=np.int32([3, 2]), random=True)


def windows():
    x = floats("image", 2, 9, 8, 4)
    w = floats("w", 3, 2, 4, 5)
    for padding in ("SAME", "VALID"):
        for stride in (1, 2):
            yield Case(f"conv_{padding}_{stride}", lambda x, p=padding, s=stride: tf.nn.relu(tf.nn.conv2d(x, w, s, p) + np.float32([1, 2, 3, 4, 5])), x=x)
            yield Case(f"depthwise_{padding}_{stride}", lambda x, p=padding, s=stride: tf.nn.depthwise_conv2d(x, w[..., :2], [1, s, s, 1], p), x=x)
            yield Case(f"max_pool_{padding}_{stride}", lambda x, p=padding, s=stride: tf.nn.max_pool2d(x, [3, 2], s, p), x=x)
            yield Case(f"avg_pool_{padding}_{stride}", lambda x, p=padding, s=stride: tf.nn.avg_pool2d(x, [3, 2], s, p), x=x)
            yield Case(f"transpose_conv_{padding}_{stride}", lambda x, p=padding, s=stride: tf.nn.conv2d_transpose(x, floats("tw", 3, 3, 5, 4), [2, 9 * s + (2 if p == "VALID" and s == 1 else 1 if p == "VALID" else 0), 8 * s + (2 if p == "VALID" and s == 1 else 1 if p == "VALID" else 0), 5], s, p), x=x)
        yield Case(f"conv_dilated_{padding}", lambda x, p=padding: tf.nn.conv2d(x, w, 1, p, dilations=[2, 3]), x=x)
        yield Case(f"depthwise_dilated_{padding}", lambda x, p=padding: tf.nn.depthwise_conv2d(x, w[..., :1], [1, 1, 1, 1], p, dilations=[2, 2]), x=x)
        yield Case(f"conv3d_{padding}", lambda x, p=padding: tf.nn.conv3d(x, floats("w3", 2, 3, 2, 3, 4), [1, 1, 2, 1, 1], p), x=floats("v", 1, 4, 6, 5, 3))
    yield Case("conv_grouped", lambda x: tf.nn.conv2d(x, floats("gw", 3, 3, 2, 6), 1, "SAME"), x=x)
    yield Case("conv_dynamic", lambda x: tf.nn.conv2d(x, w, 1, "SAME"), x=(x, [None, None, None, 4]))
    yield Case("conv3d_transpose", lambda x: tf.nn.conv3d_transpose(x, floats("w3t", 2, 3, 2, 4, 3), [1, 8, 6, 5, 4], [1, 2, 1, 1, 1], "SAME"), x=floats("v", 1, 4, 6, 5, 3))
    for half, align in ((False, False), (True, False), (False, True)):
        for size in ([5, 11], [18, 3]):
            yield Case(f"bilinear_{half}_{align}_{size[0]}", lambda x, h=half, a=align, s=size: tf.raw_ops.ResizeBilinear(images=x, size=s, half_pixel_centers=h, align_corners=a), x=x)
            yield Case(f"nearest_{half}_{align}_{size[0]}", lambda x, h=half, a=align, s=size: tf.raw_ops.ResizeNearestNeighbor(images=x, size=s, half_pixel_centers=h, align_corners=a), x=x)
    yield Case("lrn", lambda x: tf.nn.local_response_normalization(x, 2, 1.0, 0.5, 0.7), x=x)
    yield Case("matmul", lambda x: tf.matmul(x, floats("mw", 6, 5)) + floats("mb", 5), x=floats("m", 3, 6))
    yield Case("matmul_3d", lambda x: tf.matmul(x, floats("mw", 6, 5)), x=floats("m3", 2, 3, 6))
    yield Case("batch_matmul", tf.matmul, x=floats("ba", 2, 3, 4), y=floats("bb", 2, 4, 5))
    yield Case("batch_matmul_adj", lambda x, y: tf.matmul(x, y, transpose_b=True), x=floats("ba", 2, 3, 4), y=floats("bc", 2, 5, 4))
    yield Case("einsum", lambda x, y: tf.einsum("bij,bkj->bik", x, y), x=floats("ba", 2, 3, 4), y=floats("bc", 2, 5, 4))


def control():
    x = floats("x", 4)
    yield Case("while", lambda x, n: tf.while_loop(lambda i, v: i < n, lambda i, v: (i + 1, v * 1.5 + 1), [0, x])[1], x=x, n=np.int32(5))
    for n in (1, -1):
        yield Case(f"if_{n}", lambda x, n: tf.cond(n > 0, lambda: x * 2, lambda: tf.reverse(x, [0]) - 1), x=x, n=np.int32(n))
    yield Case("while_if", lambda x, n: tf.while_loop(lambda i, v: tf.reduce_sum(v) < 50, lambda i, v: (i + 1, tf.cond(i % 2 == 0, lambda: v + 3, lambda: v * 2)), [n, tf.abs(x)])[1], x=x, n=np.int32(0))

    class Counter(tf.Module):
        def __init__(self):
            super().__init__()
            self.v = tf.Variable([1.0, 2.0, 3.0, 4.0])

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32, "x")])
        def run(self, x):
            self.v.assign_add(x)
            return self.v * 2

    yield Case("variable", Counter(), x=x)

    class Table(tf.Module):
        def __init__(self):
            super().__init__()
            self.t = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([5, 7], tf.int64)), -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])
        def run(self, x):
            return self.t.lookup(x), self.t.size()

    yield Case("hashtable", Table(), x=np.array([b"b", b"z", b"a"], dtype=object))
    strings = np.array([b"one", b"", b"three"], dtype=object)
    yield Case("strings", lambda x: (tf.reshape(x, [3, 1]), tf.gather(x, [2, 0])), x=strings)


def networks(quantise=None, prefix="net"):
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(7)

    def model(*stack, shape):
        return tf.keras.Sequential([layers.Input(shape), *stack])

    def case(name, net, x, **more):
        return Case(f"{prefix}_{name}", net, quantise=quantise, x=x, tolerance=2e-5, **more)

    yield case("mlp", model(layers.Dense(32, "relu"), layers.Dense(10, "softmax"), shape=(20,)), floats("n1", 1, 20))
    yield case("cnn", model(layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(12, 3, padding="same", activation="relu"),
                            layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10, "softmax"), shape=(16, 16, 1)), floats("n2", 1, 16, 16, 1))

    def block(x, expand, out, stride):
        y = layers.BatchNormalization()(layers.Conv2D(expand, 1, use_bias=False)(x))
        y = layers.ReLU(6.0)(y)
        y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, stride, "same", use_bias=False)(y))
        y = layers.BatchNormalization()(layers.Conv2D(out, 1, use_bias=False)(layers.ReLU(6.0)(y)))
        return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == out else y

    x = layers.Input((32, 32, 3))
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, "same")(x)))
    for expand, out, stride in ((16, 8, 1), (24, 12, 2), (36, 12, 1), (36, 16, 2)):
        y = block(y, expand, out, stride)
    y = layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(y))
    yield case("mobilenet_like", tf.keras.Model(x, y), floats("n3", 1, 32, 32, 3, low=-1, high=1))
    x = layers.Input((32, 32, 3))
    y = layers.Activation("silu")(layers.Conv2D(8, 3, 2, "same")(x))
    s = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="silu")(layers.GlobalAveragePooling2D(keepdims=True)(y)))
    y = layers.Dense(5)(layers.Flatten()(layers.Multiply()([y, s])))
    yield case("squeeze_excite", tf.keras.Model(x, y), floats("n4", 1, 32, 32, 3, low=-1, high=1))
    x = layers.Input((16, 16, 3))
    a = layers.Conv2D(8, 3, 2, "same", activation="relu")(x)
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.UpSampling2D(interpolation="bilinear")(a))
    y = layers.Conv2D(2, 1)(layers.Concatenate()([y, layers.Conv2DTranspose(4, 3, 2, "same")(a)]))
    yield case("unet", tf.keras.Model(x, y), floats("n5", 1, 16, 16, 3))
    if quantise in QUANTISED:
        return
    yield from recurrent(quantise, prefix)
    x = layers.Input((6, 16))
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 8)(x, x) + x)
    yield case("attention", tf.keras.Model(x, layers.LayerNormalization()(y + layers.Dense(16)(layers.Dense(32, "gelu")(y)))), floats("n7", 1, 6, 16))
    yield case("conv1d", model(layers.Conv1D(8, 3, activation="relu", dilation_rate=2, padding="causal"), layers.GlobalMaxPooling1D(), shape=(20, 3)), floats("n8", 1, 20, 3))


def recurrent(quantise, prefix):
    """Keras 2 names the layers that the converter knows as operators; with a fixed batch."""
    import tf_keras
    layers = tf_keras.layers
    stacks = {
        "lstm": [layers.LSTM(6, return_sequences=True), layers.LSTM(5), layers.Dense(3)],
        "lstm_time_major": [layers.LSTM(6, time_major=True, return_sequences=True)],
        "bilstm": [layers.Bidirectional(layers.LSTM(6, return_sequences=True)), layers.Dense(3)],
        "gru": [layers.GRU(6, return_sequences=True), layers.GRU(5)],
        "rnn": [layers.SimpleRNN(6)],
        "lstm_backwards": [layers.LSTM(6, go_backwards=True)],
    }
    x = floats("n6", 2, 7, 4)
    for name, stack in stacks.items():
        tf_keras.utils.set_random_seed(3)
        net = tf_keras.Sequential([layers.Input((7, 4), batch_size=2), *stack])
        net(x)
        yield Case(f"{prefix}_{name}", lambda x, net=net: net(x), quantise=quantise, x=x, tolerance=2e-5, module=net)


def quantised():
    """Full-integer models of one or few operators."""
    x, y = floats("qx", 1, 6, 5, 4), floats("qy", 1, 6, 5, 4)
    w = floats("qw", 3, 2, 4, 6)
    functions = {
        "add": lambda x: x + y, "add_self": lambda x: tf.nn.relu(x + tf.sigmoid(x)), "sub": lambda x: x - y * 0.3, "mul": lambda x: x * y,
        "mul_relu6": lambda x: tf.nn.relu6(x * tf.tanh(x)), "relu": tf.nn.relu, "relu6": tf.nn.relu6, "sigmoid": tf.sigmoid, "tanh": tf.tanh,
        "softmax": tf.nn.softmax, "log_softmax": tf.nn.log_softmax, "elu": tf.nn.elu, "leaky": lambda x: tf.nn.leaky_relu(x, 0.2),
        "hard_swish": lambda x: x * tf.nn.relu6(x + 3) * (1 / 6), "gelu": tf.nn.gelu, "abs": tf.abs, "neg": tf.negative, "exp": tf.exp,
        "conv": lambda x: tf.nn.relu(tf.nn.conv2d(x, w, 1, "SAME") + floats("qb", 6)), "conv_stride": lambda x: tf.nn.conv2d(x, w, 2, "VALID"),
        "conv_dilated": lambda x: tf.nn.conv2d(x, w, 1, "SAME", dilations=2), "depthwise": lambda x: tf.nn.relu6(tf.nn.depthwise_conv2d(x, w[..., :2], [1, 1, 1, 1], "SAME") + floats("qd", 8)),
        "fc": lambda x: tf.matmul(tf.reshape(x, [6, 20]), floats("qf", 20, 7)) + floats("qfb", 7),
        "avg_pool": lambda x: tf.nn.avg_pool2d(x, [3, 2], 2, "SAME"), "max_pool": lambda x: tf.nn.max_pool2d(x, [3, 2], 1, "SAME"),
        "mean": lambda x: tf.reduce_mean(x, [1, 2]), "mean_keep": lambda x: tf.reduce_mean(x, [1, 2], True), "mean_last": lambda x: tf.reduce_mean(x, -1),
        "max": lambda x: tf.reduce_max(x, [1]), "min": lambda x: tf.reduce_min(x, [3]), "concat": lambda x: tf.concat([x, tf.sigmoid(x), y], -1),
        "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]), "mirror_pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], "REFLECT"),
        "bilinear": lambda x: tf.raw_ops.ResizeBilinear(images=x, size=[9, 7], half_pixel_centers=True), "nearest": lambda x: tf.raw_ops.ResizeNearestNeighbor(images=x, size=[9, 7], half_pixel_centers=True),
        "transpose_conv": lambda x: tf.nn.conv2d_transpose(x, floats("qt", 3, 3, 5, 4), [1, 12, 10, 5], 2, "SAME"),
        "reshape": lambda x: tf.transpose(tf.reshape(x, [6, 20])), "slice": lambda x: x[:, 1:4, ::2], "split": lambda x: tf.split(x, 2, -1), "pack": lambda x: tf.stack([x, x], 1),
        "maximum": lambda x: tf.maximum(x, tf.tanh(x)), "minimum": lambda x: tf.minimum(x, y), "squared_difference": lambda x: tf.math.squared_difference(x, y), "less": lambda x: x < y, "equal": lambda x: tf.equal(x, y),
        "batch_matmul": lambda x: tf.matmul(x, tf.transpose(x, [0, 1, 3, 2])), "l2_normalize": lambda x: tf.nn.l2_normalize(x, -1), "rsqrt": lambda x: tf.math.rsqrt(tf.abs(x) + 0.5), "div": lambda x: x / (tf.abs(x) + 1.0),
        "gather": lambda x: tf.gather(x, [3, 1], axis=1), "tile": lambda x: tf.tile(x, [1, 2, 1, 1]), "prelu": lambda x: tf.nn.relu(x) - np.float32([0.1, 0.2, 0.3, 0.4]) * tf.nn.relu(-x), "arg_max": lambda x: tf.argmax(x, -1), "space_to_batch": lambda x: tf.space_to_batch(x, [2, 1], [[1, 1], [0, 0]]), "depth_to_space": lambda x: tf.nn.depth_to_space(x, 2), "broadcast_to": lambda x: tf.broadcast_to(x[:, :1], [2, 6, 5, 4]), "top_k": lambda x: tf.math.top_k(x, 2), "cumsum": lambda x: tf.cumsum(x, 1), "select": lambda x: tf.where(x > y, x, tf.tanh(x)), "pow": lambda x: tf.square(x), "sqrt": lambda x: tf.sqrt(tf.abs(x)), "log": lambda x: tf.math.log(tf.abs(x) + 0.3), "prod": lambda x: tf.reduce_prod(x, 3), "sin": tf.sin, "relu_n1": lambda v: tf.minimum(tf.maximum(v, -1.0), 1.0),
    }
    for name, f in functions.items():
        for quantise in QUANTISED:
            # These two are computed in floats here, which is off by a level at times.
            yield Case(f"{quantise}_{name}", f, quantise=quantise, x=x, tolerance={"prod": 0.01, "batch_matmul": 1e-4}.get(name, 1e-5))
    for name in ("add", "conv", "softmax", "mean"):
        yield Case(f"int8_io_{name}", functions[name], quantise="int8", io=tf.int8, x=x)
        yield Case(f"uint8_io_{name}", functions[name], quantise="int8", io=tf.uint8, x=x)


def cases():
    yield from networks()
    yield from elementwise()
    yield from arrays()
    yield from windows()
    yield from control()
    yield from quantised()
    for quantise in ("float16", "dynamic", "int8", "int16x8"):
        yield from networks(quantise, quantise + "_net")
