#!/usr/bin/env python3
"""Makes tenon/keras/testdata/metric_cases.{json,npz}: what Keras' metrics come to over several batches.

    python tests/keras/make_metric_cases.py tenon/keras/testdata

Each case is a metric as Keras serialises it, the names of its targets, predictions and weights (or null) among the arrays,
the rows of a batch, and the result after all batches. Made with keras 3.15.1 and tensorflow-cpu 2.21.0.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
from keras import metrics as M

ROWS = 23


def arrays():
    rng = np.random.default_rng(12)
    softmax = lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    kinds = rng.integers(0, 4, ROWS)
    made = {
        "yes": rng.integers(0, 2, (ROWS, 1)), "chance": rng.random((ROWS, 1)), "logit": 3 * rng.normal(size=(ROWS, 1)),
        "kind": kinds, "one_hot": np.eye(4)[kinds], "shares": softmax(2 * rng.normal(size=(ROWS, 4)) + np.eye(4)[kinds]),
        "labels": rng.integers(0, 2, (ROWS, 4)), "chances": rng.random((ROWS, 4)), "logits": 2 * rng.normal(size=(ROWS, 4)),
        "numbers": rng.normal(size=(ROWS, 3)), "found": rng.normal(size=(ROWS, 3)), "one": rng.normal(size=(ROWS, 1)),
        "signs": 2 * rng.integers(0, 2, (ROWS, 3)) - 1, "positive": rng.random((ROWS, 3)), "rates": rng.random((ROWS, 3)),
        "places": rng.integers(0, 3, (ROWS, 5, 2)), "places_found": rng.integers(0, 4, (ROWS, 5, 2)),
        "places_kept": rng.integers(-1, 3, (ROWS, 5, 2)),
        "steps": rng.integers(0, 4, (ROWS, 6)), "steps_found": softmax(rng.normal(size=(ROWS, 6, 4))),
        "rows": rng.random(ROWS) * 2, "whole": rng.integers(0, 4, ROWS), "elements": rng.random((ROWS, 6)),
        "each": rng.integers(0, 3, (ROWS, 5, 2)),
    }
    # Scores that lie on thresholds and on the ends of the range, and beyond it.
    made["chance"][:6, 0] = [0, 1, 0.5, 0.25, 0.75, 0.2]
    made["chances"][:3] = [[0, 1, 0.5, 0.2], [-0.5, 1.5, 0.5, 0.25], [1e-7, 1 - 1e-7, 0.199999, 0.2]]
    made["chances"][3] = 0
    return {name: value.astype(np.float32 if value.dtype.kind == "f" else value.dtype) for name, value in made.items()}


def binary_metrics():
    yield from (M.TruePositives(), M.FalsePositives(), M.TrueNegatives(), M.FalseNegatives())
    yield from (M.TruePositives([0.2, 0.5, 0.9]), M.FalseNegatives([0.0, 0.5, 1.0]), M.TrueNegatives(0.75), M.FalsePositives([0.25, 0.75]))
    yield from (M.Precision(), M.Recall(), M.Precision([0.2, 0.5]), M.Recall([0.0, 0.25, 0.5, 0.75, 1.0]))
    for make in (M.SensitivityAtSpecificity, M.SpecificityAtSensitivity, M.PrecisionAtRecall, M.RecallAtPrecision):
        yield from (make(0.5), make(0.3, num_thresholds=2), make(0.8, num_thresholds=1), make(0.9, num_thresholds=11))
    for curve in ("ROC", "PR", "PRGAIN"):
        for method in ("interpolation", "minoring", "majoring"):
            yield M.AUC(curve=curve, summation_method=method)
    yield from (M.AUC(num_thresholds=3), M.AUC(num_thresholds=2), M.AUC(thresholds=[0.9, 0.2, 0.5]), M.AUC(thresholds=[0.25, 0.5, 0.75], curve="PR"))
    yield from (M.BinaryAccuracy(threshold=0.3), M.BinaryCrossentropy(label_smoothing=0.1), M.Hinge(), M.SquaredHinge())
    yield from (M.BinaryIoU(), M.BinaryIoU([1], 0.3), M.BinaryIoU([0], 0.7, dtype="float32"))


def label_metrics():
    yield from (M.AUC(), M.AUC(multi_label=True), M.AUC(multi_label=True, num_labels=4, label_weights=[1.0, 0.0, 2.0, 0.5]))
    yield from (M.AUC(label_weights=[1.0, 0.0, 2.0, 0.5]), M.AUC(multi_label=True, curve="PR", label_weights=[3.0, 1.0, 1.0, 1.0]))
    yield from (M.AUC(multi_label=True, thresholds=[0.1, 0.6]), M.AUC(multi_label=True, curve="PRGAIN", summation_method="minoring"))
    yield from (M.AUC(label_weights=[1.0, 2.0, 3.0, 4.0], thresholds=[0.1, 0.6]), M.AUC(multi_label=True, curve="PR", num_thresholds=7))
    for make in (M.Precision, M.Recall):
        yield from (make(), make(top_k=2), make(class_id=2), make(top_k=3, class_id=0), make([0.1, 0.4], class_id=1), make([0.0, 0.5, 1.0], class_id=3))
    yield from (M.SensitivityAtSpecificity(0.4, class_id=1), M.PrecisionAtRecall(0.6, num_thresholds=5))
    for average in (None, "micro", "macro", "weighted"):
        yield from (M.F1Score(average), M.FBetaScore(average, beta=2.0, threshold=0.5), M.FBetaScore(average, beta=0.5))
    yield from (M.OneHotIoU(4, [0, 2]), M.OneHotMeanIoU(4), M.OneHotMeanIoU(4, ignore_class=1), M.CategoricalHinge())
    yield from (M.TopKCategoricalAccuracy(2), M.CategoricalAccuracy(), M.BinaryAccuracy(), M.TruePositives([0.5]))


def number_metrics():
    yield from (M.RootMeanSquaredError(), M.MeanSquaredError(), M.MeanAbsoluteError(), M.MeanAbsolutePercentageError())
    yield from (M.MeanSquaredLogarithmicError(), M.CosineSimilarity(), M.LogCoshError(), M.PearsonCorrelation(), M.ConcordanceCorrelation())
    yield from (M.R2Score(), M.R2Score(None), M.R2Score("variance_weighted_average"), M.R2Score(num_regressors=2), M.Accuracy())


def cases():
    """Metric, targets, predictions, weights."""
    for metric in binary_metrics():
        for weights in (None, "whole" if "IoU" in type(metric).__name__ else "rows"):
            yield metric, "yes", "chance", weights
    yield M.AUC(from_logits=True), "yes", "logit", "rows"
    yield M.BinaryCrossentropy(from_logits=True), "yes", "logit", "rows"
    yield M.AUC(multi_label=True, from_logits=True), "labels", "logits", "rows"
    for metric in label_metrics():
        for weights in (None, "whole" if "IoU" in type(metric).__name__ else "rows"):
            yield metric, "one_hot" if isinstance(metric, M.CategoricalAccuracy) else "labels", "chances", weights
    for metric in number_metrics():
        for weights in (None, "rows"):
            yield metric, "numbers", "found", weights
    yield from ((M.RootMeanSquaredError(), "one", "chance", weights) for weights in (None, "rows"))
    yield from ((M.R2Score(), "one", "chance", weights) for weights in (None, "rows"))
    yield from ((make(), "signs", "found", "rows") for make in (M.Hinge, M.SquaredHinge, M.CategoricalHinge))
    yield from ((make(), "positive", "rates", weights) for make in (M.KLDivergence, M.Poisson) for weights in (None, "rows"))
    for weights in (None, "rows"):
        yield M.CategoricalCrossentropy(label_smoothing=0.2), "one_hot", "shares", weights
        yield M.CategoricalCrossentropy(from_logits=True), "one_hot", "logits", weights
        yield M.SparseCategoricalCrossentropy(), "kind", "shares", weights
        yield M.SparseCategoricalCrossentropy(from_logits=True), "kind", "logits", weights
        yield M.SparseTopKCategoricalAccuracy(3), "kind", "shares", weights
        yield M.SparseTopKCategoricalAccuracy(2), "steps", "steps_found", weights
        yield M.SparseCategoricalAccuracy(), "kind", "shares", weights
        yield M.SparseCategoricalAccuracy(), "steps", "steps_found", weights
        yield M.MeanIoU(4, sparse_y_pred=False), "kind", "shares", "whole" if weights else None
    yield M.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True), "kind", "places_kept_rows", None
    yield M.SparseCategoricalAccuracy(), "steps", "steps_found", "elements"
    yield M.SparseCategoricalCrossentropy(), "steps", "steps_found", "elements"
    for weights in (None, "each"):
        yield M.MeanIoU(3), "places", "places_found", weights
        yield M.MeanIoU(3, ignore_class=-1), "places_kept", "places_found", weights
        yield M.IoU(4, [1, 3]), "places", "places_found", weights
        yield M.MeanIoU(5, dtype="float32", ignore_class=2), "places", "places_found", weights


def main(folder):
    data = arrays()
    data["places_kept_rows"] = data["places_found"][:, :, 0].astype(np.float32)
    found = []
    for number, (metric, y_true, y_pred, weights) in enumerate(cases()):
        batch = (5, 23, 8)[number % 3]
        metric.reset_state()
        for begin in range(0, ROWS, batch):
            part = slice(begin, begin + batch)
            metric.update_state(data[y_true][part], data[y_pred][part], data[weights][part] if weights else None)
        found.append({"metric": json.loads(json.dumps(keras.saving.serialize_keras_object(metric))), "y_true": y_true, "y_pred": y_pred,
                      "weights": weights, "batch": batch, "result": np.asarray(metric.result(), np.float64).tolist()})
    np.savez(os.path.join(folder, "metric_cases.npz"), **data)
    with open(os.path.join(folder, "metric_cases.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(case) for case in found) + "\n]\n")
    print(len(found), "cases")


if __name__ == "__main__":
    main(sys.argv[1])
