#!/usr/bin/env python3
"""What TensorFlow's CPU kernels pick among NaN, infinities and ties: poolings and their gradients, segments, scatters, sorts, colours.

    nan_values.py tenon/ops/testdata/nan_values.jsonl

Cases as family_values.py makes them. Rows are narrow where TensorFlow reduces by vectors as wide as its build's, which pick otherwise among NaN.
"""
import sys

import ml_dtypes

from op_values import np, tf
from value_cases import Cases, i32

OPS = tf.raw_ops
INF, NAN = np.inf, np.nan
FLOATS = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)
# Windows of four: without a finite number, NaN first, last and between, ties, ties but for rounding.
WINDOWS = ((-INF, -INF, -INF, -INF), (NAN, NAN, NAN, NAN), (-INF, NAN, -INF, -INF), (NAN, -INF, 1, 1), (2, NAN, 1, 1), (1, 2, 2, NAN),
           (1, NAN, INF, 2), (0, 0, 0, 0), (1, 1 + 5e-6, 1 + 2e-5, 1), (-INF, -INF, NAN, NAN))


def windows(dtype, channels, rank):
    """WINDOWS side by side along the last dimension; channels hold them turned."""
    rows = np.array([np.roll(WINDOWS, channel, 0) for channel in range(channels)], np.float64)
    return rows.reshape(channels, -1).T.reshape((1,) * (rank - 2) + (-1, channels)).astype(dtype)


def steps(shape, dtype):
    return np.arange(1, 1 + int(np.prod(shape))).reshape(shape).astype(dtype)


def pool(case, dtype, rank, channels, size, stride, padding):
    x = windows(dtype, channels, rank)
    attrs = {"ksize": [1] * (rank - 2) + [size, 1], "strides": [1] * (rank - 2) + [stride, 1], "padding": padding}
    name = "MaxPool3D" if rank == 5 else "MaxPool"
    y = getattr(OPS, name)(input=x, **attrs).numpy()
    case(name, [x], attrs)
    case(name + "Grad", [x, y, steps(y.shape, dtype)], attrs)
    case(name + "GradGrad", [x, y, steps(x.shape, dtype)], attrs)
    if rank == 5:
        return
    sizes = [i32(attrs["ksize"]), i32(attrs["strides"])]
    case("MaxPoolV2", [x] + sizes, {"padding": padding})
    case("MaxPoolGradV2", [x, y, steps(y.shape, dtype)] + sizes, {"padding": padding})
    case("MaxPoolGradGradV2", [x, y, steps(x.shape, dtype)] + sizes, {"padding": padding})
    case("MaxPoolWithArgmax", [x], attrs)


def rows_of(dtype):
    return np.array(WINDOWS, np.float64).astype(dtype)


def picks(case, dtype):
    rows = rows_of(dtype)
    for k in (1, 2, 4):
        if k > 1 or dtype is not np.float64:
            case("TopKV2", [rows, np.int32(k)], {"sorted": True})
    long = np.resize(np.array([3, NAN, 1, -INF, 2, 2, NAN, 7, INF, 0, -1]), (2, 40)).astype(dtype)
    case("TopKV2", [long, np.int32(40)], {"sorted": True})
    case("TopKV2", [long, np.int32(9)], {"sorted": True})
    for n in (0, 2, 3):
        case("NthElement", [rows, np.int32(n)], {"reverse": n == 2})
    case("NthElement", [long, np.int32(17)], {"reverse": False})
    for axis in (0, 1):
        case("ArgMax", [rows, np.int32(axis)])
        case("ArgMin", [rows, np.int32(axis)])
    ids = i32([0, 0, 0, 2, 2, 2, 2, 3, 3, 4])
    for extremum in ("Max", "Min"):
        case("Segment" + extremum, [rows[:, :3], ids])
        case("UnsortedSegment" + extremum, [rows, ids[::-1].copy(), np.int32(5)])
        case("TensorScatter" + extremum, [rows[:5], ids[:, None], rows])
    image = rows.reshape(1, 5, 4, 2)
    attrs = {"strides": [1, 2, 2, 1], "rates": [1, 1, 1, 1], "padding": "SAME"}
    case("Dilation2D", [image, np.zeros((2, 2, 2), dtype)], attrs)
    dy = steps((1, 3, 2, 2), dtype)
    case("Dilation2DBackpropInput", [image, np.zeros((2, 2, 2), dtype), dy], attrs)
    case("Dilation2DBackpropFilter", [image, np.zeros((2, 2, 2), dtype), dy], attrs)
    case("RGBToHSV", [np.concatenate([rows[:, :3], rows[:, 1:]])])


def main():
    case = Cases(sys.argv[1], False)
    for dtype in FLOATS:
        pool(case, dtype, 4, 3, 4, 4, "VALID")
        pool(case, dtype, 4, 17 if dtype is np.float32 else 2, 3, 1, "SAME")
        if dtype in (np.float32, ml_dtypes.bfloat16):
            pool(case, dtype, 5, 3, 4, 4, "VALID")
            pool(case, dtype, 5, 2, 3, 2, "SAME")
        picks(case, dtype)
    print(case.count, "cases")


if __name__ == "__main__":
    main()
