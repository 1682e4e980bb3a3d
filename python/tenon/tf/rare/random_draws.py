"""tf.random: further distributions, seeds made of seeds, and samples of classes."""
from tenon import _tenon, raw_ops
from tenon.tf import arrays, random


def gamma(shape, alpha, beta=None, dtype="float32", seed=None, name=None):
    """Draws of `shape` for each alpha and beta."""
    alpha = _tenon.convert(alpha, dtype)
    beta = None if beta is None else _tenon.convert(beta, alpha.dtype)
    if beta is not None:
        alpha = raw_ops.BroadcastTo(input=alpha, shape=raw_ops.BroadcastArgs(
            s0=raw_ops.Shape(input=alpha), s1=raw_ops.Shape(input=beta)))
    sample = random._draw("RandomGamma", seed, shape, alpha=alpha)
    import numpy as np
    tiny = _tenon.convert(float(np.finfo(alpha.dtype.as_numpy_dtype).tiny), alpha.dtype)
    return raw_ops.Maximum(x=tiny, y=sample if beta is None else sample / beta)


def poisson(shape, lam, dtype="float32", seed=None, name=None):
    rate = _tenon.convert(lam)
    first, second = random._seeds(seed)
    return raw_ops.RandomPoissonV2(shape=arrays.shape_vector(shape), rate=rate, seed=first, seed2=second,
                                   dtype=_tenon.as_dtype(dtype))


def stateless_poisson(shape, seed, lam, dtype="int32", name=None):
    shape = arrays.shape_vector(shape)
    rate = raw_ops.BroadcastTo(input=_tenon.convert(lam), shape=shape)
    return random._shaped("StatelessRandomPoisson", shape, seed=seed, lam=rate, dtype=_tenon.as_dtype(dtype))


def stateless_parameterized_truncated_normal(shape, seed, means=0.0, stddevs=1.0, minvals=-2.0, maxvals=2.0, name=None):
    return random._shaped("StatelessParameterizedTruncatedNormal", shape, seed=seed, means=means, stddevs=stddevs,
                          minvals=minvals, maxvals=maxvals)


def split(seed, num=2, alg="auto_select"):
    """`num` new seeds."""
    seed = _tenon.convert(seed)
    return random.stateless_uniform([num, 2], seed, None, None, seed.dtype)


def fold_in(seed, data, alg="auto_select"):
    """A new seed of a seed and a number."""
    data = _tenon.convert(data)
    first = random.stateless_uniform([], seed, None, None, data.dtype)
    return arrays.stack([first, data])


def index_shuffle(index, seed, max_index):
    """Where `index` goes in a permutation of the numbers to `max_index` that `seed` says."""
    from tenon.tf.rare.partition import random_index_shuffle
    return random_index_shuffle(index, _tenon.convert(seed), max_index)


def _sampler(op):
    def sampler(true_classes, num_true, num_sampled, unique, range_max, seed=None, name=None):
        return random._draw(op, seed, true_classes=_tenon.convert(true_classes, "int64"), num_true=num_true,
                            num_sampled=num_sampled, unique=unique, range_max=range_max)
    return sampler


uniform_candidate_sampler = _sampler("UniformCandidateSampler")
log_uniform_candidate_sampler = _sampler("LogUniformCandidateSampler")
learned_unigram_candidate_sampler = _sampler("LearnedUnigramCandidateSampler")


def all_candidate_sampler(true_classes, num_true, num_sampled, unique, seed=None, name=None):
    return random._draw("AllCandidateSampler", seed, true_classes=_tenon.convert(true_classes, "int64"), num_true=num_true,
                        num_sampled=num_sampled, unique=unique)


def fixed_unigram_candidate_sampler(true_classes, num_true, num_sampled, unique, range_max, vocab_file="", distortion=1.0,
                                    num_reserved_ids=0, num_shards=1, shard=0, unigrams=(), seed=None, name=None):
    return random._draw("FixedUnigramCandidateSampler", seed, true_classes=_tenon.convert(true_classes, "int64"),
                        num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max, vocab_file=vocab_file,
                        distortion=distortion, num_reserved_ids=num_reserved_ids, num_shards=num_shards, shard=shard,
                        unigrams=list(unigrams))
