#!/usr/bin/env python3
"""What TensorFlow computes for counts, sparse reductions, crosses, sequence examples and CTC.

    op_values_sparse.py tenon/ops/testdata/sparse_values.jsonl --few

Cases as op_values.py makes them (all without --few).
"""
import sys

import numpy as np
import tensorflow as tf

from tensorflow.compiler.tf2xla.ops import gen_xla_ops

from op_values import Sweep, attr_text, keep_few
from op_values_linalg import near

NUMBERS = [np.float16, tf.bfloat16.as_numpy_dtype, np.float32, np.float64, np.int8, np.int16, np.int32,
           np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


def longs(*values):
    return np.array(values, np.int64)


def words(*values):
    return np.array(values, object)


def sweep_counts(sweep):
    for index in (np.int32, np.int64):
        for weight in (np.int32, np.int64, np.float32, np.float64):
            for binary in (False, True):
                for least, most in [(-1, -1), (5, -1), (-1, 3), (9, 3), (0, 0), (-1, 0)]:
                    attrs = {"minlength": least, "maxlength": most, "binary_output": binary}
                    empty = np.zeros(0, weight)
                    line = np.array([3, 1, 3, 0], index)
                    sweep.run("DenseCountSparseOutput", [line, empty], attrs)
                    sweep.run("DenseCountSparseOutput", [line, np.arange(1, 5).astype(weight)], attrs)
                    grid = np.array([[1, 1, 4], [0, 2, 1]], index)
                    sweep.run("DenseCountSparseOutput", [grid, empty], attrs)
                    places = np.array([[0, 0], [0, 2], [2, 1]], np.int64)
                    sweep.run("SparseCountSparseOutput",
                              [places, np.array([1, 1, 4], index), longs(4, 3), empty], attrs)
                    sweep.run("SparseCountSparseOutput",
                              [places[:, :1] * 2 + places[:, 1:], np.array([1, 1, 4], index), longs(6),
                               np.array([2, 3, 4], weight)], attrs)
                    sweep.run("RaggedCountSparseOutput",
                              [longs(0, 2, 2, 3), np.array([5, 5, 1], index), empty], attrs)
    attrs = {"binary_output": False}
    none = np.zeros(0, np.float32)
    for values in (np.array([-1, 2]), np.zeros(0, np.int64), np.zeros((0, 3), np.int64),
                   np.zeros((2, 0), np.int64), np.zeros((), np.int64), np.zeros((1, 1, 1), np.int64)):
        sweep.run("DenseCountSparseOutput", [values.astype(np.int64), none], attrs)
    sweep.run("DenseCountSparseOutput", [longs(1, 2), np.ones(3, np.float32)], attrs)
    for splits in (longs(0, 2), longs(1, 3), longs(0, 5), np.zeros(0, np.int64)):
        sweep.run("RaggedCountSparseOutput", [splits, longs(1, 2, 3), none], attrs)
    places = np.array([[0, 0], [3, 1]], np.int64)
    for shape in (longs(2, 2), longs(4, 2), longs(4), longs(4, 2, 2)):
        sweep.run("SparseCountSparseOutput", [places, longs(1, 2), shape, none], attrs)
    sweep.run("SparseCountSparseOutput", [places, longs(1, 2, 3), longs(4, 2), none], attrs)


def sweep_reductions(sweep):
    places = np.array([[0, 0, 1], [0, 2, 0], [1, 0, 1], [1, 2, 1]], np.int64)
    for dtype in NUMBERS + [np.complex64, np.complex128]:
        values = np.array([1, 5, 2, 7]).astype(dtype)
        for op in ("SparseReduceMaxSparse", "SparseReduceSumSparse"):
            for axes in ([0], [1], [-1], [0, 2], [0, 1, 2], [], [1, 1]):
                for keep in (False, True):
                    # With axes kept TensorFlow leaves indices unset.
                    if keep and axes:
                        continue
                    sweep.run(op, [places, values, longs(2, 3, 2), np.array(axes, np.int32)],
                              {"keep_dims": keep})
            sweep.run(op, [places[:0], values[:0], longs(2, 3, 2), np.array([1], np.int32)])
            sweep.run(op, [places, values, longs(2, 3, 2), np.array([3], np.int32)])
            sweep.run(op, [places, values, longs(2, 3, 2), np.array(1, np.int32)])


def sweep_crosses(sweep):
    def run(ragged, splits, sparse, dense, order, hashed, buckets=0, out=tf.int64):
        attrs = {"input_order": order, "hashed_output": hashed, "num_buckets": buckets,
                 "hash_key": 956888297470, "out_values_type": tf.int64 if hashed else tf.string,
                 "out_row_splits_type": out}
        kinds = lambda tensors: [tf.string if t.dtype == object else tf.as_dtype(t.dtype) for t in tensors]
        lists = {"ragged_values_types": kinds(ragged), "ragged_splits_types": kinds(splits),
                 "sparse_values_types": kinds([s[1] for s in sparse]), "dense_types": kinds(dense),
                 "Nsparse": len(sparse)}
        texts = {name: attr_text(value) for name, value in {**attrs, **lists}.items()}
        for name in lists:
            if texts[name] == {"ints": []}:
                texts[name] = {"types": []}
        sweep.run("RaggedCross", [ragged, splits, [s[0] for s in sparse], [s[1] for s in sparse],
                                  [s[2] for s in sparse], dense], attrs, {"attrs": texts})

    a, b, n = words(b"a", b"b", b"c"), words(b"x", b"y"), longs(1, 2, 3)
    sparse = (np.array([[0, 0], [1, 1]], np.int64), words(b"p", b"q"), longs(2, 3))
    for hashed, buckets in [(False, 0), (True, 0), (True, 50)]:
        for out in (tf.int64,):  # TensorFlow ends the process when splits have several dtypes
            run([a, b], [longs(0, 1, 3), longs(0, 1, 2)], [], [], "RR", hashed, buckets, out)
            run([n], [np.array([0, 2, 3], np.int32)], [], [words(b"p", b"q").reshape(2, 1)], "RD", hashed,
                buckets, tf.int32)
            run([n], [longs(0, 2, 3)], [sparse], [np.array([[7], [8]], np.int64)], "SDR", hashed, buckets,
                out)
            run([], [], [sparse, sparse], [], "SS", hashed, buckets, out)
            run([n, a], [longs(0, 0, 3), longs(0, 3, 3)], [], [], "RR", hashed, buckets, out)
    run([a, b], [longs(0, 1, 3), longs(0, 2)], [], [], "RR", False)
    run([a], [longs(0, 1, 4)], [], [], "R", False)
    run([a], [longs(1, 3)], [], [], "R", False)


def sweep_hashed_crosses(sweep):
    """Dense integers end TensorFlow's process."""
    kinds = lambda tensors: {"types": ["string" if t.dtype == object else t.dtype.name for t in tensors]}
    texts = (np.array([[0, 0], [0, 1], [1, 1]], np.int64), words(b"p", b"q", b"p"), longs(2, 3))
    numbers = (np.array([[0, 0], [1, 0], [1, 1]], np.int64), longs(7, -1, 2**40 + 7), longs(2, 2))
    dense = words(b"a", b"bc").reshape(2, 1)
    for sparse, rest in [([], [dense]), ([], [dense, dense]), ([texts], []), ([numbers], []), ([texts, numbers], [dense])]:
        attrs = {"N": {"i": len(sparse)}, "sparse_types": kinds([s[1] for s in sparse]), "dense_types": kinds(rest)}
        for buckets in (0, 100, 2**40):
            for strong in (False, True):
                sweep.run("SparseCrossHashed", [[s[0] for s in sparse], [s[1] for s in sparse], [s[2] for s in sparse], rest, np.int64(buckets),
                                                np.array(strong), longs(5, -9)], note={"attrs": attrs})
    sweep.run("SparseCrossHashed", [[], [], [], [dense], np.int64(9), np.array(True), longs(1, 2, 3)], note={"attrs": attrs | {"N": {"i": 0}, "sparse_types": kinds([]), "dense_types": kinds([dense])}})


def logits(time, batch, classes, seed=3):
    return np.random.RandomState(seed).uniform(-3, 3, (time, batch, classes))


def sweep_ctc(sweep):
    for dtype in (np.float32, np.float64):
        how = near(np.float32, 1)  # TensorFlow computes some of it in float
        x = logits(6, 3, 5).astype(dtype)
        lengths = np.array([6, 4, 2], np.int32)
        for merge in (False, True):
            for blank in (-1, 0, 2):
                sweep.run("CTCGreedyDecoder", [x, lengths], {"merge_repeated": merge, "blank_index": blank},
                          note=how)
            for width, top in [(1, 1), (4, 2), (10, 3)]:
                sweep.run("CTCBeamSearchDecoder", [x, lengths],
                          {"beam_width": width, "top_paths": top, "merge_repeated": merge}, note=how)
        sweep.run("CTCGreedyDecoder", [x, lengths[:2]])
        sweep.run("CTCGreedyDecoder", [x, lengths + 1])
        sweep.run("CTCGreedyDecoder", [x, lengths], {"blank_index": 5})
        sweep.run("CTCGreedyDecoder", [x[0], lengths])
        sweep.run("CTCBeamSearchDecoder", [x, lengths + 1], {"beam_width": 2, "top_paths": 1})
        sweep.run("CTCBeamSearchDecoder", [x, lengths], {"beam_width": 1, "top_paths": 2})
        places = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [2, 0]], np.int64)
        labels = np.array([1, 1, 2, 3, 0, 2], np.int32)
        for collapse in (False, True):
            for merge in (False, True):
                for ignore in (False, True):
                    attrs = {"preprocess_collapse_repeated": collapse, "ctc_merge_repeated": merge,
                             "ignore_longer_outputs_than_inputs": ignore}
                    sweep.run("CTCLoss", [x, places, labels, lengths], attrs, note=how)
                    short = np.array([2, 4, 2], np.int32)
                    sweep.run("CTCLoss", [x, places, labels, short], attrs, note=how)
        sweep.run("CTCLoss", [x, places[:5], labels[:5], lengths], note=how)
        sweep.run("CTCLoss", [x, places, labels + 3, lengths], note=how)
        sweep.run("CTCLoss", [x, places, labels, lengths + 1], note=how)
        sweep.run("CTCLoss", [x, places, labels[:2], lengths], note=how)
        sweep.run("CTCLoss", [x, places, labels, lengths[:2]], note=how)


def sweep_others(sweep):
    tf.raw_ops.XlaDynamicUpdateSlice = gen_xla_ops.xla_dynamic_update_slice
    for dtype in (np.float32, np.int32, np.int8, np.complex64):
        x = np.arange(12).reshape(3, 4).astype(dtype)
        for at in ([0, 0], [1, 2], [5, 9], [-1, 1]):
            for index in (np.int32, np.int64):
                sweep.run("XlaDynamicUpdateSlice", [x, 100 + x[:2, :2], np.array(at, index)])
        sweep.run("XlaDynamicUpdateSlice", [x, x, np.array([0, 0], np.int32)])
        sweep.run("XlaDynamicUpdateSlice", [x, x[0], np.array([0, 0], np.int32)])
        sweep.run("XlaDynamicUpdateSlice", [x, x, np.array([0], np.int32)])
        sweep.run("Empty", [np.array([2, 3], np.int32)], {"dtype": tf.as_dtype(dtype), "init": True})
    sweep.run("Empty", [np.array([2], np.int32)], {"dtype": tf.string, "init": True})
    sweep.run("Empty", [np.array([-2], np.int32)], {"dtype": tf.float32, "init": True})


def sweep_gamma(sweep):
    for dtype in (np.float16, np.float32, np.float64):
        how = {"relative": {2: 4e-3, 4: 1e-5, 8: 1e-10}[np.dtype(dtype).itemsize]}
        for alpha, shape in [(0.5, [20]), (1.0, [20]), (7.5, [20]), ([0.3, 1, 4], [5, 3]), ([2.0], [2, 1]),
                             (3.0, []), (3.0, [0])]:
            alpha = np.array(alpha, dtype)
            size = np.array(shape, np.int32)
            sweep.run("StatelessRandomGammaV2", [size, longs(3, 5), alpha], note=how)
            sweep.run("StatelessRandomGammaV3", [size, np.array([7], np.uint64), np.array([1, 2], np.uint64),
                                                 np.array(1, np.int32), alpha], note=how)
        alpha = np.array([1, 2], dtype)
        sweep.run("StatelessRandomGammaV2", [np.array([3], np.int32), longs(1, 2), alpha])
        sweep.run("StatelessRandomGammaV2", [np.array([2], np.int32), longs(1, 2, 3), alpha])


def sweep_second_pooling(sweep):
    for dtype in NUMBERS[:4] + [np.int32, np.uint8]:
        x = (np.arange(2 * 4 * 5 * 2) * 7 % 11).reshape(2, 4, 5, 2).astype(dtype)
        for padding in ("SAME", "VALID"):
            attrs = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 1, 1], "padding": padding}
            pooled = tf.raw_ops.MaxPool(input=tf.constant(x), **attrs).numpy()
            sweep.run("MaxPoolGradGrad", [x, pooled, x + np.array(1, dtype)], attrs)
        sweep.run("MaxPoolGradGrad", [x, pooled[:1], x], attrs)
        sweep.run("MaxPoolGradGrad", [x, pooled, x[:1]], attrs)


def main():
    sweep = Sweep(sys.argv[1])
    for one in (sweep_counts, sweep_reductions, sweep_crosses, sweep_hashed_crosses, sweep_ctc, sweep_others, sweep_gamma,
                sweep_second_pooling):
        one(sweep)
    sweep.file.close()
    print(sweep.count, "cases")
    if "--few" in sys.argv:
        keep_few(sys.argv[1], longest=3000)


if __name__ == "__main__":
    main()
