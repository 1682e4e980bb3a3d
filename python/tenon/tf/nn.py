"""Functions of neural networks."""
from tenon import _tenon, raw_ops
from tenon.tf.sparse_embedding import embedding_lookup_sparse, safe_embedding_lookup_sparse  # noqa: F401
from tenon.tf import arrays, elementwise, missing, random, reductions
from tenon.tf.rare.sampled_losses import *  # noqa: F401,F403
from tenon.tf.rare.windows import *  # noqa: F401,F403
from tenon.tf.convolutions import *  # noqa: F401,F403
from tenon.tf.convolutions import convolution
from tenon.tf.ctc import ctc_beam_search_decoder, ctc_greedy_decoder, ctc_loss  # noqa: F401
from tenon.tf.elementwise import log_sigmoid, sigmoid, softplus, tanh  # noqa: F401
from tenon.tf.linalg import l2_normalize  # noqa: F401
from tenon.tf.reductions import in_top_k, top_k  # noqa: F401


def _activation(name, op):
    def activation(features, name=None):
        return getattr(raw_ops, op)(features=features, name=name)

    activation.__name__ = activation.__qualname__ = name
    return activation


relu = _activation("relu", "Relu")
relu6 = _activation("relu6", "Relu6")
elu = _activation("elu", "Elu")
selu = _activation("selu", "Selu")
softsign = _activation("softsign", "Softsign")


def leaky_relu(features, alpha=0.2, name=None):
    return raw_ops.LeakyRelu(features=features, alpha=alpha, name=name)


def silu(features, beta=1.0):
    x = _tenon.convert(features)
    return x * raw_ops.Sigmoid(x=x * _tenon.convert(beta, x.dtype))


swish = silu


def gelu(features, approximate=False, name=None):
    x = _tenon.convert(features)
    if approximate:
        inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1.0 + raw_ops.Tanh(x=inner))
    return 0.5 * x * (1.0 + raw_ops.Erf(x=x / 1.4142135623730951))


def _along_last(op, logits, axis):
    """An op that works along the last axis, along any."""
    x = _tenon.convert(logits)
    rank = x.shape.rank
    if axis in (-1, None) or rank is None or axis == rank - 1:
        return op(logits=x)
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    return arrays.transpose(op(logits=arrays.transpose(x, order)), order)


def softmax(logits, axis=None, name=None):
    return _along_last(raw_ops.Softmax, logits, axis)


def log_softmax(logits, axis=None, name=None):
    return _along_last(raw_ops.LogSoftmax, logits, axis)


def bias_add(value, bias, data_format=None, name=None):
    layout = "NCHW" if data_format and data_format.startswith("NC") else "NHWC"
    return raw_ops.BiasAdd(value=value, bias=bias, data_format=layout, name=name)


def conv2d(input, filters, strides, padding, data_format="NHWC", dilations=None, name=None):  # noqa: A002
    return convolution(input, filters, strides, padding, data_format, dilations)


def moments(x, axes, shift=None, keepdims=False, name=None):
    x = _tenon.convert(x)
    mean = reductions.reduce_mean(x, axes, True)
    variance = reductions.reduce_mean(raw_ops.SquaredDifference(x=x, y=raw_ops.StopGradient(input=mean)), axes, keepdims)
    return (mean if keepdims else arrays.squeeze(mean, axes)), variance


def batch_normalization(x, mean, variance, offset, scale, variance_epsilon, name=None):
    factor = raw_ops.Rsqrt(x=_tenon.convert(variance) + variance_epsilon)
    factor = factor if scale is None else factor * scale
    shift = -mean * factor if offset is None else offset - mean * factor
    return _tenon.convert(x) * factor + shift


def dropout(x, rate, noise_shape=None, seed=None, name=None):
    """Zeros a share of `rate` of the elements and scales the others up."""
    x = _tenon.convert(x)
    if not 0 <= rate < 1:
        raise ValueError(f"`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate={rate}")
    shape = arrays.shape(x) if noise_shape is None else noise_shape
    keep = random.uniform(shape, dtype=x.dtype, seed=seed) >= _tenon.convert(rate, x.dtype)
    return raw_ops.SelectV2(condition=keep, t=x / (1 - rate), e=raw_ops.ZerosLike(x=x))


def softmax_cross_entropy_with_logits(labels, logits, axis=-1, name=None):
    logits = _tenon.convert(logits)
    shape = arrays.shape(logits)
    classes = logits.shape[-1]
    if classes is None:
        classes = shape[-1]
    flat = [arrays.reshape(x, [-1, classes]) for x in (logits, elementwise.cast(labels, logits.dtype))]
    loss = raw_ops.SoftmaxCrossEntropyWithLogits(features=flat[0], labels=flat[1]).loss
    return arrays.reshape(loss, shape[:-1])


def sparse_softmax_cross_entropy_with_logits(labels, logits, name=None):
    labels, logits = _tenon.convert(labels), _tenon.convert(logits)
    classes = logits.shape[-1]
    if classes is None:
        classes = arrays.shape(logits)[-1]
    loss = raw_ops.SparseSoftmaxCrossEntropyWithLogits(
        features=arrays.reshape(logits, [-1, classes]), labels=arrays.reshape(labels, [-1])).loss
    return arrays.reshape(loss, arrays.shape(labels))


def sigmoid_cross_entropy_with_logits(labels=None, logits=None, name=None):
    logits = _tenon.convert(logits)
    labels = _tenon.convert(labels, logits.dtype)
    # Chosen by selects, because the gradients of Relu and Abs would give half of the derivative at 0.
    positive = logits >= 0
    above = raw_ops.SelectV2(condition=positive, t=logits, e=raw_ops.ZerosLike(x=logits))
    below = raw_ops.SelectV2(condition=positive, t=-logits, e=logits)
    return above - logits * labels + raw_ops.Log1p(x=raw_ops.Exp(x=below))


def embedding_lookup(params, ids, max_norm=None, name=None):
    return arrays.gather(params, ids)


def _stateless_dropout(x, rate, seed, rng_alg="auto_select", noise_shape=None, name=None):
    """dropout() with the numbers of a seed of its own."""
    x = _tenon.convert(x)
    shape = arrays.shape(x) if noise_shape is None else arrays.shape_vector(noise_shape)
    draw = random.stateless_uniform(shape, seed, dtype=x.dtype)
    kept = draw >= _tenon.convert(rate, x.dtype)
    return raw_ops.SelectV2(condition=kept, t=x * _tenon.convert(1 / (1 - rate), x.dtype), e=_tenon.convert(0, x.dtype))


experimental = missing.namespace("tf.nn.experimental", stateless_dropout=_stateless_dropout)


def _replicas_here(name):
    """How many take part, for a replica that asks."""
    from tenon.tf import distribute
    if distribute.in_cross_replica_context():
        raise RuntimeError(f"You are calling `{name}` in cross replica context, while it was expected to be called in replica "
                           "context.")
    return distribute.get_strategy().num_replicas_in_sync


def compute_average_loss(per_example_loss, sample_weight=None, global_batch_size=None):
    """The replica's part of the mean loss of a batch: its losses' sum by the size of the batch of all replicas."""
    losses = _tenon.convert(per_example_loss)
    if sample_weight is not None:
        weights = elementwise.cast(_tenon.convert(sample_weight), losses.dtype)
        while weights.shape.rank is not None and losses.shape.rank is not None and weights.shape.rank < losses.shape.rank:
            weights = raw_ops.ExpandDims(input=weights, axis=-1)
        losses = losses * weights
    if global_batch_size is None:
        count = _replicas_here("compute_average_loss")
        if losses.shape.rank == 0:
            raise ValueError("`per_example_loss` has to have a dimension: the losses of the examples.")
        global_batch_size = raw_ops.Shape(input=losses)[0] * count
    if isinstance(global_batch_size, int) and global_batch_size < 0:
        raise ValueError("global_batch_size must be non-negative.")
    size = elementwise.cast(_tenon.convert(global_batch_size), losses.dtype)
    return raw_ops.Sum(input=losses, axis=list(range(losses.shape.rank))) / size


def scale_regularization_loss(regularization_loss):
    """The replica's part of a loss that is the same in all replicas."""
    loss = _tenon.convert(regularization_loss)
    return raw_ops.Sum(input=loss, axis=list(range(loss.shape.rank))) / elementwise.cast(
        _replicas_here("scale_regularization_loss"), loss.dtype)


def l2_loss(t, name=None):
    """Half of the sum of the squares."""
    return raw_ops.L2Loss(t=t, name=name)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(missing.message("tf.nn", name, globals()))
