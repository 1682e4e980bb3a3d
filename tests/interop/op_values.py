#!/usr/bin/env python3
"""What TensorFlow computes for element-wise, reducing, casting, cumulative and range-like ops.

    op_values.py OUT.jsonl [OP ...]
    TEST_OPS=build/test_ops op_values.py     makes all cases and runs Tenon on them

Every op of the tables below x every dtype for which TensorFlow has a CPU kernel x values that are
special: NaN, infinities, both zeros, poles, the ends of integers, division by zero; nothing,
scalars, lengths that leave a vector's tail, broadcasting both ways. Not denormals: TensorFlow's
threads and Tenon's runs take them for zero, the kernels by themselves do not. One case a line, read by tenon/ops/op_values_test.cc:
    {"op", "attrs": {name: {kind: value}}, "in": [[dtype, dims, hex]], "out": ... or "error": code}
"""
import inspect
import itertools
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

FLOATS = [tf.float16, tf.bfloat16, tf.float32, tf.float64]
INTS = [tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64]
COMPLEX = [tf.complex64, tf.complex128]
ALL = FLOATS + INTS + COMPLEX + [tf.bool]
LENGTHS = [1, 3, 8, 17, 40]

UNARY = """Neg Abs Square Sqrt Rsqrt Reciprocal Inv Exp Expm1 Log Log1p Tanh Sigmoid Erf Erfc Erfinv
    Ndtri Lgamma Digamma Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Floor Ceil Rint
    Round Sign IsNan IsInf IsFinite LogicalNot Invert Conj Real Imag ComplexAbs Angle Relu Relu6 Elu
    Selu Softplus Softsign LeakyRelu ZerosLike OnesLike L2Loss Softmax LogSoftmax""".split()
BINARY = """Equal NotEqual Less LessEqual Greater GreaterEqual LogicalAnd LogicalOr BitwiseAnd
    BitwiseOr BitwiseXor LeftShift RightShift Complex Add AddV2 Sub Mul Div RealDiv TruncateDiv
    FloorDiv FloorMod Mod TruncateMod DivNoNan MulNoNan Maximum Minimum SquaredDifference Pow Atan2
    Xlogy Xlog1py Xdivy""".split()
GRADIENTS = """TanhGrad SigmoidGrad SqrtGrad RsqrtGrad InvGrad ReciprocalGrad ReluGrad Relu6Grad
    EluGrad SeluGrad SoftplusGrad SoftsignGrad LeakyReluGrad""".split()
REDUCTIONS = "Sum Mean Prod EuclideanNorm Max Min All Any".split()
SEGMENTS = ["UnsortedSegment" + kind for kind in ("Sum", "Prod", "Max", "Min")]


def special(dtype):
    """Values at which kernels differ, as a list of Python numbers that fit."""
    if dtype == tf.bool:
        return [True, False, False, True, True]
    if dtype in INTS:
        low, high = dtype.min, dtype.max
        wanted = [0, 1, 2, 3, 5, 7, 100, high, high - 1, high // 2, -1, -2, -3, -7, low, low + 1]
        return [v for v in wanted if low <= v <= high]
    big = {tf.float16: 65504.0, tf.bfloat16: 3.3895e38, tf.float32: 3.4028235e38}
    real = dtype.real_dtype if dtype in COMPLEX else dtype
    top = big.get(real, 1.7976931348623157e308)
    values = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 2.0, -2.0, -3.0, -4.0, 3.7,
              -3.7, np.inf, -np.inf, np.nan, top, -top, 1e-4, -1e-4, 10.0, -10.0,
              0.999, -0.999, 88.5, -88.5, 20.25, -104.0, 700.0, 5.99, 6.01, 1e4, -1e4, 0.1, 1.0078125]
    if dtype in COMPLEX:
        finite = [0.0, 1.0, -1.0, 0.5, 2.5, -3.0]
        return [complex(a, b) for a in finite for b in finite] + [
            complex(1e-4, 1e-4), complex(20, 3), complex(-20, 3), complex(1e-9, -1e-9)]
    return values


def array(dtype, values, shape=None):
    made = np.array(values, dtype=dtype.as_numpy_dtype)
    return made if shape is None else np.resize(made, shape)


def rotated(dtype, length, start=0, values=None):
    values = values or special(dtype)
    return array(dtype, [values[(start + i) % len(values)] for i in range(length)])


def unary_inputs(dtype):
    whole = array(dtype, special(dtype))
    yield whole
    for i, length in enumerate(LENGTHS):
        yield rotated(dtype, length, 7 * i)
    yield rotated(dtype, 15, 2).reshape(3, 5)
    yield whole[1].reshape(())
    yield whole[:0]
    yield array(dtype, [[]]).reshape(2, 0)


def few(dtype):
    """A dozen of special(), for pairs of all with all; their squares fit."""
    if dtype in FLOATS:
        return [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 3.0, -3.0, np.inf, -np.inf, np.nan, 0.5, 100.0]
    return special(dtype)[:16]


def binary_inputs(dtype):
    values = few(dtype)
    pairs = list(itertools.product(values, values))
    yield array(dtype, [a for a, _ in pairs]), array(dtype, [b for _, b in pairs])
    # Integers for which nothing divides by zero, is a negative power or leaves its bits.
    if dtype in INTS:
        fine = [(a, b) for a, b in pairs if b not in (0, dtype.min, -1)]
        yield array(dtype, [a for a, _ in fine]), array(dtype, [b for _, b in fine])
        yield array(dtype, [7, dtype.max, dtype.min, 0, 1, 5]), array(dtype, [1, 1, 1, 2, 3, 2])
        yield array(dtype, [7, 3]), array(dtype, [0, 1])
        yield array(dtype, [7, 3]), array(dtype, 0)
        yield array(dtype, []), array(dtype, 0)
    for i, length in enumerate(LENGTHS):
        yield rotated(dtype, length, i, values), rotated(dtype, length, 3 * i + 1, values)
    one = array(dtype, values[2])
    yield one, rotated(dtype, 19)
    yield rotated(dtype, 19), one
    yield one, one
    yield rotated(dtype, 5, 2).reshape(5, 1), rotated(dtype, 7, 2)
    yield rotated(dtype, 7, 2), rotated(dtype, 5, 2).reshape(5, 1)
    yield rotated(dtype, 6, 2).reshape(2, 1, 3), rotated(dtype, 12, 2).reshape(4, 3)
    yield array(dtype, []).reshape(0), rotated(dtype, 1)
    yield rotated(dtype, 3).reshape(3, 1), array(dtype, []).reshape(1, 0)
    yield rotated(dtype, 2), rotated(dtype, 3)  # do not go together


def reduced_inputs(op, dtype):
    """(input, axes, keep_dims)"""
    # Which product overflows on the way hangs on the order; float16's squares do in TensorFlow.
    hard = few(dtype) if op in ("Prod", "EuclideanNorm") else special(dtype)
    for shape in [(7,), (40,), (3, 5), (17, 3), (4, 3, 2)]:
        count = int(np.prod(shape))
        x = rotated(dtype, count, 2, hard).reshape(shape)
        tame = array(dtype, [(3 * i) % 7 for i in range(count)]).reshape(shape)
        for axes in [list(range(len(shape))), [0], [-1], [], [0, 2]]:
            if axes and max(axes) >= len(shape):
                continue
            yield tame, axes, False
            yield x, axes, len(axes) == 1
    yield array(dtype, []).reshape(0, 3), [0], False
    yield array(dtype, []).reshape(0, 3), [1], True
    yield array(dtype, []).reshape(2, 0), [1], False
    yield array(dtype, special(dtype)[3]), [], False
    yield array(dtype, special(dtype)[:2]), [2], False
    yield array(dtype, special(dtype)[:2]), [0, 0], False


class Sweep:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8", buffering=1)
        self.missing = {}
        self.count = 0

    def run(self, op, inputs, attrs=None, note=None):
        """One case; False when TensorFlow has no kernel. `note`: what else its line says."""
        attrs = attrs or {}
        # The inputs come first, under the names of TensorFlow's Python interface.
        function = getattr(tf.raw_ops, op)
        # Tensors: plain arrays would be given the dtype that the op has by default.
        arguments = dict(zip(inspect.signature(function).parameters, map(tensors_of, inputs)))
        arguments.update(attrs)
        line = {"op": op, "attrs": {k: attr_text(v) for k, v in attrs.items()}, **(note or {})}
        tensors = []
        for value in inputs:
            tensors += value if isinstance(value, list) else [value]
        line["in"] = [tensor_text(t) for t in tensors]
        try:
            result = function(**arguments)
            outputs = tf.nest.flatten(result)
            # Eigenvectors and the like that were not asked for are not set.
            unset = not attrs.get("compute_v", attrs.get("compute_uv", True))
            line["out"] = [tensor_text(t.numpy()) for t in outputs[:1 if unset else None]]
        except (tf.errors.NotFoundError, tf.errors.UnimplementedError):
            return False
        except tf.errors.OpError as error:
            text = str(error)
            if "is not in the list of allowed values" in text or "No OpKernel" in text:
                return False
            line["error"] = code_of(error)
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self.count += 1
        return True


def keep_few(path, each=2, longest=900):
    """Leaves what is kept in the tree: `each` short cases of an op, its dtypes and its outcome."""
    seen = {}
    with open(path, encoding="utf-8") as f:
        lines = f.readlines()
    with open(path, "w", encoding="utf-8") as f:
        for text in lines:
            line = json.loads(text)
            kind = (line["op"], str([t[0] for t in line["in"]]), json.dumps(line["attrs"]), "out" in line)
            few = seen.get(kind, 0) < each and seen.get(kind[0], 0) < 24 * each
            if len(text) > longest or not few:
                continue
            for key in (kind, kind[0]):
                seen[key] = seen.get(key, 0) + 1
            f.write(text)


CODES = {3: "INVALID_ARGUMENT", 8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION",
         11: "OUT_OF_RANGE", 12: "UNIMPLEMENTED", 13: "INTERNAL", 15: "DATA_LOSS"}


def code_of(error):
    return CODES.get(error.error_code, str(error.error_code))


def tensors_of(value):
    return [tensor_of(v) for v in value] if isinstance(value, list) else tensor_of(value)


def tensor_of(value):
    value = np.asarray(value)
    if value.dtype == object:
        return tf.constant(value.tolist(), tf.string, value.shape)
    return tf.constant(value, tf.as_dtype(value.dtype))


def attr_text(value):
    if isinstance(value, tf.DType):
        return {"type": value.name}
    if isinstance(value, bool):
        return {"b": value}
    if isinstance(value, int):
        return {"i": value}
    if isinstance(value, float):
        return {"f": value}
    if isinstance(value, list):
        if value and isinstance(value[0], tf.DType):
            return {"types": [v.name for v in value]}
        return {"strings" if value and isinstance(value[0], str) else "ints": value}
    return {"s": value}


def tensor_text(value):
    value = np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
    if value.dtype == object or value.dtype.kind in "SU":
        texts = [v if isinstance(v, bytes) else v.encode() for v in value.reshape(-1).tolist()]
        try:
            return ["string", list(value.shape), [t.decode() for t in texts]]
        except UnicodeDecodeError:
            return ["bytes", list(value.shape), [t.hex() for t in texts]]
    name = tf.as_dtype(value.dtype).name
    return [name, list(value.shape), np.ascontiguousarray(value).tobytes().hex()]


def sweep_unary(sweep, op):
    definition = op_def_registry.get(op)
    attrs = {a.name for a in definition.attr}
    fixed = definition.input_arg[0].type
    for dtype in [tf.as_dtype(fixed)] if fixed else ALL:
        for extra in [tf.float32, tf.float64] if "Tout" in attrs else [None]:
            for x in unary_inputs(dtype):
                if not sweep.run(op, [x], {"Tout": extra} if extra else {}):
                    break
    if op == "LeakyRelu":
        sweep.run(op, [rotated(tf.float32, 40)], {"alpha": 0.0})
        sweep.run(op, [rotated(tf.float32, 40)], {"alpha": 1.5})


def sweep_binary(sweep, op):
    definition = op_def_registry.get(op)
    fixed = definition.input_arg[0].type
    for dtype in [tf.as_dtype(fixed)] if fixed else ALL:
        for a, b in binary_inputs(dtype):
            if not sweep.run(op, [a, b]):
                break
    if op in ("Equal", "NotEqual", "Add", "AddV2"):
        words = np.array(["a", "", "bc", "a"], dtype=object)
        sweep.run(op, [words, words[::-1].copy()])
        sweep.run(op, [words, np.array("a", dtype=object)])
        sweep.run(op, [words.reshape(4, 1), words])
    if op in ("Equal", "NotEqual"):
        for a, b in [((2,), (3,)), ((2, 1), (3,))]:
            sweep.run(op, [np.ones(a, np.float32), np.ones(b, np.float32)],
                      {"incompatible_shape_error": False})


def sweep_gradient(sweep, op):
    for dtype in ALL:
        values = few(dtype)
        pairs = list(itertools.product(values, values))
        a, b = (array(dtype, [p[i] for p in pairs]) for i in (0, 1))
        if not sweep.run(op, [a, b]):
            continue
        for length in LENGTHS:
            sweep.run(op, [rotated(dtype, length, 1, values), rotated(dtype, length, 4, values)])
        sweep.run(op, [a[:1].reshape(()), b[:1].reshape(())])
        sweep.run(op, [a[:0], b[:0]])


def sweep_reduction(sweep, op):
    for dtype in [tf.bool] if op in ("All", "Any") else ALL:
        for x, axes, keep in reduced_inputs(op, dtype):
            if not sweep.run(op, [x, np.array(axes, np.int32)], {"keep_dims": keep}):
                break
        else:
            sweep.run(op, [x, np.array(0, np.int32)], {"keep_dims": False})
            sweep.run(op, [x, np.array([0], np.int64)], {"keep_dims": False})


def sweep_cast(sweep):
    for source, target in itertools.product(ALL, ALL):
        values = special(source)
        x = array(source, values)
        if source in FLOATS and target in INTS:  # only what C++ defines
            low, high = float(target.min), float(target.max)
            wide = x.astype(np.float64)
            x = x[(wide > low - 1) & (wide < high)] if target.size < 8 else x[np.abs(wide) < 1e18]
            if target.min == 0:
                x = x[x.astype(np.float64) > -1]
        if source in COMPLEX and target in INTS and target.min == 0:
            x = x[x.real >= 0]
        for truncate in [False, True] if source in FLOATS and target in FLOATS else [False]:
            for part in [x, x[:5], x[:0], x[1]]:
                if not sweep.run("Cast", [part], {"DstT": target, "Truncate": truncate}):
                    break


def sweep_cumulative(sweep):
    for op, dtype in itertools.product(["Cumsum", "Cumprod", "CumulativeLogsumexp"], ALL):
        for shape, axis in [((7,), 0), ((3, 5), 0), ((3, 5), -1), ((2, 3, 4), 1), ((0, 3), 0),
                            ((3, 0), 0), ((5,), 1)]:
            x = array(dtype, [(2 * i) % 5 + 1 for i in range(int(np.prod(shape)))]).reshape(shape)
            hard = rotated(dtype, int(np.prod(shape)), 2).reshape(shape)
            for exclusive, reverse in itertools.product([False, True], [False, True]):
                attrs = {"exclusive": exclusive, "reverse": reverse}
                if not sweep.run(op, [x, np.array(axis, np.int32)], attrs):
                    break
                sweep.run(op, [hard, np.array(axis, np.int64)], attrs)


def sweep_ranges(sweep):
    triples = [(5, 0, -1), (5, -1, -2), (0, 5, 2), (1, 0, -0.1), (0, 1, 0.1), (3, 3, -1), (3, 4, -1),
               (4, 3, 1), (0, 5, 0), (0, 0.3, 0.1), (10, 0, -3), (100, 0, -7), (2, -1, -0.3),
               (1, -1, -0.2), (0.9, 0, -0.3), (-1, 1, 0.7), (0, 7, 0.7), (7, 0, -0.7), (10, 1, -0.9),
               (0, 40, 1.1), (33, 0.5, -1.3)]
    triples += [(round(i * 0.37, 3), 0, -round(0.01 + i * 0.011, 3)) for i in range(1, 30)]
    for dtype in FLOATS + INTS:
        for triple in triples:
            exact = dtype in FLOATS or all(v == int(v) and dtype.min <= v <= dtype.max
                                           for v in triple if np.isfinite(v))
            if not exact or (dtype in INTS and not np.isfinite(triple).all()):
                continue
            if not sweep.run("Range", [array(dtype, v) for v in triple]):
                break
        if dtype in INTS and dtype.min < 0:
            sweep.run("Range", [array(dtype, v) for v in (dtype.min, dtype.max, dtype.max)])
            sweep.run("Range", [array(dtype, v) for v in (dtype.max, dtype.min, dtype.min)])
        if dtype == tf.int64:
            sweep.run("Range", [array(dtype, v) for v in (dtype.min, dtype.max, 1)])
    for dtype in FLOATS:
        for a, b, n in [(0, 1, 5), (1, 0, 3), (3, 3, 4), (-1, 7, 1), (0, 1, 0), (0, 1, -2), (0, 10, 40)]:
            sweep.run("LinSpace", [array(dtype, a), array(dtype, b), np.array(n, np.int32)])
            sweep.run("LinSpace", [array(dtype, a), array(dtype, b), np.array(n, np.int64)])


def sweep_others(sweep):
    for dtype in ALL:
        a, b = rotated(dtype, 12, 2), rotated(dtype, 12, 5)
        flags = np.arange(12) % 3 == 0
        for op in ("Select", "SelectV2"):
            sweep.run(op, [flags, a, b])
            sweep.run(op, [flags.reshape(3, 4), a.reshape(3, 4), b.reshape(3, 4)])
            sweep.run(op, [flags[:3], a.reshape(3, 4), b.reshape(3, 4)])
            sweep.run(op, [np.array(True), a, b])
            sweep.run(op, [flags[:3], a.reshape(4, 3), b.reshape(4, 3)])
        sweep.run("SelectV2", [flags.reshape(12, 1), a[:3], b[0]])
        sweep.run("ClipByValue", [a, np.sort(b)[3] if dtype not in COMPLEX else b[0], b[0]])
        sweep.run("ClipByValue", [rotated(dtype, 40), array(dtype, 1), array(dtype, 3)])
        sweep.run("ClipByValue", [a, array(dtype, [1] * 12), array(dtype, 3)])
        for parts in ([a], [a, b], [a, b, a], [a] * 9):
            sweep.run("AddN", [list(parts)])
        for op in ("ArgMax", "ArgMin"):
            for shape, axis in [((12,), 0), ((3, 4), 0), ((3, 4), -1), ((2, 3, 2), 1), ((0, 3), 1),
                                ((0, 3), 0), ((12,), 1)]:
                for out in (tf.int32, tf.int64, tf.int16, tf.uint16):
                    x = np.resize(a, shape) if 0 not in shape else a[:0].reshape(shape)
                    sweep.run(op, [x, np.array(axis, np.int32)], {"output_type": out})
        for index in (tf.int16, tf.int32, tf.int64):
            ids = array(index, [2, 0, 2, 1, -1, 0])
            for op in SEGMENTS:
                sweep.run(op, [a[:6], ids, np.array(4, np.int32)])
                sweep.run(op, [a.reshape(6, 2), ids, np.array(3, np.int64)])
                sweep.run(op, [a[:6], ids, np.array(2, np.int32)])
            picks = array(index, [[2, 0], [1, 1]])
            sweep.run("GatherV2", [a.reshape(3, 4), picks, np.array(0, np.int32)])
            sweep.run("GatherV2", [a.reshape(3, 4), picks, np.array(-1, np.int64)])
            sweep.run("GatherV2", [a.reshape(3, 4), picks, np.array(0, np.int32)], {"batch_dims": 0})
            sweep.run("GatherV2", [a.reshape(3, 4), array(index, [3]), np.array(0, np.int32)])
            sweep.run("Gather", [a.reshape(3, 4), picks])
            sweep.run("GatherNd", [a.reshape(3, 4), picks])
            sweep.run("GatherNd", [a.reshape(3, 4), array(index, [[5]])])
            sweep.run("ScatterNd", [array(index, [[2], [0], [2]]), a[:3], array(index, [4])])
            sweep.run("ScatterNd", [picks, a[:2], array(index, [3, 4])])
            sweep.run("ScatterNd", [array(index, [[4]]), a[:1], array(index, [4])])
        for index in (tf.uint8, tf.int8, tf.int32, tf.int64):
            sweep.run("OneHot", [array(index, [1, 0, 3, 100]), np.array(4, np.int32), a[0], a[1]],
                      {"axis": -1})
        sweep.run("Fill", [np.array([2, 3], np.int32), a[0]])
        sweep.run("Fill", [np.array([], np.int64), a[0]])
        sweep.run("Tile", [a.reshape(3, 4), np.array([2, 1], np.int32)])
        sweep.run("Pad", [a.reshape(3, 4), np.array([[1, 0], [0, 2]], np.int32)])
        sweep.run("PadV2", [a.reshape(3, 4), np.array([[1, 0], [0, 2]], np.int64), a[2]])
        sweep.run("MirrorPad", [a.reshape(3, 4), np.array([[1, 0], [0, 2]], np.int32)],
                  {"mode": "REFLECT"})
        sweep.run("ReverseV2", [a.reshape(3, 4), np.array([1], np.int32)])
        sweep.run("Transpose", [a.reshape(3, 4), np.array([1, 0], np.int32)])
        sweep.run("ConjugateTranspose", [a.reshape(3, 4), np.array([1, 0], np.int32)])
        sweep.run("BroadcastTo", [a[:3].reshape(3, 1), np.array([2, 3, 4], np.int32)])
        sweep.run("ConcatV2", [[a[:3], b[:2]], np.array(0, np.int32)])
        sweep.run("Pack", [[a, b]], {"axis": 1})
        sweep.run("Where", [a.reshape(3, 4)])
        sweep.run("InvertPermutation", [array(dtype, [2, 0, 1])])
        sweep.run("StridedSlice", [a.reshape(3, 4), np.array([0, 3]), np.array([3, 0]),
                                   np.array([2, -1])])
        sweep.run("MatMul", [a.reshape(3, 4), b.reshape(4, 3)])
        sweep.run("BatchMatMulV2", [a.reshape(3, 2, 2), b[:4].reshape(2, 2)])
        sweep.run("BiasAdd", [a.reshape(3, 4), b[:4]])
    words = np.array(["a", "", "bc", "d"], dtype=object)
    sweep.run("ScatterNd", [np.array([[2], [0]], np.int32), words[:2], np.array([4], np.int32)])
    sweep.run("ScatterNd", [np.array([[2], [2]], np.int32), words[2:], np.array([4], np.int32)])
    sweep.run("Fill", [np.array([2, 2], np.int32), np.array("ab", dtype=object)])
    sweep.run("Where", [np.array([True, False, True])])


def sweep_all(path, wanted):
    sweep = Sweep(path)
    groups = [(UNARY, sweep_unary), (BINARY, sweep_binary), (GRADIENTS, sweep_gradient),
              (REDUCTIONS, sweep_reduction)]
    for ops, one in groups:
        for op in ops:
            if not wanted or op in wanted:
                one(sweep, op)
    for name, one in [("Cast", sweep_cast), ("Cumsum", sweep_cumulative), ("Range", sweep_ranges),
                      ("others", sweep_others)]:
        if not wanted or name in wanted:
            one(sweep)
    sweep.file.close()
    print(sweep.count, "cases")


def main():
    if len(sys.argv) > 1:
        return sweep_all(sys.argv[1], sys.argv[2:])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "op_values.jsonl")
        sweep_all(path, [])
        command = [os.environ["TEST_OPS"], "--gtest_filter=OpValues.*"]
        return subprocess.run(command, env=dict(os.environ, TENON_OP_VALUES=path)).returncode


if __name__ == "__main__":
    sys.exit(main())
