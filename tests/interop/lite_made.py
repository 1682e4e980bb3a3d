"""Models of lite_models.py that TensorFlow's converter does not write: operators of older converters, of other tools, integer and hybrid
recurrent layers. The flatbuffers are made with the schema's classes that TensorFlow installs; the truth is its interpreter."""
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
import flatbuffers

from lite_cases import floats, ints

TYPES = {np.dtype(np.float32): schema.TensorType.FLOAT32, np.dtype(np.int8): schema.TensorType.INT8, np.dtype(np.uint8): schema.TensorType.UINT8,
         np.dtype(np.int16): schema.TensorType.INT16, np.dtype(np.int32): schema.TensorType.INT32, np.dtype(np.int64): schema.TensorType.INT64,
         np.dtype(np.bool_): schema.TensorType.BOOL, np.dtype(object): schema.TensorType.STRING}


class Builder:
    """One subgraph. Tensors are numbers; `op` adds an operator."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.values = {}

    def tensor(self, shape, dtype, name="", scale=None, zero=0, axis=0, variable=False, value=None):
        t = schema.TensorT()
        t.name, t.shape, t.type, t.buffer, t.isVariable, t.hasRank = name or f"t{len(self.graph.tensors)}", list(shape), TYPES[np.dtype(dtype)], 0, variable, True
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = [float(s) for s in np.atleast_1d(scale)]
            q.zeroPoint = [int(zero)] * len(q.scale)
            q.quantizedDimension = axis
            t.quantization = q
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            t.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def input(self, name, value, **more):
        at = self.tensor(value.shape, value.dtype, name, **more)
        self.graph.inputs.append(at)
        self.values[name] = value
        return at

    def constant(self, value, **more):
        value = np.asarray(value)
        return self.tensor(value.shape, value.dtype, value=value, **more)

    def op(self, name, inputs, outputs, options=None, intermediates=None):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self.model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = len(self.model.operatorCodes) - 1, inputs, outputs
        if intermediates:
            op.intermediates = intermediates
        if options is not None:
            kind = type(options).__name__[:-1]
            if hasattr(schema.BuiltinOptions, kind):
                op.builtinOptionsType, op.builtinOptions = getattr(schema.BuiltinOptions, kind), options
            else:
                op.builtinOptions2Type, op.builtinOptions2 = getattr(schema.BuiltinOptions2, kind), options
        self.graph.operators.append(op)

    def finish(self, outputs):
        self.graph.outputs = outputs
        self.model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


class Made:
    """A model that `build(b)` makes with a Builder; it returns the tensors that are outputs."""

    def __init__(self, name, build, tolerance=1e-5, tolerance_integer=0, random=False):
        self.name, self.build, self.tolerance, self.tolerance_integer, self.random = name, build, tolerance, tolerance_integer, random

    def make(self):
        b = Builder()
        outputs = self.build(b)
        return b.finish(outputs), b.values


def options(kind, **values):
    made = getattr(schema, kind + "T")()
    for name, value in values.items():
        setattr(made, name, value)
    return made


RELU, TANH = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.TANH


def quantised(name, *shape, scale=None):
    """int8 levels of random weights, and their scale."""
    value = floats(name, *shape, low=-1, high=1)
    scale = scale or float(np.max(np.abs(value)) / 127)
    return np.clip(np.round(value / scale), -127, 127).astype(np.int8), scale


def svdf(kind, rank=2, activation=0, asymmetric=False):
    """Two steps over one state."""
    batch, size, units, memory = 2, 6, 4, 5
    filters = units * rank

    def build(b):
        o = options("SVDFOptions", rank=rank, fusedActivationFunction=activation, asymmetricQuantizeInputs=asymmetric)
        feature, feature_scale = quantised("svdf_f", filters, size)
        time = floats("svdf_t", filters, memory, low=-1, high=1)
        bias = floats("svdf_b", units, low=-0.5, high=0.5)
        x = [floats(f"svdf_x{i}", batch, size, low=-1, high=1) for i in range(2)]
        if kind == "int8":
            scale, state_scale, time_scale, out_scale = 1 / 127, 4 / 32768, 1 / 32768 * 1.1, 6 / 255
            inputs = [b.input(f"x{i}", np.clip(np.round(v / scale) - 3, -128, 127).astype(np.int8), scale=scale, zero=-3) for i, v in enumerate(x)]
            w = b.constant(feature, scale=feature_scale)
            t = b.constant(np.round(time / time_scale).clip(-32768, 32767).astype(np.int16), scale=time_scale)
            c = b.constant(np.round(bias / (state_scale * time_scale)).astype(np.int32), scale=state_scale * time_scale)
            state = b.tensor([batch, filters * memory], np.int16, scale=state_scale, variable=True)
            outs = [b.tensor([batch, units], np.int8, scale=out_scale, zero=5) for _ in x]
        else:
            inputs = [b.input(f"x{i}", v) for i, v in enumerate(x)]
            state = b.tensor([batch, filters * memory], np.float32, variable=True)
            if kind == "hybrid":
                time_levels, time_scale = quantised("svdf_t", filters, memory)
                w, t = b.constant(feature, scale=feature_scale), b.constant(time_levels, scale=time_scale)
            else:
                w, t = b.constant(feature.astype(np.float32) * feature_scale), b.constant(time)
            c = b.constant(bias)
            outs = [b.tensor([batch, units], np.float32) for _ in x]
        for at, out in zip(inputs, outs):
            b.op("SVDF", [at, w, t, c, state], [out], o)
        return outs
    return build


def rnn(kind, name, asymmetric=False):
    batch, steps, size, units = 2, 3, 5, 4

    def build(b):
        x = floats("rnn_x", *((batch, size) if name == "RNN" else (batch, steps, size)), low=-1, high=1)
        at = b.input("x", x)

        def weights(which, *shape):
            levels, scale = quantised(which, *shape)
            return b.constant(levels, scale=scale) if kind == "hybrid" else b.constant(levels.astype(np.float32) * scale)

        def direction(d):
            return [weights(f"rnn_w{d}", units, size), weights(f"rnn_r{d}", units, units), b.constant(floats(f"rnn_b{d}", units, low=-0.3, high=0.3)),
                    b.tensor([batch, units], np.float32, variable=True)]
        if name == "RNN":
            first, second = b.tensor([batch, units], np.float32), b.tensor([batch, units], np.float32)
            layer = direction(0)
            o = options("RNNOptions", fusedActivationFunction=TANH, asymmetricQuantizeInputs=asymmetric)
            b.op("RNN", [at, *layer], [first], o)
            b.op("RNN", [at, *layer], [second], o)
            return [first, second]
        if name == "UNIDIRECTIONAL_SEQUENCE_RNN":
            out = b.tensor([batch, steps, units], np.float32)
            b.op(name, [at, *direction(0)], [out], options("SequenceRNNOptions", fusedActivationFunction=TANH, timeMajor=False, asymmetricQuantizeInputs=asymmetric))
            return [out]
        out = b.tensor([batch, steps, 2 * units], np.float32)
        b.op(name, [at, *direction(0), *direction(1), -1, -1, -1], [out],
             options("BidirectionalSequenceRNNOptions", fusedActivationFunction=TANH, timeMajor=False, mergeOutputs=True, asymmetricQuantizeInputs=asymmetric))
        return [out]
    return build


def lstm(kind, name, peephole=False, projection=False, normalised=False, cifg=False, asymmetric=False):
    batch, steps, size, cells = 2, 3, 5, 4
    out = 3 if projection else cells

    def build(b):
        x = floats("lstm_x", *((batch, size) if name == "LSTM" else (batch, steps, size)), low=-1, high=1)
        at = b.input("x", x)

        def weights(which, *shape):
            levels, scale = quantised(which, *shape)
            return b.constant(levels, scale=scale) if kind == "hybrid" else b.constant(levels.astype(np.float32) * scale)

        def direction():
            gates = [-1 if cifg and g == 0 else g for g in range(4)]
            made = [-1 if g < 0 else weights(f"lstm_w{g}", cells, size) for g in gates]
            made += [-1 if g < 0 else weights(f"lstm_r{g}", cells, out) for g in gates]
            made += [weights(f"lstm_p{g}", cells) if peephole and not (cifg and g == 0) else -1 for g in range(3)]
            made += [-1 if g < 0 else b.constant(floats(f"lstm_b{g}", cells, low=-0.3, high=0.3)) for g in gates]
            return made + [weights("lstm_j", out, cells) if projection else -1, -1]

        def states():
            return [b.tensor([batch, out], np.float32, variable=True), b.tensor([batch, cells], np.float32, variable=True)]
        common = {"fusedActivationFunction": TANH, "cellClip": 0.9, "projClip": 0.8 if projection else 0.0, "asymmetricQuantizeInputs": asymmetric}
        norms = [-1 if cifg and g == 0 else b.constant(floats(f"lstm_n{g}", cells, low=0.5, high=1.5)) for g in range(4)] if normalised else []
        if name == "LSTM":
            y = b.tensor([batch, out], np.float32)
            b.op(name, [at, *direction(), *states(), *norms], [y], options("LSTMOptions", **common))
        else:
            y = b.tensor([batch, steps, out], np.float32)
            b.op(name, [at, *direction(), *states(), *norms], [y], options("UnidirectionalSequenceLSTMOptions", timeMajor=False, **common))
        return [y]
    return build


def recurrent():
    for kind in ("float", "hybrid", "int8"):
        for rank in (1, 2):
            for activation in (RELU,) if kind == "int8" else (0, RELU):
                yield Made(f"{'int8_' if kind == 'int8' else ''}svdf_{kind}_{rank}_{activation}", svdf(kind, rank, activation), 2e-5)
    yield Made("svdf_hybrid_asymmetric", svdf("hybrid", asymmetric=True), 2e-5)
    for kind in ("float", "hybrid"):
        for name in ("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"):
            yield Made(f"{name.lower()}_{kind}", rnn(kind, name), 2e-5)
        # Not BIDIRECTIONAL_SEQUENCE_LSTM: TensorFlow Lite's answer to one model changes from run to run.
        for name in ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"):
            yield Made(f"{name.lower()}_{kind}", lstm(kind, name), 2e-5)
            yield Made(f"{name.lower()}_{kind}_all", lstm(kind, name, peephole=True, projection=True), 2e-5)
            yield Made(f"{name.lower()}_{kind}_cifg", lstm(kind, name, cifg=True, peephole=True), 2e-5)
            yield Made(f"{name.lower()}_{kind}_normalised", lstm(kind, name, normalised=True), 5e-5)
    for name in ("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"):
        yield Made(f"{name.lower()}_asymmetric", rnn("hybrid", name, True), 2e-5)
    yield Made("unidirectional_sequence_lstm_asymmetric", lstm("hybrid", "UNIDIRECTIONAL_SEQUENCE_LSTM", asymmetric=True), 2e-5)


def one(name, inputs, out_shape, out_dtype=np.float32, opts=None, constants=(), order=None, scales=None, out_scale=None, out_zero=0):
    """One operator over inputs and then constants; `scales`: (scale, zero point) by input's name."""
    def build(b):
        at = [b.input(k, v, **dict(zip(("scale", "zero"), scales[k])) if scales and k in scales else {}) for k, v in inputs.items()]
        at += [b.constant(c) if not isinstance(c, tuple) else b.constant(c[0], scale=c[1], zero=c[2]) for c in constants]
        outs = [b.tensor(s, d, scale=out_scale, zero=out_zero) for s, d in ([(out_shape, out_dtype)] if not isinstance(out_shape, list) else out_shape)]
        b.op(name, [at[i] for i in order] if order else at, outs, opts)
        return outs
    return build


def others():
    x, image = floats("mx", 2, 4, 6), floats("mi", 2, 6, 5, 4)
    levels = ints("ml", 2, 4, 6, low=-128, high=128, dtype=np.int8)
    q = {"x": (0.05, 3)}
    slope = (ints("mp", 1, 1, 6, low=-100, high=100, dtype=np.int8), 0.01, 7)
    yield Made("int8_prelu", one("PRELU", {"x": levels}, (2, 4, 6), np.int8, constants=[slope], scales=q, out_scale=0.06, out_zero=-11))
    yield Made("prelu", one("PRELU", {"x": x}, (2, 4, 6), constants=[floats("mps", 1, 1, 6)]))
    for padding in (0, 1):
        o = options("Pool2DOptions", padding=padding, strideW=2, strideH=1, filterWidth=2, filterHeight=3)
        size = (2, 6, 3, 4) if padding == 0 else (2, 4, 2, 4)
        yield Made(f"l2_pool_{padding}", one("L2_POOL_2D", {"x": image}, size, opts=o))
    for bits, narrow in ((8, False), (5, False)):
        yield Made(f"fake_quant_{bits}_{narrow}", one("FAKE_QUANT", {"x": x}, (2, 4, 6), opts=options("FakeQuantOptions", min=-1.7, max=2.1, numBits=bits, narrowRange=narrow)))
    for dtype in (np.float32, np.int32, np.int8):
        value = {np.float32: x, np.int32: ints("mv", 2, 4, 6), np.int8: levels}[dtype]
        update = value[:1, :2, :3] + dtype(1)
        for start in ([1, 1, 0], [3, -1, 5]):
            yield Made(f"dynamic_update_slice_{np.dtype(dtype).name}_{start[0]}",
                       one("DYNAMIC_UPDATE_SLICE", {"x": value, "u": update, "i": np.int32(start)}, (2, 4, 6), dtype, opts=options("DynamicUpdateSliceOptions")))
    yield Made("segment_sum", one("SEGMENT_SUM", {"x": floats("ms", 4, 3), "i": np.int32([0, 0, 1, 2])}, (3, 3), opts=options("SegmentSumOptions")))
    yield Made("segment_sum_int32", one("SEGMENT_SUM", {"x": ints("msi", 4, 3), "i": np.int32([0, 1, 1, 2])}, (3, 3), np.int32, opts=options("SegmentSumOptions")))
    yield Made("squeeze", one("SQUEEZE", {"x": x.reshape(2, 1, 24, 1)}, (2, 24, 1), opts=options("SqueezeOptions", squeezeDims=[1])))
    yield Made("squeeze_all", one("SQUEEZE", {"x": x.reshape(2, 1, 24, 1)}, (2, 24), opts=options("SqueezeOptions", squeezeDims=[])))
    yield Made("squeeze_negative", one("SQUEEZE", {"x": x.reshape(2, 1, 24, 1)}, (2, 1, 24), opts=options("SqueezeOptions", squeezeDims=[-1])))
    yield Made("embedding_lookup", one("EMBEDDING_LOOKUP", {"i": np.int32([3, 0, 3])}, (3, 4), constants=[floats("me", 5, 4)]))
    yield Made("embedding_lookup_3d", one("EMBEDDING_LOOKUP", {"i": np.int32([3, 0])}, (2, 4, 2), constants=[floats("me3", 5, 4, 2)]))
    yield Made("embedding_lookup_hybrid", one("EMBEDDING_LOOKUP", {"i": np.int32([3, 0, 3])}, (3, 4), constants=[(ints("meh", 5, 4, low=-127, high=128, dtype=np.int8), 0.02, 0)]))
    yield Made("int8_embedding_lookup", one("EMBEDDING_LOOKUP", {"i": np.int32([3, 0, 3])}, (3, 4), np.int8, constants=[(ints("meh", 5, 4, low=-127, high=128, dtype=np.int8), 0.02, 0)], out_scale=0.02))
    for combiner in (0, 1, 2):
        sparse = {"i": np.int32([1, 3, 0]), "at": np.int32([[0, 0], [2, 0], [2, 1]]), "shape": np.int32([3, 2]), "w": np.float32([1, 2, 4])}
        for row in ((3,), (3, 2)):
            yield Made(f"embedding_lookup_sparse_{combiner}_{len(row)}", one("EMBEDDING_LOOKUP_SPARSE", sparse, (3, *row), constants=[floats("ms4", 4, *row)],
                                                                             opts=options("EmbeddingLookupSparseOptions", combiner=combiner)))
    yield Made("hashtable_lookup", one("HASHTABLE_LOOKUP", {"k": np.int32([1234, -292, -11, 0]), "v": floats("mh", 3, 2)}, [((4, 2), np.float32), ((4,), np.uint8)],
                                       constants=[np.int32([-11, 0, 1234])], order=[0, 2, 1]))
    yield Made("multinomial", one("MULTINOMIAL", {"x": np.float32([[0.1, 0.5, -2], [3, 0, 1]])}, (2, 5), np.int64, constants=[np.int32(5)], opts=options("RandomOptions", seed=1, seed2=2)), random=True)
    y = floats("my", 2, 4, 6)
    for name in ("ADD", "MAXIMUM", "MINIMUM", "MULTIPLY"):
        yield Made(f"stablehlo_{name.lower()}", one(f"STABLEHLO_{name}", {"x": x, "y": y}, (2, 4, 6)))
        yield Made(f"stablehlo_{name.lower()}_int32", one(f"STABLEHLO_{name}", {"x": ints("sx", 3, 4), "y": ints("sy", 3, 4)}, (3, 4), np.int32))
    yield Made("stablehlo_shift_left", one("STABLEHLO_SHIFT_LEFT", {"x": ints("sx", 3, 4), "y": ints("ss", 3, 4, low=0, high=5)}, (3, 4), np.int32, opts=options("StablehloShiftLeftOptions")))
    yield Made("relu_0_to_1", one("RELU_0_TO_1", {"x": x}, (2, 4, 6)))
    yield Made("int8_relu_0_to_1", one("RELU_0_TO_1", {"x": levels}, (2, 4, 6), np.int8, scales=q, out_scale=0.05, out_zero=3))
    yield Made("zeros_like", one("ZEROS_LIKE", {"x": x}, (2, 4, 6), opts=options("ZerosLikeOptions")))
    yield Made("dilate", one("DILATE", {"x": floats("md", 2, 3)}, (3, 7), constants=[np.int32([2, 3]), np.float32(1.5)], opts=options("DilateOptions")))


def batch_matmul():
    for name, adj_x, adj_y in (("plain", False, False), ("adj_y", False, True), ("adj_x", True, False)):
        for dtype, zeros in ((np.int8, (3, -4, 7)), (np.int16, (0, 0, 0))):
            high = np.iinfo(dtype).max
            a, b = ints("bma", 2, 3, 9, 5, low=-high, high=high, dtype=dtype), ints("bmb", 3, 5, 7, low=-high, high=high, dtype=dtype)
            a, b = (np.swapaxes(a, -1, -2).copy() if adj_x else a), (np.swapaxes(b, -1, -2).copy() if adj_y else b)
            step = 1 if dtype == np.int8 else 1 / 256
            yield Made(f"{'int8' if dtype == np.int8 else 'int16x8'}_batch_matmul_{name}",
                       one("BATCH_MATMUL", {"x": a, "y": b}, (2, 3, 9, 7), dtype, opts=options("BatchMatMulOptions", adjX=adj_x, adjY=adj_y),
                           scales={"x": (0.02 * step, zeros[0]), "y": (0.03 * step, zeros[1])}, out_scale=0.11 * step, out_zero=zeros[2]),
                       tolerance_integer=int(dtype == np.int16))
    for asymmetric in (False, True):
        levels = ints("bmh", 2, 5, 7, low=-127, high=128, dtype=np.int8)
        yield Made(f"hybrid_batch_matmul_{asymmetric}", one("BATCH_MATMUL", {"x": floats("bmx", 2, 9, 5)}, (2, 9, 7), constants=[(levels, 0.02, 0)],
                                                            opts=options("BatchMatMulOptions", asymmetricQuantizeInputs=asymmetric)))


def sparse():
    """Weights in the format's compressed rows, made dense by DENSIFY, or read by FULLY_CONNECTED as they are."""
    dense = floats("sw", 8, 12) * (ints("sm", 8, 12, low=0, high=3) == 0)
    dense = dense.astype(np.float32)

    def weights(b):
        segments, indices, values = [0], [], []
        for row in dense:
            kept = np.nonzero(row)[0]
            indices += kept.tolist()
            values += row[kept].tolist()
            segments.append(len(indices))
        at = b.constant(np.float32(values))
        t = b.graph.tensors[at]
        t.shape = list(dense.shape)
        p = schema.SparsityParametersT()
        p.traversalOrder = [0, 1]
        rows, columns = schema.DimensionMetadataT(), schema.DimensionMetadataT()
        rows.format, rows.denseSize = schema.DimensionType.DENSE, dense.shape[0]
        columns.format = schema.DimensionType.SPARSE_CSR
        for field, value in (("Segments", segments), ("Indices", indices)):
            vector = schema.Int32VectorT()
            vector.values = value
            setattr(columns, f"array{field}Type", schema.SparseIndexVector.Int32Vector)
            setattr(columns, f"array{field}", vector)
        p.dimMetadata = [rows, columns]
        t.sparsity = p
        return at

    def connected(densify):
        def build(b):
            x, w, y = b.input("x", floats("sx", 3, 12)), weights(b), b.tensor([3, 8], np.float32)
            if densify:
                w2 = b.tensor([8, 12], np.float32)
                b.op("DENSIFY", [w], [w2], options("DensifyOptions"))
                w = w2
            b.op("FULLY_CONNECTED", [x, w, b.constant(floats("sb", 8))], [y], options("FullyConnectedOptions"))
            return [y]
        return build
    yield Made("sparse_densify", connected(True))
    yield Made("sparse_fully_connected", connected(False))


def cases():
    yield from recurrent()
    yield from others()
    yield from batch_matmul()
    yield from sparse()
