"""Values and gradients where a function has a kink, a pole or a tie: what differs there between two ways to write it."""
import math

import numpy as np

POINTS = [-6., -3., -2.5, -1., -.5, 0., .5, 1., 2.5, 3., 6., 7.]
LABELS = [0., 1.] * 6
TIES = [[1., 1., 0.], [0., 0., 0.]]


def _answers(tf, functions):
    """{name: [values, gradients]} of functions with the arrays that they are given."""
    found = {}
    for name, function, *sources in functions:
        sources = [tf.constant(source) for source in sources]
        with tf.GradientTape() as tape:
            for source in sources:
                tape.watch(source)
            values = [value for value in tf.nest.flatten(function(*sources)) if value.dtype.is_floating]
        gradients = tape.gradient(values, sources, unconnected_gradients="zero")
        found[name] = [[np.asarray(each).tolist() for each in part] for part in (values, gradients)]
    return found


def _among(holder, names):
    return {name: getattr(holder, name) for name in names.split()}


def activations(tf):
    return _answers(tf, [(name, f, POINTS) for name, f in _among(
        tf.nn, "relu relu6 elu selu gelu silu softplus softsign sigmoid tanh crelu leaky_relu log_softmax softmax l2_loss").items()])


def keras_activations(tf):
    names = ("relu relu6 elu selu gelu silu softplus softsign sigmoid tanh leaky_relu hard_sigmoid hard_silu hard_tanh tanh_shrink "
             "hard_shrink soft_shrink sparse_plus squareplus celu glu log_sigmoid log_softmax softmax sparsemax mish exponential")
    return _answers(tf, [(name, f, np.reshape(np.float32(POINTS), [3, 4])) for name, f in _among(tf.keras.activations, names).items()])


def of_one(tf):
    names = ("abs sign sqrt rsqrt square exp expm1 log log1p floor ceil round rint reciprocal reciprocal_no_nan sin cos tan asin acos atan "
             "sinh cosh asinh acosh atanh erf erfc erfinv ndtri lgamma digamma log_sigmoid cumsum cumprod cumulative_logsumexp bessel_i0 "
             "bessel_i1 bessel_i0e bessel_i1e l2_normalize")
    return _answers(tf, [(name, f, POINTS) for name, f in _among(tf.math, names).items()])


def reductions(tf):
    names = "std variance euclidean_norm max min prod mean sum logsumexp"
    functions = _among(tf.math, " ".join("reduce_" + name for name in names.split()))
    return _answers(tf, [(f"{name} {axis}", lambda x, f=f, axis=axis: f(x, axis), TIES) for name, f in functions.items() for axis in (None, 1)])


def of_two(tf):
    names = ("maximum minimum multiply_no_nan divide_no_nan floormod floordiv truediv atan2 xlogy xdivy xlog1py squared_difference pow "
             "igamma igammac zeta nextafter")
    pairs = {"labels": LABELS, "same": POINTS}
    return _answers(tf, [(f"{name} {kind}", f, POINTS, other) for name, f in _among(tf.math, names).items() for kind, other in pairs.items()] +
                    [(f"{name} zeros", f, [0., 0.], [0., 0.]) for name, f in _among(tf.math, names).items()])


def clips_and_norms(tf):
    zeros = [0., 0., 0.]
    return _answers(tf, [
        ("by_value", lambda x: tf.clip_by_value(x, -1., 1.), POINTS), ("limits", tf.clip_by_value, POINTS, -1., 1.),
        ("by_norm", lambda x: tf.clip_by_norm(x, 3.), POINTS), ("by_norm zeros", lambda x: tf.clip_by_norm(x, 3.), zeros),
        ("by_global_norm", lambda x, y: tf.clip_by_global_norm([x, y], 3.)[0], POINTS, LABELS), ("norm", tf.norm, POINTS),
        ("norm zeros", tf.norm, zeros), ("norm 1", lambda x: tf.norm(x, 1), POINTS), ("norm inf", lambda x: tf.norm(x, math.inf), TIES),
        ("l2_normalize zeros", tf.nn.l2_normalize, zeros), ("pow 0", lambda x: x ** 0., zeros), ("pow .5", lambda x: x ** .5, zeros),
        ("pow 2", lambda x: x ** 2, POINTS), ("pow 3", lambda x: x ** 3., POINTS), ("sqrt where", lambda x: tf.where(x > 0, tf.sqrt(x), 0.), POINTS)])


def ties(tf):
    m, n = tf.math, tf.nn
    return _answers(tf, [(name, f, TIES) for name, f in {
        "top_k": lambda x: m.top_k(x, 2), "sort": tf.sort, "descending": lambda x: tf.sort(x, direction="DESCENDING"),
        "segment_max": lambda x: m.segment_max(x, [0, 0]), "segment_min": lambda x: m.segment_min(x, [0, 0]),
        "segment_prod": lambda x: m.segment_prod(x, [0, 0]), "segment_mean": lambda x: m.segment_mean(x, [0, 0]),
        "unsorted_max": lambda x: m.unsorted_segment_max(x, [0, 0], 1), "unsorted_prod": lambda x: m.unsorted_segment_prod(x, [0, 0], 1),
        "unsorted_sqrt_n": lambda x: m.unsorted_segment_sqrt_n(x, [0, 0], 2), "moments": lambda x: n.moments(x, [0]),
        "max_pool": lambda x: n.max_pool2d(tf.reshape(x, [1, 2, 3, 1]), 2, 1, "VALID"),
        "avg_pool": lambda x: n.avg_pool2d(tf.reshape(x, [1, 2, 3, 1]), 2, 1, "SAME")}.items()])


def cross_entropies(tf):
    n = tf.nn
    return _answers(tf, [
        ("sigmoid", lambda y, x: n.sigmoid_cross_entropy_with_logits(labels=y, logits=x), LABELS, POINTS),
        ("weighted", lambda y, x: n.weighted_cross_entropy_with_logits(labels=y, logits=x, pos_weight=2.), LABELS, POINTS),
        ("softmax", lambda y, x: n.softmax_cross_entropy_with_logits(labels=y, logits=x), LABELS, POINTS),
        ("sparse", lambda x: n.sparse_softmax_cross_entropy_with_logits(labels=[1, 0], logits=x), TIES),
        ("poisson", n.log_poisson_loss, LABELS, POINTS), ("full", lambda y, x: n.log_poisson_loss(y, x, True), LABELS, POINTS)])


def keras_losses(tf):
    names = ("mse mae mape msle hinge squared_hinge categorical_hinge logcosh kld poisson huber cosine_similarity binary_crossentropy "
             "categorical_crossentropy binary_focal_crossentropy categorical_focal_crossentropy dice tversky")
    points, labels = (np.reshape(np.float32(x), [4, 3]) for x in (POINTS, LABELS))
    losses = _among(tf.keras.losses, names)
    cases = [(f"{name} {kind}", f, *pair) for name, f in losses.items()
             for kind, pair in {"points": (labels, points), "labels": (labels, labels), "same": (points, points)}.items()]
    return _answers(tf, cases + [(f"{name} logits", lambda y, x, f=f: f(y, x, from_logits=True), labels, points)
                                 for name, f in losses.items() if "crossentropy" in name])


CASES = [activations, keras_activations, of_one, reductions, of_two, clips_and_norms, ties, cross_entropies, keras_losses]
