"""tf.nn: losses, statistics and samples of classes that are made of several ops."""
from tenon import _tenon, raw_ops
from tenon.tf import arrays, elementwise, linalg, random, reductions
from tenon.tf.rare import random_draws
from tenon.tf.rare.random_draws import (all_candidate_sampler, fixed_unigram_candidate_sampler,  # noqa: F401
                                   learned_unigram_candidate_sampler)
from tenon.tf.rare.special import zero_fraction  # noqa: F401


def weighted_cross_entropy_with_logits(labels, logits, pos_weight, name=None):
    """Sigmoid cross entropy in which positive labels weigh `pos_weight`."""
    logits = _tenon.convert(logits)
    labels = _tenon.convert(labels, logits.dtype)
    weight = 1 + (pos_weight - 1) * labels
    return (1 - labels) * logits + weight * (raw_ops.Log1p(x=raw_ops.Exp(x=-abs(logits))) + raw_ops.Relu(features=-logits))


def log_poisson_loss(targets, log_input, compute_full_loss=False, name=None):
    log_input = _tenon.convert(log_input)
    targets = _tenon.convert(targets, log_input.dtype)
    loss = raw_ops.Exp(x=log_input) - log_input * targets
    if not compute_full_loss:
        return loss
    import math
    stirling = targets * raw_ops.Log(x=targets) - targets + 0.5 * raw_ops.Log(x=2 * math.pi * targets)
    small = raw_ops.LogicalAnd(x=targets >= 0, y=targets <= 1)
    return loss + raw_ops.SelectV2(condition=small, t=raw_ops.ZerosLike(x=targets), e=stirling)


def crelu(features, axis=-1, name=None):
    features = _tenon.convert(features)
    return raw_ops.Relu(features=arrays.concat([features, -features], axis))


def weighted_moments(x, axes, frequency_weights, keepdims=False, name=None):
    x = _tenon.convert(x)
    weights = elementwise.cast(_tenon.convert(frequency_weights), x.dtype)
    weights = weights + raw_ops.ZerosLike(x=x)
    total = reductions.reduce_sum(weights, axes, True)
    mean = reductions.reduce_sum(weights * x, axes, True) / total
    spread = raw_ops.SquaredDifference(x=x, y=raw_ops.StopGradient(input=mean))
    variance = reductions.reduce_sum(weights * spread, axes, keepdims) / (
        total if keepdims else arrays.squeeze(total, axes))
    return (mean if keepdims else arrays.squeeze(mean, axes)), variance


def sufficient_statistics(x, axes, shift=None, keepdims=False, name=None):
    """(count, sum, sum of squares, shift)"""
    x = _tenon.convert(x)
    sizes = arrays.gather(arrays.shape(x), _tenon.convert(list(axes), "int32"))
    count = elementwise.cast(reductions.reduce_prod(sizes), x.dtype)
    shift = None if shift is None else _tenon.convert(shift, x.dtype)
    centered = x if shift is None else x - shift
    return (count, reductions.reduce_sum(centered, axes, keepdims),
            reductions.reduce_sum(centered * centered, axes, keepdims), shift)


def normalize_moments(counts, mean_ss, variance_ss, shift, name=None):
    scale = raw_ops.Reciprocal(x=_tenon.convert(counts))
    centered = mean_ss * scale
    mean = centered if shift is None else centered + shift
    return mean, variance_ss * scale - centered * centered


def compute_accidental_hits(true_classes, sampled_candidates, num_true, seed=None, name=None):
    first, second = random._seeds(seed)
    return raw_ops.ComputeAccidentalHits(true_classes=true_classes, sampled_candidates=sampled_candidates, num_true=num_true,
                                         seed=first, seed2=second)


def _sampled_logits(weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_hits, seed):
    """Logits and labels of the true classes and of some that are drawn."""
    weights = arrays.concat(list(weights), 0) if isinstance(weights, (list, tuple)) else _tenon.convert(weights)
    labels = elementwise.cast(_tenon.convert(labels), "int64")
    inputs = _tenon.convert(inputs)
    flat = arrays.reshape(labels, [-1])
    drawn, expected_true, expected_drawn = sampled_values or random_draws.log_uniform_candidate_sampler(
        labels, num_true, num_sampled, True, num_classes, seed=seed)
    drawn, expected_true, expected_drawn = map(_stopped, (drawn, expected_true, expected_drawn))
    drawn = elementwise.cast(drawn, "int64")
    true_weights = arrays.reshape(arrays.gather(weights, flat), [-1, num_true, inputs.shape[-1]])
    true_logits = reductions.reduce_sum(arrays.expand_dims(inputs, 1) * true_weights, -1)
    true_logits = true_logits + arrays.reshape(arrays.gather(biases, flat), [-1, num_true])
    drawn_logits = linalg.matmul(inputs, arrays.gather(weights, drawn), transpose_b=True) + arrays.gather(biases, drawn)
    if remove_hits:
        hit = elementwise.equal(arrays.expand_dims(labels, 2), arrays.reshape(drawn, [1, 1, -1]))
        hits = elementwise.cast(reductions.reduce_any(hit, 1), drawn_logits.dtype)
        drawn_logits = drawn_logits + hits * _tenon.convert(-3.4028234663852886e38, drawn_logits.dtype)
    logits = arrays.concat([true_logits - raw_ops.Log(x=expected_true), drawn_logits - raw_ops.Log(x=expected_drawn)], 1)
    wanted = arrays.concat([raw_ops.OnesLike(x=true_logits) / num_true, raw_ops.ZerosLike(x=drawn_logits)], 1)
    return logits, wanted


def _stopped(x):
    return raw_ops.StopGradient(input=x)


def sampled_softmax_loss(weights, biases, labels, inputs, num_sampled, num_classes, num_true=1, sampled_values=None,
                         remove_accidental_hits=True, seed=None, name="sampled_softmax_loss"):
    """Softmax cross entropy among the true classes and `num_sampled` others, for training with many classes."""
    from tenon.tf import nn
    logits, wanted = _sampled_logits(weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values,
                                     remove_accidental_hits, seed)
    return nn.softmax_cross_entropy_with_logits(labels=_stopped(wanted), logits=logits)


def nce_loss(weights, biases, labels, inputs, num_sampled, num_classes, num_true=1, sampled_values=None,
             remove_accidental_hits=False, name="nce_loss"):
    """Noise-contrastive estimation."""
    from tenon.tf import nn
    logits, wanted = _sampled_logits(weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values,
                                     remove_accidental_hits, None)
    return reductions.reduce_sum(nn.sigmoid_cross_entropy_with_logits(labels=wanted, logits=logits), 1)
