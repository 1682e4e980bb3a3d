#!/usr/bin/env python3
"""What TensorFlow computes for two sparse tensors, sparse with dense ones, edit distances, serialized tensors, tensor diagonals
and binomial draws.

    op_values_pairs.py tenon/ops/testdata/pair_values.jsonl --few

Cases as op_values.py makes them (all without --few).
"""
import sys

import numpy as np
import tensorflow as tf

from op_values import Sweep, keep_few
from op_values_sparse import NUMBERS, longs, words

COMPLEX = [np.complex64, np.complex128]
A = np.array([[0, 1], [0, 3], [1, 0], [2, 2]], np.int64)
B = np.array([[0, 0], [0, 3], [2, 2]], np.int64)
SHAPE = longs(3, 4)


def sweep_two(sweep):
    for dtype in NUMBERS + COMPLEX:
        a, b = np.array([3, 5, 7, 2]).astype(dtype), np.array([4, 1, 9]).astype(dtype)
        if np.dtype(dtype).kind in "ifc":
            a[1] = -a[1]
        for op in ("SparseSparseMaximum", "SparseSparseMinimum"):
            sweep.run(op, [A, a, SHAPE, B, b, SHAPE])
            sweep.run(op, [A, a, SHAPE, B[:0], b[:0], SHAPE])
            sweep.run(op, [A, a, SHAPE, B, b, longs(3, 5)])
        real = np.dtype(dtype).type(0).real.dtype
        for least in (0, 4):
            sweep.run("SparseAdd", [A, a, SHAPE, B, b, SHAPE, np.array(least).astype(real)])
            sweep.run("SparseAdd", [A[:0], a[:0], SHAPE, B, b, SHAPE, np.array(least).astype(real)])
        sweep.run("SparseAdd", [A, a, SHAPE, B, b, longs(4, 4), np.array(0).astype(real)])
        both = np.array([[0, 0], [0, 1], [0, 3], [1, 0]], np.int64)
        sweep.run("SparseAddGrad", [np.array([1, 2, 3, 4]).astype(dtype), A, B, both])
        sweep.run("SparseAddGrad", [np.array([1, 2]).astype(dtype), A, B, both])


def sweep_dense(sweep):
    for dtype in NUMBERS + COMPLEX:
        values = np.array([3, 5, 7, 2]).astype(dtype)
        dense = (np.arange(12).reshape(3, 4) + 1).astype(dtype)
        for op in ("SparseDenseCwiseAdd", "SparseDenseCwiseMul", "SparseDenseCwiseDiv"):
            for other in (dense, dense[:1], dense[:, :1], dense[0], dense[0, 0], dense[:, :2], dense[None]):
                sweep.run(op, [A, values, SHAPE, other])
        for index in (np.int32, np.int64):
            sweep.run("SparseTensorDenseAdd", [A.astype(index), values, SHAPE.astype(index), dense])
            sweep.run("SparseTensorDenseAdd", [A.astype(index)[[0, 0, 1, 3]], values, SHAPE.astype(index), dense])
            sweep.run("SparseTensorDenseAdd", [A.astype(index), values, SHAPE.astype(index), dense[:2]])
            sweep.run("SparseTensorDenseAdd", [A.astype(index) + np.array(2, index), values, SHAPE.astype(index), dense])
    for dtype in NUMBERS[:1] + NUMBERS[2:4]:
        how = {"relative": {2: 4e-3, 4: 1e-5, 8: 1e-10}[np.dtype(dtype).itemsize]}
        values = np.array([3, -5, 0.5, 2]).astype(dtype)
        sweep.run("SparseSoftmax", [A, values, SHAPE], note=how)
        sweep.run("SparseSoftmax", [np.array([[0, 0, 1], [0, 0, 2], [0, 1, 0], [1, 1, 1]], np.int64), values, longs(2, 2, 3)], note=how)
        sweep.run("SparseSoftmax", [A[:0], values[:0], SHAPE])
        sweep.run("SparseSoftmax", [A[:, :1], values, longs(3)])


def sweep_sequences(sweep):
    places = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [3, 0]], np.int64)
    truth = np.array([[0, 0], [1, 0], [1, 1], [1, 2], [2, 0]], np.int64)
    for dtype in NUMBERS + [object]:
        a, b = np.array([1, 2, 3, 4, 5]), np.array([2, 3, 9, 4, 1])
        a, b = (words(*[b"%d" % v for v in x]) if dtype is object else x.astype(dtype) for x in (a, b))
        for normalize in (False, True):
            sweep.run("EditDistance", [places, a, longs(4, 2), truth, b, longs(3, 3)], {"normalize": normalize})
            sweep.run("EditDistance", [places[:, 1:], a, longs(2), truth[:, 1:], b, longs(3)], {"normalize": normalize})
            sweep.run("EditDistance", [places[:0], a[:0], longs(4, 2), truth, b, longs(3, 3)], {"normalize": normalize})
            sweep.run("EditDistance", [places, a, longs(4, 2), truth, b, longs(3)], {"normalize": normalize})
        for axis, pieces in [(0, 2), (1, 3), (-1, 2), (1, 1), (0, 5), (2, 1)]:
            sweep.run("SparseSplit", [np.array(axis, np.int64), A, a[:4], SHAPE], {"num_split": pieces})


def sweep_serialized(sweep):
    for dtype in NUMBERS + COMPLEX + [np.bool_]:
        for x in (np.array([[1, 0, 3]]).astype(dtype), np.array(1).astype(dtype), np.zeros((0, 2), dtype)):
            text = tf.io.serialize_tensor(x).numpy()
            sweep.run("SerializeTensor", [x])
            sweep.run("ParseTensor", [np.array(text, object)], {"out_type": tf.as_dtype(x.dtype)})
    x = words(b"a", b"", b"\0\xff")
    text = tf.io.serialize_tensor(x).numpy()
    sweep.run("SerializeTensor", [x])
    sweep.run("ParseTensor", [np.array(text, object)], {"out_type": tf.string})
    sweep.run("ParseTensor", [np.array(text, object)], {"out_type": tf.float32})
    sweep.run("ParseTensor", [np.array(b"\x08", object)], {"out_type": tf.float32})
    sweep.run("ParseTensor", [words(text, text)], {"out_type": tf.string})


def sweep_diagonals(sweep):
    for dtype in NUMBERS + COMPLEX:
        for shape in ((3,), (2, 3), (0,), (1, 2, 2), ()):
            x = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype) + np.array(1, dtype)
            sweep.run("Diag", [x])
            if shape:  # a graph refuses a scalar, an eager kernel takes it
                sweep.run("DiagPart", [np.resize(x, shape + shape).astype(dtype)])
        sweep.run("DiagPart", [np.ones((2, 3), dtype)])
        sweep.run("DiagPart", [np.ones((2, 3, 2), dtype)])


def sweep_binomial(sweep):
    for given in (np.float16, np.float32, np.float64):
        for result in (tf.float16, tf.float32, tf.float64, tf.int32, tf.int64):
            for counts, probs, shape in [(10, 0.3, [20]), (100, 0.4, [20]), (100, 0.9, [20]), ([[5], [400]], [0.2, 0.5, 0.7], [3, 2, 3]),
                                         ([0, -1, 7, 7], [0.5, 0.5, 0, 1], [4]), (20, 0.5, []), (20, 0.5, [0]), ([1, 2], 0.5, [3])]:
                sweep.run("StatelessRandomBinomial", [np.array(shape, np.int32), longs(3, 5), np.array(counts, given),
                                                      np.array(probs, given)], {"dtype": result})
    sweep.run("StatelessRandomBinomial", [np.array([2], np.int32), longs(1, 2, 3), np.array(1.0), np.array(0.5)], {"dtype": tf.int64})
    sweep.run("StatelessRandomBinomial", [np.array([2], np.int32), longs(1, 2), np.ones(2), np.ones(3)], {"dtype": tf.int64})


def sweep_thresholds(sweep):
    """Scores that are equal to the threshold once both are of half precision."""
    boxes = np.array([[0, 0, 1, 1], [0, 2, 1, 3], [2, 0, 3, 1], [2, 2, 3, 3]])
    scores = np.array([0.3, 0.6, 0.1, 0.7])
    for dtype in (np.float16, np.float32):
        for threshold in (np.float16, np.float32):
            limits = [np.array(4, np.int32), np.array(0.5, threshold), np.array(0.3, threshold)]
            for op in ("NonMaxSuppressionV3", "NonMaxSuppressionV4"):
                sweep.run(op, [boxes.astype(dtype), scores.astype(dtype), *limits])


def main():
    sweep = Sweep(sys.argv[1])
    for one in (sweep_two, sweep_dense, sweep_sequences, sweep_serialized, sweep_diagonals, sweep_binomial,
                sweep_thresholds):
        one(sweep)
    sweep.file.close()
    print(sweep.count, "cases")
    if "--few" in sys.argv:
        keep_few(sys.argv[1], longest=1500)


if __name__ == "__main__":
    main()
