#!/usr/bin/env python3
"""What TensorFlow computes for ops of which a few cases each say enough.

    family_values.py OUT.jsonl [--few] [FAMILY ...]
    TEST_OPS=build/test_ops family_values.py     makes all cases and runs Tenon on them

--few: at most two cases of an op and its inputs' dtypes, short ones, as the repository keeps them.
Families are the functions below. Cases have the form of op_values.py; "vars": n in one says that
the first n inputs are variables: their values before the op, and after it behind its outputs.
Read by tenon/ops/op_values_test.cc.
"""
import gzip
import os
import subprocess
import sys
import tempfile
import zlib

import op_values
from op_values import array, np, special, tf
from quantised_cases import quantisation, quantised_ops, uniform
from value_cases import OPS, Cases, f32, i32, i64, wave


def special_functions(case):
    for op in ("Dawsn Expint FresnelCos FresnelSin Spence BesselJ0 BesselJ1 BesselY0 BesselY1 "
               "BesselK0 BesselK1 BesselK0e BesselK1e").split():
        for dtype in (tf.float32, tf.float64, tf.float16, tf.bfloat16):
            values = [0.0, 1e-3, 0.1, 0.3, 0.49, 0.5, 0.7, 1.0, 1.3, 1.59, 1.61, 1.9, 2.1, 2.5, 3.0,
                      4.7, 6.0, 8.5, 12.0, 20.0, -0.2, -1.0, -3.0]
            if op.startswith("BesselK") or op in ("Expint", "BesselY0", "BesselY1"):
                values = [v for v in values if v >= 0]
            if op == "BesselY1":
                values = values[1:]  # of 0 float32's is NaN, float64's -inf
            if dtype in (tf.float16, tf.bfloat16):
                values = values[1:12]
            case(op, [array(dtype, values)])
        case(op, [f32([[]])])
        case(op, [f32(np.nan)])
    for dtype in (np.float32, np.float64):
        case("RandomGammaGrad", [np.array([0.5, 1, 2, 4, 3], dtype),
                                 np.array([0.3, 0.7, 2.5, 3.0, 6.0], dtype)])
        case("RandomGammaGrad", [np.array([[0.5], [2]], dtype), np.array([0.3, 1.5], dtype)])


def vectors(case):
    for dtype in op_values.FLOATS + op_values.INTS:
        a = array(dtype, [[1, 2, 3], [0, 5, 1]])
        case("ApproximateEqual", [a, array(dtype, [[1, 3, 3], [0, 5, 2]])])
        case("ApproximateEqual", [a, array(dtype, [[1, 3, 3], [0, 5, 2]])], {"tolerance": 1.5})
    case("ApproximateEqual", [f32(1, 1, np.nan, np.inf), f32(1.000001, 1.1, np.nan, np.inf)])
    case("ApproximateEqual", [f32(1, 2), f32([1, 2, 3])])
    for dtype in op_values.INTS:
        case("PopulationCount", [array(dtype, special(dtype))])
    for dtype in op_values.FLOATS:
        for exclusive in (False, True):
            for reverse in (False, True):
                for shape, axis in [((7,), 0), ((3, 5), 0), ((2, 3, 4), -2), ((0, 3), 0)]:
                    x = wave(shape, dtype.as_numpy_dtype, 3)
                    case("CumulativeLogsumexp", [x, i32(axis)],
                         {"exclusive": exclusive, "reverse": reverse})
    case("CumulativeLogsumexp", [f32(-np.inf, 1, -np.inf, 2), i64(0)])
    case("CumulativeLogsumexp", [f32(1, 2), i32(1)])
    for dtype in (tf.float32, tf.float64, tf.int32, tf.int64):
        for out in (tf.int32, tf.int64):
            x = array(dtype, [-1, 0, 2, 3, 4, 5, 9, 15, 2])
            case("HistogramFixedWidth", [x, array(dtype, [0, 5]), i32(5)], {"dtype": out})
            case("HistogramFixedWidth", [x.reshape(3, 3), array(dtype, [0, 7]), i32(3)], {"dtype": out})
    case("HistogramFixedWidth", [f32(1, 2), f32(3, 3), i32(3)])
    case("HistogramFixedWidth", [f32(1, 2), f32(0, 3), i32(0)])
    for dtype in (tf.complex64, tf.complex128):
        x = array(dtype, [1 + 2j, -1 - 1j, 0, 3j, -2, 1e-3 + 1j])
        out = tf.float32 if dtype == tf.complex64 else tf.float64
        case("ComplexAbs", [x], {"Tout": out})
        case("Angle", [x], {"Tout": out})
        case("Angle", [x.reshape(2, 3)], {"Tout": out})


def arrays(case):
    for dtype in op_values.ALL:
        x = array(dtype, [[1, 0], [1, 1], [0, 1]])
        v = array(dtype, [[1, 1], [0, 1]])
        case("InplaceUpdate", [x, i32(0, 2), v])
        case("InplaceUpdate", [x, i32(-1, 4), v])
        if dtype != tf.bool:
            case("InplaceAdd", [x, i32(2, 2), v])
            case("InplaceSub", [x, i32(0, 1), v] if not dtype.is_unsigned else [x + x, i32(1, 0), v])
        case("Reverse", [x, np.array([True, False])])
        case("Reverse", [x, np.array([True, True])])
        case("DeepCopy", [x])
        if dtype != tf.bool:
            case("ScatterNdNonAliasingAdd", [x, i32([[2], [2]]), v])
        case("ParallelConcat", [[x[:1], x[1:2]]], {"shape": tf.TensorShape([2, 2])}, graph=True)
        if dtype != tf.bool:
            case("AccumulateNV2", [[x, x, x]], {"shape": tf.TensorShape([3, 2])}, graph=True)
    case("InplaceUpdate", [f32([[1, 2]]), i32(0, 1), f32([[1, 2]])])
    case("InplaceUpdate", [f32([[1, 2]]), i32(0), f32([[1, 2]])])
    case("Reverse", [f32([[1, 2]]), np.array([True])])
    case("ScatterNdNonAliasingAdd", [f32(1, 2), i32([[5]]), f32([1])])
    for index in (np.int32, np.int64):
        case("DataFormatDimMap", [np.array([0, 1, 2, 3, -1, -2], index)])
        case("DataFormatDimMap", [np.array([[3], [1]], index)],
             {"src_format": "NCHW", "dst_format": "NHWC"})
        case("DataFormatDimMap", [np.array([0, 1, 4], index)],
             {"src_format": "NDHWC", "dst_format": "NCDHW"})
        case("DataFormatVecPermute", [np.array([7, 8, 9, 10], index)])
        case("DataFormatVecPermute", [np.array([7, 8], index)])
        case("DataFormatVecPermute", [np.array([[1, 2], [3, 4], [5, 6], [7, 8]], index)])
        case("DataFormatVecPermute", [np.array([7, 8, 9, 10], index)],
             {"src_format": "NCHW", "dst_format": "HWNC"})
        case("DataFormatVecPermute", [np.array([1, 2], index)],
             {"src_format": "NHWC", "dst_format": "NWHC"})
        case("UnravelIndex", [np.array([5, 0, 11], index), np.array([3, 4], index)])
        case("UnravelIndex", [np.array(7, index), np.array([2, 2, 3], index)])
        case("UnravelIndex", [np.array([12], index), np.array([3, 4], index)])
        case("UnravelIndex", [np.array([1], index), np.array([3, 0], index)])
        case("InTopK", [f32([[1, 3, 2], [4, 4, 1], [np.nan, 1, 2]]), np.array([2, 1, 1], index)],
             {"k": 2})
    case("DataFormatVecPermute", [i32(1, 2, 3)])
    case("DataFormatDimMap", [i32([0])], {"src_format": "NHWC", "dst_format": "NHHC"})


def optimizers(case):
    for dtype in (np.float32, np.float64, np.float16, tf.bfloat16.as_numpy_dtype):
        for sparse in (False, True):
            shape = (3, 2)
            w, g = wave(shape, dtype, 1, 0.3), wave(shape, dtype, 1, 2.0)
            slot = (np.abs(wave(shape, np.float32, 1, 4.0)) + 0.1).astype(dtype)
            s = lambda v: np.array(v, dtype)
            rows = [i32(2, 0, 2)] if sparse else []
            name = "ResourceSparseApply" if sparse else "ResourceApply"
            for update in (True, False):
                case(name + "Adagrad", [w, slot, s(0.1), g] + rows, {"update_slots": update}, 2)
                if sparse or s(0).itemsize > 2:
                    case(name + "AdagradV2", [w, slot, s(0.1), s(0.01), g] + rows,
                         {"update_slots": update}, 2)
            if s(0).itemsize == 2:  # rounded at each step in TensorFlow
                continue
            for l1 in (0.0, 0.2):
                case(name + "AdagradDA", [w, slot, slot, g] + rows +
                     [s(0.1), s(l1), s(0.05), i64(3)], {}, 3)
                case(name + "ProximalGradientDescent", [w, s(0.1), s(l1), s(0.3), g] + rows, {}, 1)
                case(name + "ProximalAdagrad", [w, slot, s(0.1), s(l1), s(0.3), g] + rows, {}, 2)
                for by_lr in (False, True):
                    for power in (-0.5, -0.3):
                        case(name + "Ftrl", [w, slot, w, g] + rows +
                             [s(0.1), s(l1), s(0.3), s(power)], {"multiply_linear_by_lr": by_lr}, 3)
                        case(name + "FtrlV2", [w, slot, w, g] + rows +
                             [s(0.1), s(l1), s(0.3), s(0.1), s(power)],
                             {"multiply_linear_by_lr": by_lr}, 3)
            case(name + "Adadelta", [w, slot, slot, s(0.1), s(0.9), s(0.01), g] + rows, {}, 3)
            for nesterov in (False, True):
                for kind in ("Momentum", "KerasMomentum"):
                    case(name + kind, [w, slot, s(0.1), g] + rows + [s(0.9)],
                         {"use_nesterov": nesterov}, 2)
            case(name + "RMSProp", [w, slot, slot, s(0.1), s(0.9), s(0.8), s(0.01), g] + rows, {}, 3)
            case(name + "CenteredRMSProp", [w, w * s(0.1), slot, slot, s(0.1), s(0.9), s(0.8),
                                            s(0.1), g] + rows, {}, 4)
            if not sparse:
                case(name + "AddSign", [w, slot, s(0.1), s(1), s(0.9), s(0.8), g], {}, 2)
                case(name + "PowerSign", [w, slot, s(0.1), s(2), s(0.9), s(0.8), g], {}, 2)
    w, g = wave((3, 2)), wave((1, 2))
    case("ResourceSparseApplyAdagrad", [w, np.abs(w), f32(0.1), g, i64([3])], {}, 2)
    case("ResourceSparseApplyAdagrad", [w, np.abs(w), f32(0.1), g, i64(0, 1)], {}, 2)
    case("ResourceSparseApplyAdagrad", [w, np.abs(w), f32(0.1), g[:0], i64([])], {}, 2)
    case("ResourceApplyAdagrad", [w, np.abs(w), f32(0.1), g], {}, 2)


def random(case):
    state = i64(7, 0, 12345)
    for dtype in op_values.FLOATS:
        for op in ("StatefulUniform", "StatefulStandardNormalV2", "StatefulTruncatedNormal"):
            case(op, [state, i64(1), i64(2, 5)], {"dtype": dtype}, 1)
    case("StatefulUniform", [i64(-1, 3, 5), i64(1), i32(4)], {}, 1)
    case("StatefulUniform", [state[:2], i64(1), i32([4])], {}, 1)
    case("StatefulUniform", [state, i64(9), i32([4])], {}, 1)
    case("StatefulStandardNormal", [i64(1, 7, 0, 12345), i64(2, 5)], {}, 1)
    for dtype in (tf.int32, tf.int64, tf.uint32, tf.uint64):
        case("StatefulUniformFullInt", [state, i64(1), i64([7])], {"dtype": dtype}, 1)
        if not dtype.is_unsigned:
            case("StatefulUniformInt", [state, i64(1), i64([7]), array(dtype, 3), array(dtype, 90)],
                 {}, 1)
    case("RngSkip", [state, i64(1), i64(3)], {}, 1)
    case("RngReadAndSkip", [state, i32(1), np.array(5, np.uint64)], {}, 1)
    key, counter = np.array([77], np.uint64), np.array([5, 1], np.uint64)
    for value in (i32(range(11)), wave((5, 2)), np.array(["a", "bc", "d"], object), i64([4])):
        case("StatelessShuffle", [value, key, counter, i32(1)])
    seed = 10
    for rate in (np.float16, np.float32, np.float64, np.int32, np.int64):
        for out in (tf.float16, tf.float32, tf.float64, tf.int32, tf.int64):
            seed += 1
            rates = np.array([0, 1, 3, 9, 12, 40], rate)
            case("RandomPoissonV2", [i32([5]), rates], {"dtype": out, "seed": seed, "seed2": 3})
            case("StatelessRandomPoisson", [i32(4, 6), i64(seed, 5), rates], {"dtype": out})
    case("RandomPoisson", [i32(2, 3), f32(2.5, 11)], {"seed": 5, "seed2": 99})
    case("StatelessRandomPoisson", [i32(4, 5), i64(1, 5), rates], {"dtype": tf.int32})
    for op in ("UniformCandidateSampler", "LogUniformCandidateSampler"):
        for unique in (True, False):
            for width in (7, 50, 1024):
                seed += 1
                case(op, [i64([[1, 2], [0, 5]])], {"num_true": 2, "num_sampled": 6, "unique": unique,
                                                   "range_max": width, "seed": seed, "seed2": 1})
    case("UniformCandidateSampler", [i64([[1]])], {"num_true": 1, "num_sampled": 6, "unique": True,
                                                   "range_max": 5, "seed": 1, "seed2": 1})
    case("AllCandidateSampler", [i64([[1], [2]])], {"num_true": 1, "num_sampled": 4, "unique": True})
    case("ComputeAccidentalHits", [i64([[1, 2], [3, 1], [9, 9]]), i64(3, 1, 4, 1)], {"num_true": 2})
    case("ComputeAccidentalHits", [i64([[1, 2]]), i64(3, 1)], {"num_true": 1})


def sets(case):
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, object):
        make = (lambda v: np.array([str(x) for x in np.reshape(v, -1)], object).reshape(np.shape(v))
                ) if dtype is object else (lambda v: np.array(v, dtype))
        a, b = make([[1, 2, 2], [5, 9, 3]]), make([[2, 7], [5, 3]])
        indices, values, shape = i64([[0, 0], [0, 1], [1, 0]]), make([2, 4, 9]), i64(2, 3)
        for op in ("a-b", "B-A", "intersection", "union"):
            case("DenseToDenseSetOperation", [a, b], {"set_operation": op})
            case("DenseToSparseSetOperation", [a, indices, values, shape], {"set_operation": op})
            case("SparseToSparseSetOperation", [i64([[0, 0], [0, 2], [1, 1]]), make([4, 7, 1]),
                                                i64(2, 4), indices, values, shape],
                 {"set_operation": op})
        case("SetSize", [indices, make([4, 4, 9]), shape])
    case("DenseToDenseSetOperation", [i32(1, 2), i32(2, 5)], {"set_operation": "union"})
    case("DenseToDenseSetOperation", [i32([[1, 2]]), i32([[2, 5], [1, 1]])], {"set_operation": "union"})
    case("DenseToDenseSetOperation", [i32([[1, 2]]), i32([[2, 5]])], {"set_operation": "sum"})
    case("SetSize", [i64([[0, 1], [0, 0]]), i32(1, 2), i64(1, 2)])
    case("SetSize", [i64([[0, 1], [0, 0]]), i32(1, 2), i64(1, 2)], {"validate_indices": False})
    case("SetSize", [i64([[0, 0, 1], [1, 0, 0]]), i32(1, 2), i64(2, 1, 2)])


def bytes_and_windows(case):
    texts = np.array([b"abcdefgh", b"\x01\x02\x03\x04\x05\x06\x07\x08\x09", b"", b"xyz"], object)
    for dtype in (tf.float16, tf.float32, tf.float64, tf.int32, tf.uint16, tf.uint8, tf.int16,
                  tf.int8, tf.int64):
        for little in (True, False):
            case("DecodePaddedRaw", [texts.reshape(2, 2), i32(16)],
                 {"out_type": dtype, "little_endian": little})
    case("DecodePaddedRaw", [texts, i32(6)], {"out_type": tf.int32})
    case("DecodePaddedRaw", [texts, i32(0)], {"out_type": tf.int32})
    packed = np.array([zlib.compress(b"some text" * 9), zlib.compress(b"")], object)
    case("DecodeCompressed", [packed], {"compression_type": "ZLIB"})
    case("DecodeCompressed", [np.array([gzip.compress(b"some text" * 9, mtime=0)], object)],
         {"compression_type": "GZIP"})
    case("DecodeCompressed", [texts], {})
    case("DecodeCompressed", [texts], {"compression_type": "LZMA"})
    method = np.array(b"farmhash64", object)
    for data in (texts, texts.reshape(2, 2), texts.reshape(4, 1), i32([[1, 2], [3, 4]]), wave((3, 2, 2)),
                 np.array([True, False])):
        case("Fingerprint", [data, method])
    case("Fingerprint", [texts, np.array(b"md5", object)])
    case("Fingerprint", [f32(1), method])
    for dtype in op_values.FLOATS + [tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16]:
        x = wave((1, 5, 4, 2), np.float32, 50).astype(dtype.as_numpy_dtype)
        for padding in ("SAME", "VALID"):
            window, strides = i32(1, 2, 3, 1), i32(1, 2, 1, 1)
            case("MaxPoolV2", [x, window, strides], {"padding": padding})
            if dtype in op_values.FLOATS:
                y = OPS.MaxPoolV2(input=x, ksize=window, strides=strides, padding=padding).numpy()
                case("MaxPoolGradV2", [x, y, y + y, window, strides], {"padding": padding})
    case("MaxPoolV2", [x, i32(1, 0, 3, 1), strides], {"padding": "SAME"})
    for value in (0, 3, 0.0, 0.5, "", "a", True, [1], [], [[]]):
        case("ToBool", [np.array(value, object) if isinstance(value, str) else np.array(value)])


def rewritten(case):
    """Ops that TensorFlow's passes replace: they run in a function only."""
    t, v = wave((2, 3, 2, 3)), np.abs(wave((3,))) + 0.1
    for scaled in (True, False):
        attrs = {"variance_epsilon": 0.01, "scale_after_normalization": scaled}
        case("BatchNormWithGlobalNormalization", [t, v, v, v, v], attrs)
        case("BatchNormWithGlobalNormalizationGrad", [t, v, v, v, t * 2], attrs)


def audio(case):
    sound = wave((100, 2), np.float32, 1.1)
    file = OPS.EncodeWav(audio=sound, sample_rate=8000).numpy()
    case("EncodeWav", [sound, i32(8000)])
    case("EncodeWav", [sound[:0], i32(44100)])
    case("EncodeWav", [sound, i32(0)])
    for attrs in ({}, {"desired_channels": 1}, {"desired_channels": 3}, {"desired_samples": 7},
                  {"desired_samples": 130}):
        case("DecodeWav", [np.array(file, object)], attrs)
    for broken in (b"", file[:20], file[:-7], b"RIFX" + file[4:], file.replace(b"fmt ", b"fmx "),
                   file[:34] + b"\x08" + file[35:]):
        case("DecodeWav", [np.array(broken, object)])
    for window, stride in [(16, 8), (20, 30), (101, 1)]:
        for squared in (True, False):
            case("AudioSpectrogram", [sound, ], {"window_size": window, "stride": stride,
                                                 "magnitude_squared": squared})
    case("AudioSpectrogram", [sound], {"window_size": 1, "stride": 1})
    power = np.abs(wave((2, 3, 129), np.float32, 4))
    case("Mfcc", [power, i32(16000)])
    case("Mfcc", [power, i32(16000)], {"upper_frequency_limit": 7000.0, "lower_frequency_limit": 100.0,
                                       "filterbank_channel_count": 20, "dct_coefficient_count": 5})


def windows(case):
    for dtype in op_values.FLOATS + op_values.INTS:
        make = lambda shape, phase: np.abs(wave(shape, np.float32, 20, phase)).astype(
            dtype.as_numpy_dtype)
        x, filters = make((2, 5, 4, 2), 0), make((2, 3, 2), 1)
        for padding in ("SAME", "VALID"):
            for stride, rate in [(1, 1), (2, 1), (1, 2)]:
                if padding == "VALID" and rate == 2:
                    continue  # wider than the image
                attrs = {"strides": [1, stride, 1, 1], "rates": [1, 1, rate, 1], "padding": padding}
                y = OPS.Dilation2D(input=x, filter=filters, **attrs).numpy()
                case("Dilation2D", [x, filters], attrs)
                case("Dilation2DBackpropInput", [x, filters, y], attrs)
                case("Dilation2DBackpropFilter", [x, filters, y], attrs)
    case("Dilation2D", [wave((1, 2, 2, 2)), wave((1, 1, 3))],
         {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "SAME"})
    seed = 40
    for dtype in (np.float32, np.float64, np.int32, np.int64):
        x = wave((1, 7, 8, 2), np.float32, 30).astype(dtype)
        for ratio in ([1.0, 1.44, 1.73, 1.0], [1.0, 2.0, 2.0, 1.0], [1.0, 1.0, 3.1, 1.0]):
            for pseudo in (True, False):
                for overlapping in (True, False):
                    seed += 1
                    attrs = {"pooling_ratio": ratio, "pseudo_random": pseudo,
                             "overlapping": overlapping, "deterministic": True, "seed": seed,
                             "seed2": 7}
                    case("FractionalMaxPool", [x], attrs)
                    case("FractionalAvgPool", [x], attrs)
        rows, columns = i64(0, 1, 3, 5, 7), i64(0, 2, 3, 5, 6, 8)
        dy = wave((1, 4, 5, 2), np.float32, 30, 1).astype(dtype)
        for overlapping in (True, False):
            y = np.zeros_like(dy)
            for i in range(4):
                for j in range(5):
                    y[0, i, j] = x[0, rows[i]:min(rows[i + 1] + overlapping, 7),
                                   columns[j]:min(columns[j + 1] + overlapping, 8)].max((0, 1))
            case("FractionalMaxPoolGrad", [x, y, dy, rows, columns], {"overlapping": overlapping})
            case("FractionalAvgPoolGrad", [i64(1, 7, 8, 2), dy, rows, columns],
                 {"overlapping": overlapping})
    boxes = f32([[[0.1, 0.2, 0.8, 0.9], [-0.2, 0.3, 0.5, 1.4], [0.6, 0.5, 0.2, 0.9], [2, 2, 3, 3]]])
    for dtype in (np.float32, np.float16):
        for depth in (1, 3, 4):
            image = wave((1, 9, 7, depth), dtype)
            case("DrawBoundingBoxes", [image, boxes])
            case("DrawBoundingBoxesV2", [image, boxes, f32([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]])])
            case("DrawBoundingBoxesV2", [image, boxes, np.zeros((0, 4), np.float32)])
    case("DrawBoundingBoxes", [wave((1, 4, 4, 2)), boxes])
    case("DrawBoundingBoxes", [wave((2, 4, 4, 3)), boxes])


def cells(case):
    for dtype in (np.float32, np.float16):
        w = lambda shape, phase=0.0: wave(shape, dtype, 0.5, phase)
        state = [w((2, 3), 1), w((2, 3), 2), w((7, 12)), w((3,), 3), w((3,), 4), w((3,), 5), w((12,), 6)]
        for peephole in (True, False):
            for clip in (-1.0, 0.1):
                case("LSTMBlockCell", [w((2, 4))] + state,
                     {"use_peephole": peephole, "cell_clip": clip, "forget_bias": 0.5})
                for op in ("BlockLSTM", "BlockLSTMV2"):
                    case(op, [i64(5), w((5, 2, 4))] + state,
                         {"use_peephole": peephole, "cell_clip": clip})
    w = lambda shape, phase=0.0: wave(shape, np.float32, 0.5, phase)
    case("GRUBlockCell", [w((2, 4)), w((2, 3), 1), w((7, 6)), w((7, 3), 2), w((6,), 3), w((3,), 4)])


def variables(case):
    held = wave((3, 4))
    for index in (np.int32, np.int64):
        case("ResourceGatherNd", [held, np.array([[2, 1], [0, 3]], index)], {"dtype": tf.float32}, 1)
        case("ResourceGatherNd", [held, np.array([[2], [0]], index)], {"dtype": tf.float32}, 1)
        case("ResourceGatherNd", [held, np.array([[3]], index)], {"dtype": tf.float32}, 1)
    for dtype in (tf.int32, tf.int64):
        case("ResourceCountUpTo", [array(dtype, 4)], {"limit": 5, "T": dtype}, 1)
        case("ResourceCountUpTo", [array(dtype, 5)], {"limit": 5, "T": dtype}, 1)


FAMILIES = [special_functions, vectors, arrays, optimizers, quantisation, quantised_ops, uniform, random,
            sets, bytes_and_windows, rewritten, audio, windows, cells, variables]


def all_families(path, arguments):
    wanted = [a for a in arguments if a != "--few"]
    case = Cases(path, "--few" in arguments)
    for family in FAMILIES:
        if not wanted or family.__name__ in wanted:
            family(case)
    case.file.close()
    print(case.count, "cases")


def main():
    if len(sys.argv) > 1:
        return all_families(sys.argv[1], sys.argv[2:])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "family_values.jsonl")
        all_families(path, [])
        command = [os.environ["TEST_OPS"], "--gtest_filter=OpValues.*"]
        return subprocess.run(command, env=dict(os.environ, TENON_OP_VALUES=path)).returncode


if __name__ == "__main__":
    sys.exit(main())
