#!/usr/bin/env python3
"""What TensorFlow computes for ops that few models hold: backward steps of recurrent cells, glimpses, sampled boxes, fused paddings, quantised images ...

    rare_values.py tenon/ops/testdata/rare_values.jsonl --few

Cases as family_values.py makes them.
"""
import json
import sys

from value_cases import Cases, f32, i32, i64, levels, wave
from op_values import ALL, FLOATS, array, np, tf

OPS = tf.raw_ops


class FewCases(Cases):
    """Keeps one case of each dtype, attribute and outcome; all of small families."""
    small = False

    def is_kept(self, line, text):
        if self.kept is None:
            return True
        if self.small:
            return len(text) < 2500
        key = (line["op"], tuple(t[0] for t in line["in"]), json.dumps(line["attrs"]), "error" in line)
        self.kept[key] = self.kept.get(key, 0) + 1
        self.kept[line["op"]] = self.kept.get(line["op"], 0) + 1
        return (self.kept[key] == 1 or "error" in line) and self.kept[line["op"]] <= 48 and len(text) < 2500


def lstm(steps, batch, inner, cell, dtype):
    def made(shape, phase):
        return wave(shape, dtype, 0.7, phase)
    x = made((steps, batch, inner) if steps else (batch, inner), 1)
    return [x, made((batch, cell), 2), made((batch, cell), 3), made((inner + cell, 4 * cell), 4)] + [
        made((cell,), 5 + k) for k in range(3)] + [made((4 * cell,), 9)]


def recurrent(case):
    for dtype in (np.float32, np.float16):
        for batch, inner, cell in ((1, 2, 1), (2, 3, 2)):
            for peephole in (False, True):
                attrs = {"use_peephole": peephole}
                inputs = lstm(0, batch, inner, cell, dtype)
                y = [t.numpy() for t in OPS.LSTMBlockCell(**dict(zip(
                    ("x", "cs_prev", "h_prev", "w", "wci", "wcf", "wco", "b"), inputs)), **attrs)]
                d = [wave((batch, cell), dtype, 1, 20), wave((batch, cell), dtype, 1, 21)]
                case("LSTMBlockCellGrad", inputs + y[:6] + d, attrs)
                inputs = lstm(3, batch, inner, cell, dtype)
                for op, length in (("BlockLSTM", 3), ("BlockLSTM", 2), ("BlockLSTMV2", 3)):
                    names = ("seq_len_max", "x", "cs_prev", "h_prev", "w", "wci", "wcf", "wco", "b")
                    all_of = [np.int64(length)] + inputs
                    y = [t.numpy() for t in getattr(OPS, op)(**dict(zip(names, all_of)), **attrs)]
                    d = [wave((3, batch, cell), dtype, 1, 22), wave((3, batch, cell), dtype, 1, 23)]
                    case({"BlockLSTM": "BlockLSTMGrad", "BlockLSTMV2": "BlockLSTMGradV2"}[op], all_of + y + d, attrs)
    for batch, inner, cell in ((1, 2, 1), (2, 3, 2)):
        inputs = [wave((batch, inner), phase=1), wave((batch, cell), phase=2), wave((inner + cell, 2 * cell), phase=3),
                  wave((inner + cell, cell), phase=4), wave((2 * cell,), phase=5), wave((cell,), phase=6)]
        y = [t.numpy() for t in OPS.GRUBlockCell(**dict(zip(("x", "h_prev", "w_ru", "w_c", "b_ru", "b_c"), inputs)))]
        case("GRUBlockCellGrad", inputs + y[:3] + [wave((batch, cell), phase=7)])


def slices(case):
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    for dtype in ALL:
        x = array(dtype, [[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1]])
        v = array(dtype, [[1, 1], [1, 1]])
        case("TensorStridedSliceUpdate", [x, i32(0, 1), i32(2, 3), i32(1, 1), v])
        case("TensorStridedSliceUpdate", [x, i64(2, 3), i64(-4, -5), i64(-1, -3), array(dtype, [[1, 0]])])
    x = wave((3, 4, 2))
    for values, wanted in [((1, 0, 0, 0, 1), wave((4, 2))), ((0, 0, 1, 2, 0), wave((3, 1, 4, 1))), ((0, 0, 1, 2, 0), f32(7.0)),
                           ((3, 3, 0, 0, 0), wave((2,))), ((0, 0, 0, 0, 3), wave((2,))), ((0, 0, 0, 0, 3), f32(5.0))]:
        case("TensorStridedSliceUpdate", [x, i32(1, 1), i32(2, 2), i32(1, 1), wanted], dict(zip(masks, values)))
    case("TensorStridedSliceUpdate", [x, i32(2), i32(1), i32(1), wave((0, 4, 2))])
    case("TensorStridedSliceUpdate", [x, i32(0), i32(2), i32(1), wave((3, 4, 2))])
    case("TensorStridedSliceUpdate", [x, i32(0), i32(2), i32(0), f32(1.0)])


def sparse(case):
    for dtype in FLOATS:
        for index in (np.int32, np.int64):
            for scaling in ("Sum", "Mean", "SqrtN"):
                for ids in ((0, 0, 1), (0, 2, 2)):
                    case(f"SparseSegment{scaling}GradV2", [
                        wave((3, 2), dtype.as_numpy_dtype), np.array([4, 1, 4], index), i32(*ids), i32(6)])
    case("SparseSegmentSumGradV2", [f32([[1, 2]]), i32(7), i32([0]), i32(6)])
    case("SparseSegmentSumGradV2", [f32([[1, 2]]), i32([3]), i32([1]), i32(6)])
    for op_a in (False, True):
        for op_b in (False, True):
            a = wave((3, 2) if op_a else (2, 3))
            b = wave((4, 3) if op_b else (3, 4), phase=3)
            attrs = {"transpose_a": op_a, "transpose_b": op_b}
            case("SparseMatMul", [a, b], attrs)
            case("SparseMatMul", [tf.cast(a, tf.bfloat16), b], {**attrs, "a_is_sparse": True})
    case("SparseMatMul", [wave((2, 3)), wave((2, 3))])
    case("RaggedFillEmptyRows", [i64(0, 0, 2), f32(1, 2, 3), np.int64(4), f32(9.0)])
    case("RaggedFillEmptyRows", [i64(2, 0, 2), np.array([b"x", b"yy", b"z"], object), np.int64(3), np.array(b"no", object)])
    case("RaggedFillEmptyRows", [i64([]), f32([]), np.int64(2), f32(9.0)])
    case("RaggedFillEmptyRows", [i64(0, 3), f32(1, 2), np.int64(3), f32(9.0)])
    case("RaggedFillEmptyRows", [i64(0, -1), f32(1, 2), np.int64(3), f32(9.0)])
    case("RaggedFillEmptyRowsGrad", [i64(0, 3, 1), f32(1, 2, 3, 4)])
    case("RaggedFillEmptyRowsGrad", [i64(0, 4), f32(1, 2, 3, 4)])


def images(case):
    x = wave((2, 5, 6, 2), scale=10)
    for op in ("ExtractGlimpse", "ExtractGlimpseV2"):
        for centered in (False, True):
            for normalized in (False, True):
                attrs = {"centered": centered, "normalized": normalized, "uniform_noise": False, "noise": "zero"}
                for offsets in ([[0, 0], [0.2, -0.3]], [[1, 2], [-1, 0.5]], [[-2, 3], [0.6, 9]]):
                    case(op, [x, i32(2, 3), f32(offsets)], attrs)
        case(op, [x, i32(2, 3, 4), f32([[0, 0], [0, 0]])], {"uniform_noise": False, "noise": "zero"})
        case(op, [x, i32(2, 3), f32([[0, 0]])], {"uniform_noise": False, "noise": "zero"})
        case(op, [x, i32(2, 3), f32([[0, 0], [0, 0]])], {"noise": "zero"})
    boxes = f32([[[0.1, 0.2, 0.6, 0.9], [0.3, 0.3, 0.4, 0.5]]])
    for seed in (1, 2, 3, 4):
        for dtype in (np.int32, np.int64, np.uint8):
            size = np.array([100, 80, 3], dtype)
            case("StatelessSampleDistortedBoundingBox", [size, boxes, f32(0.3), i64(seed, 7)])
            case("SampleDistortedBoundingBoxV2", [size, boxes, f32(0.5)], {"seed": seed, "seed2": 5, "max_attempts": 3})
            case("SampleDistortedBoundingBox", [size, boxes], {"seed": seed, "seed2": 9, "area_range": [0.2, 0.7], "aspect_ratio_range": [0.5, 2.0]})
    size = i32(100, 80, 3)
    case("StatelessSampleDistortedBoundingBox", [size, f32(np.zeros((1, 0, 4))), f32(0.3), i32(1, 7)], {"use_image_if_no_bounding_boxes": True})
    case("StatelessSampleDistortedBoundingBox", [size, f32(np.zeros((1, 0, 4))), f32(0.3), i32(1, 7)])
    case("StatelessSampleDistortedBoundingBox", [size, f32([[[0, 0, 1, 1.5]]]), f32(0.3), i32(1, 7)])
    case("StatelessSampleDistortedBoundingBox", [size, boxes, f32(-1.0), i32(1, 7)])
    case("StatelessSampleDistortedBoundingBox", [size, boxes, f32(0.1), i32(1, 7)], {"area_range": [0.0, 1.0]})
    for align, center in ((False, False), (True, False), (False, True)):
        attrs = {"align_corners": align, "half_pixel_centers": center}
        case("QuantizedResizeBilinear", [wave((1, 3, 4, 2)), i32(5, 3), f32(0.0), f32(1.0)], attrs)
    case("QuantizedInstanceNorm", [levels(tf.quint8, [0, 9, 200, 255, 13, 77, 140], (2, 2, 3, 2)), f32(-1.0), f32(3.0)])
    case("QuantizedInstanceNorm", [levels(tf.quint8, [5], (1, 2, 2, 1)), f32(-1.0), f32(3.0)])
    case("QuantizedInstanceNorm", [levels(tf.quint8, [0, 9, 200, 255], (1, 2, 2, 1)), f32(0.0), f32(3.0)],
         {"output_range_given": True, "given_y_min": -2.0, "given_y_max": 2.0})
    case("QuantizedInstanceNorm", [levels(tf.quint8, [0, 9, 200, 255], (1, 2, 2, 1)), f32(3.0), f32(3.0)])
    channel = [levels(tf.quint8, [30, 200], (2,)), f32(0.0), f32(5.0)]
    for scaled in (False, True):
        case("QuantizedBatchNormWithGlobalNormalization",
             [levels(tf.quint8, [0, 9, 200, 255], (1, 2, 2, 2)), f32(-1.0), f32(2.0)] + 4 * channel,
             {"variance_epsilon": 0.01, "scale_after_normalization": scaled, "out_type": tf.qint32})


def convolutions(case):
    zero = [0, 0]
    for dtype in FLOATS:  # one image: of the others TensorFlow reads rows of the first
        x = wave((1, 4, 5, 2), dtype.as_numpy_dtype)
        w = wave((2, 3, 2, 3), dtype.as_numpy_dtype, phase=2)
        for mode in ("REFLECT", "SYMMETRIC"):
            for padding in ("SAME", "VALID"):
                attrs = {"mode": mode, "padding": padding, "strides": [1, 2, 2, 1]}
                pads = i32([zero, [1, 2], [0, 3], zero])
                case("FusedPadConv2D", [x, pads, w], attrs)
                if dtype != tf.bfloat16:
                    case("FusedResizeAndPadConv2D", [x, i32(6, 5), pads, w], {**attrs, "resize_align_corners": mode == "REFLECT"})
    x, w = wave((2, 4, 5, 2)), wave((2, 3, 2, 3))
    attrs = {"mode": "REFLECT", "padding": "VALID", "strides": [1, 1, 1, 1]}
    case("FusedPadConv2D", [x, i32([zero, [4, 0], zero, zero]), w], attrs)
    case("FusedPadConv2D", [x, i32([zero, [-1, 0], zero, zero]), w], attrs)
    case("FusedPadConv2D", [x, i32([zero, zero, zero]), w], attrs)
    case("FusedPadConv2D", [x, i32([zero, zero, zero, zero]), wave((2, 3, 3, 3))], attrs)
    for window, strides, padding in (((1, 2, 2, 1), (1, 2, 2, 1), "VALID"), ((1, 3, 2, 1), (1, 1, 2, 1), "SAME")):
        for dtype in (tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.int32):
            x = array(dtype, (np.arange(40) * 7 % 23).reshape(1, 5, 4, 2))
            y = OPS.MaxPoolV2(input=x, ksize=i32(*window), strides=i32(*strides), padding=padding)
            case("MaxPoolGradGradV2", [x, y, x + x, i32(*window), i32(*strides)], {"padding": padding})


def rows(case):
    for dtype in FLOATS + [tf.int8, tf.int16, tf.int32, tf.int64]:
        x = array(dtype, [[3, 1, 2, 2, 5], [5, 4, 4, 1, 0], [1, 2, 3, 4, 5]])
        result = dtype if dtype in FLOATS else tf.float32 if dtype.size <= 2 else tf.float64
        case("IsotonicRegression", [x], {"output_dtype": result})
        case("IsotonicRegression", [x[0]], {"output_dtype": result})
    for dtype in (tf.float32, tf.float16, tf.bfloat16):
        x = array(dtype, (np.arange(30) * 7 % 31).reshape(3, 2, 5))
        for k in (1, 2, 5):
            case("ApproxTopK", [x], {"k": k})
        case("ApproxTopK", [x[0]], {"k": 3, "reduction_dimension": 1})
    case("ApproxTopK", [wave((2, 3))], {"k": 4})
    case("NearestNeighbors", [wave((3, 2)), wave((4, 2), phase=3), np.int64(2)])
    case("NearestNeighbors", [wave((3, 2)), wave((4, 2), phase=3), np.int64(9)])
    case("NearestNeighbors", [wave((3, 2)), wave((4, 3), phase=3), np.int64(1)])
    for unique in (False, True):
        for seed in (1, 2):
            attrs = {"num_true": 2, "num_sampled": 4, "unique": unique, "range_max": 6, "seed": seed, "seed2": 3}
            case("FixedUnigramCandidateSampler", [i64([[0, 5], [2, 3]])], {**attrs, "unigrams": [1.0, 4.0, 0.5, 2.0, 3.0, 0.1]})
            case("FixedUnigramCandidateSampler", [i64([[0, 5], [2, 3]])], {
                **attrs, "unigrams": [1.0, 4.0, 2.0, 3.0, 0.25], "num_reserved_ids": 1, "distortion": 0.75})
    case("UnsortedSegmentJoin", [tf.constant(["", "", "a", "", "b"]), i32([0, 0, 0, 1, 0]), i32(3)], {"separator": "+"})
    case("FixedUnigramCandidateSampler", [i64([[0]])], {"num_true": 1, "num_sampled": 2, "unique": False, "range_max": 6, "unigrams": [1.0]})


def dtypes(case):
    """Those for which an op has other rules, or that few models use."""
    for dtype in (tf.complex64, tf.complex128):
        x = array(dtype, [1 + 2j, -3 + 1j, 0.5, 1 - 1j, -1 - 1j])
        case("ClipByValue", [x, array(dtype, -1), array(dtype, 1 + 1j)])
        case("ClipByValue", [x, array(dtype, [-1, -2, 0, -1j, 0]), array(dtype, [1 + 1j] * 5)])
    for dtype in (tf.float16, tf.bfloat16, tf.float32):
        x = array(dtype, [1, 2, 1, np.nan, np.nan, 0.0, -0.0, 2])
        case("Unique", [x])
        case("UniqueV2", [array(dtype, [[1, 0.0], [1, -0.0], [2, 1]]), i64([0])])
        case("ListDiff", [x, array(dtype, [0.0, 2])])
    case("ScatterNdNonAliasingAdd", [np.array([True, False, False]), i32([[0], [1], [1]]), np.array([True, True, False])])
    case("TensorStridedSliceUpdate", [tf.constant(["a", "b", "c", "d"]), i32([1]), i32([3]), i32([1]), tf.constant(["a string that is longer"])])


def draws(case):
    for dtype in (tf.int32, tf.uint32, tf.int64, tf.uint64):
        for most, rounds in ((9, 4), (1000, 6), (2**30, 4)):
            case("RandomIndexShuffle", [array(dtype, range(5)), array(dtype, [1, 2, 3]), array(dtype, most)], {"rounds": rounds})
    case("RandomIndexShuffle", [i64(0), i32([[5, -2, 7], [1, 2, 3]]), i64([4, 5])])
    case("RandomIndexShuffle", [i32(0), i32([5, -2, 7]), i32(0)])
    for index, most in ((5, 2), (-1, 2), (0, -2)):
        case("RandomIndexShuffle", [i32(index), i32([1, 2, 3]), i32(most)])
    state = i64([3, 0, 7])
    for shape, counts, probs in (([4], 10.0, 0.3), ([3, 2], [5.0, 50.0], 0.4), ([2, 1, 2], [[5.0, 50.0]], 0.9), ([0], 3.0, 0.5), ([3], [3.0, 2.0], 0.5)):
        case("StatefulRandomBinomial", [state, np.int64(1), i32(shape), f32(counts), f32(probs)], variables=1)
    case("StatefulRandomBinomial", [state, np.int64(3), i32([2]), f32(3.0), f32(0.5)], variables=1)


def truncated(case):
    """One shard of TensorFlow's: its bits are those of one thread."""
    for n, dtype in enumerate((tf.float32, tf.float64, tf.float16)):
        bounds = ((-2.0, 2.0), (-0.5, 0.7), (1.0, 3.0), (4.0, 4.5), (3.0, np.inf), (-np.inf, 0.25), (0.0, 1.0), (-8.0, -2.0))
        low, high = (array(dtype, [b[i] for b in bounds]) for i in (0, 1))
        count = len(bounds)
        case("StatelessParameterizedTruncatedNormal", [i32([5, count]), i64([7, n]), array(dtype, 0.0), array(dtype, 1.0), low, high])
        case("StatelessParameterizedTruncatedNormal", [i64([2, 1, count]), i32([-7, n]), array(dtype, [[0.5]]), array(dtype, [1.0]), low, high])
        means = array(dtype, np.linspace(-1, 1, count))
        case("ParameterizedTruncatedNormal", [i32([count, 3]), means, array(dtype, 0.7), low, high], {"seed": 5, "seed2": 1 + n})
        case("ParameterizedTruncatedNormal", [i64([3, 5]), array(dtype, 0.2), array(dtype, [2.0]), array(dtype, -1.0), array(dtype, 3.0)], {"seed": 6, "seed2": 1 + n})
    one, two = f32(1.0), f32(2.0)
    for deviation, low, high in ((0.0, -1.0, 1.0), (1.0, 1.0, 1.0), (1.0, -np.inf, np.inf), (1.0, np.nan, 1.0), (-1.0, 0.0, 1.0)):
        case("StatelessParameterizedTruncatedNormal", [i32([2]), i64([1, 2]), one, f32(deviation), f32(low), f32(high)])
        case("ParameterizedTruncatedNormal", [i32([2]), one, f32(deviation), f32(low), f32(high)], {"seed": 9, "seed2": 9})
    case("StatelessParameterizedTruncatedNormal", [i32([0, 3]), i64([1, 2]), one, one, one, one])
    case("StatelessParameterizedTruncatedNormal", [i32([3]), i64([1, 2]), f32([1.0, 2.0]), one, -two, two])
    case("StatelessParameterizedTruncatedNormal", [i32([3]), i64([1, 2]), f32([1.0, 2.0]), one, -two, f32([1.0, 2.0, 3.0])])
    case("ParameterizedTruncatedNormal", [i32([3, 2]), f32([1.0, 2.0]), one, -two, two], {"seed": 8, "seed2": 8})
    case("ParameterizedTruncatedNormal", [np.zeros(0, np.int32), one, one, -two, two], {"seed": 8, "seed2": 9})
    case("ParameterizedTruncatedNormal", [i32([2]), f32([[1.0]]), one, -two, two], {"seed": 8, "seed2": 10})


def ends(case):
    """Special functions at poles, infinities and the ends of a dtype; what a join refuses."""
    for dtype in (tf.float32, tf.float64):
        least, most = dtype.as_numpy_dtype(np.finfo(dtype.as_numpy_dtype).tiny), dtype.max
        ends_of = [np.inf, most, most / 4.5, most / 3.5, 1e30, 0.0, -0.0, -np.inf, np.nan, -1.0]
        for op in ("Expint", "Spence"):
            case(op, [array(dtype, ends_of)])
        for op in ("BesselJ0", "BesselJ1", "BesselY0", "BesselY1"):
            case(op, [array(dtype, [np.inf, 0.0, -0.0, -np.inf, np.nan, -1.0])])
        for op in ("BesselK0", "BesselK1", "BesselK0e", "BesselK1e"):
            case(op, [array(dtype, [least, 1.5 * least, 2 * least, 3 * least, 0.0, np.inf, -1.0])])
        for op in ("BesselI0", "BesselI1", "BesselI0e", "BesselI1e", "Dawsn", "FresnelCos", "FresnelSin", "Erfc", "Lgamma", "Digamma"):
            case(op, [array(dtype, [np.inf, -np.inf, np.nan, most, -most, 0.0])])
    case("BesselY1", [array(tf.float16, [0.0, -0.0, 1.0])])
    case("Erf", [np.array([np.inf, -np.inf, 1e155, -1e160, 1.3e154, np.nan, 5.0, -0.25])])
    words = tf.constant([["a", "b"], ["", "d"]])
    for axes in ([2], [-3], [0, 0], [5, 5], [0, -2], [[0]], [0, 1, 2], 2, []):
        case("ReduceJoin", [words, np.array(axes, np.int32)], {"separator": "-"})
    for ids, count in (([0, -1], 2), ([0, 2], 2), ([0], 2), ([[0, 1], [1, 0]], 2), ([[[0]]], 2), ([0, 1], [2]), ([0, 1], -1), (0, 1)):
        case("UnsortedSegmentJoin", [words, np.array(ids, np.int32), np.array(count, np.int32)], {"separator": "-"})


def odd(case):
    """Numbers, lengths and boxes that TensorFlow takes or refuses in its own way."""
    for text in ("0x1p3", "-0X1.8P-2", "0x.8", "0x1p", "0x-1", "0x10"):
        for dtype in (tf.float32, tf.float64):
            case("StringToNumber", [tf.constant([text])], {"out_type": dtype})
    for pos, length in ((0, -1), (2, -1), (-3, -1), (-3, 2), (5, -1), (6, -1)):
        for unit in ("UTF8_CHAR", "BYTE"):
            case("Substr", [tf.constant(["h\u00e9llo"]), i32(pos), i32(length)], {"unit": unit})
    for skip in (True, False):
        for delimiter in ("", ",", ",;"):
            case("StringSplit", [tf.constant(["", "a,b;", ""]), tf.constant(delimiter)], {"skip_empty": skip})
    for value in (np.nan, np.inf, -np.inf):
        case("HistogramFixedWidth", [f32([value, 1.0]), f32([0.0, 2.0]), i32(3)])
        case("CropAndResize", [wave((1, 3, 3, 1)), f32([[value, 0, 1, 1]]), i32([0]), i32([2, 2])])
    boxes = f32([[0, 0, 1, 1], [0.2, 0.3, 0.7, 0.9], [1, 1, 0, 0], [-0.5, -0.5, 1.5, 1.5]])
    for overlap, least in ((0.0, 0.3), (0.5, -np.inf), (1.0, 0.05)):
        case("NonMaxSuppressionV5", [boxes, f32([0.9, 0.8, 0.1, 0.7]), i32(9), f32(overlap), f32(least), f32(0.5)], {"pad_to_max_output_size": True})
        case("NonMaxSuppressionV4", [boxes, f32([0.9, 0.8, 0.1, 0.7]), i32(9), f32(overlap), f32(least)], {"pad_to_max_output_size": False})


def main():
    case = FewCases(sys.argv[1], "--few" in sys.argv)
    for family in (recurrent, slices, sparse, images, convolutions, rows, dtypes, draws, truncated, ends, odd):
        case.small = family in (truncated, ends, odd)
        family(case)
    print(case.count, "cases")


if __name__ == "__main__":
    main()
