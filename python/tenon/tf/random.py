"""Random numbers. Streams are Philox', and with seeds set, eager draws are TensorFlow's, sample for sample."""
import os

from tenon import _tenon, raw_ops

_state = {"seed": None, "next": None}
_LARGEST = 2 ** 31 - 1


def set_seed(seed):
    """Starts every op's own stream anew, from `seed`."""
    import random  # slow to load
    _state.update(seed=seed, next=random.Random(seed))
    _tenon.forget_ops()


def _seeds(seed):
    """(seed, seed2) of an op, as TensorFlow derives them from the global seed and the op's own."""
    if _state["seed"] is None:
        if seed is None:
            pair = tuple(int.from_bytes(os.urandom(4), "little") & _LARGEST for _ in range(2))
        else:
            pair = 87654321, seed  # TensorFlow's default global seed
    elif seed is None:
        pair = _state["seed"], _state["next"].randint(0, _LARGEST)
    else:
        pair = _state["seed"], seed
    return (0, _LARGEST) if pair == (0, 0) else pair


def _shape(shape):
    from tenon.tf.arrays import shape_vector
    return shape_vector(shape)


def _shaped(op, shape, **inputs):
    """Draws of a shape, knowing what is known of it."""
    from tenon.tf.arrays import with_shape_of
    shape = _shape(shape)
    return with_shape_of(getattr(raw_ops, op)(shape=shape, **inputs), shape)


def _draw(op, seed, shape=None, **inputs):
    first, second = _seeds(seed)
    if shape is None:
        return getattr(raw_ops, op)(seed=first, seed2=second, **inputs)
    return _shaped(op, shape, seed=first, seed2=second, **inputs)


def uniform(shape, minval=0, maxval=None, dtype="float32", seed=None, name=None):
    """Numbers of [minval, maxval)."""
    dtype = _tenon.as_dtype(dtype)
    if dtype.is_integer:
        if maxval is None:
            raise ValueError("Must specify maxval for integer dtype.")
        return _draw("RandomUniformInt", seed, shape, minval=_tenon.convert(minval, dtype),
                     maxval=_tenon.convert(maxval, dtype))
    sample = _draw("RandomUniform", seed, shape, dtype=dtype)
    maxval = 1 if maxval is None else maxval
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)) and (minval, maxval) == (0, 1):
        return sample
    minval = _tenon.convert(minval, dtype)
    return sample * (_tenon.convert(maxval, dtype) - minval) + minval


def normal(shape, mean=0.0, stddev=1.0, dtype="float32", seed=None, name=None):
    dtype = _tenon.as_dtype(dtype)
    sample = _draw("RandomStandardNormal", seed, shape, dtype=dtype)
    return sample * _tenon.convert(stddev, dtype) + _tenon.convert(mean, dtype)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype="float32", seed=None, name=None):
    dtype = _tenon.as_dtype(dtype)
    sample = _draw("TruncatedNormal", seed, shape, dtype=dtype)
    return sample * _tenon.convert(stddev, dtype) + _tenon.convert(mean, dtype)


def shuffle(value, seed=None, name=None):
    return _draw("RandomShuffle", seed, value=_tenon.convert(value))


def categorical(logits, num_samples, dtype="int64", seed=None, name=None):
    return _draw("Multinomial", seed, logits=_tenon.convert(logits), num_samples=num_samples, output_dtype=dtype)


def _stateless(op, shape, seed, dtype):
    """What `op` draws; in a graph by its second version, which devices have."""
    if not _tenon.tracing():
        return _shaped(op, shape, seed=seed, dtype=dtype)
    key, counter = raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return _shaped(op + "V2", shape, key=key, counter=counter, alg=1, dtype=dtype)


def stateless_uniform(shape, seed, minval=0, maxval=None, dtype="float32", name=None, alg="auto_select"):
    dtype = _tenon.as_dtype(dtype)
    if dtype.is_integer:
        if minval is None and maxval is None:
            return _shaped("StatelessRandomUniformFullInt", shape, seed=seed, dtype=dtype)
        return _shaped("StatelessRandomUniformInt", shape, seed=seed, minval=_tenon.convert(minval, dtype),
                                                 maxval=_tenon.convert(maxval, dtype))
    minval = _tenon.convert(minval, dtype)
    sample = _stateless("StatelessRandomUniform", shape, seed, dtype)
    return sample * (_tenon.convert(1 if maxval is None else maxval, dtype) - minval) + minval


def stateless_normal(shape, seed, mean=0.0, stddev=1.0, dtype="float32", name=None, alg="auto_select"):
    dtype = _tenon.as_dtype(dtype)
    sample = _stateless("StatelessRandomNormal", shape, seed, dtype)
    return sample * _tenon.convert(stddev, dtype) + _tenon.convert(mean, dtype)


def stateless_truncated_normal(shape, seed, mean=0.0, stddev=1.0, dtype="float32", name=None, alg="auto_select"):
    dtype = _tenon.as_dtype(dtype)
    sample = _stateless("StatelessTruncatedNormal", shape, seed, dtype)
    return sample * _tenon.convert(stddev, dtype) + _tenon.convert(mean, dtype)


def stateless_categorical(logits, num_samples, seed, dtype="int64", name=None):
    return raw_ops.StatelessMultinomial(logits=_tenon.convert(logits), num_samples=num_samples, seed=seed,
                                        output_dtype=dtype)


def stateless_gamma(shape, seed, alpha, beta=None, dtype="float32", name=None):
    dtype = _tenon.as_dtype(dtype)
    alpha = _tenon.convert(alpha, None if hasattr(alpha, "dtype") else dtype)
    beta = None if beta is None else _tenon.convert(beta, None if hasattr(beta, "dtype") else dtype)
    if beta is not None:
        alpha = raw_ops.BroadcastTo(input=alpha, shape=raw_ops.BroadcastArgs(
            s0=raw_ops.Shape(input=alpha), s1=raw_ops.Shape(input=beta)))
    key, counter = raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    alpha = raw_ops.BroadcastTo(input=alpha, shape=_shape(shape))
    sample = _shaped("StatelessRandomGammaV3", shape, key=key, counter=counter, alg=1, alpha=alpha)
    tiny = _tenon.convert(float(__import__("numpy").finfo(dtype.as_numpy_dtype).tiny), dtype)
    return raw_ops.Maximum(x=tiny, y=sample if beta is None else sample / beta)


def stateless_binomial(shape, seed, counts, probs, output_dtype="int32", name=None):
    return _shaped("StatelessRandomBinomial", shape, seed=seed, counts=counts, probs=probs,
                                           dtype=output_dtype)


def stateless_shuffle(value, seed, alg="auto_select", name=None):
    key, counter = raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return raw_ops.StatelessShuffle(value=_tenon.convert(value), key=key, counter=counter, alg=1)


def __getattr__(name):
    """The rest of tf.random, which stands on this module."""
    from tenon.tf import missing, random_generator
    from tenon.tf.rare import random_draws
    experimental = ("Algorithm", "Generator", "create_rng_state", "get_global_generator", "set_global_generator")
    for module in (random_generator, random_draws):
        if not name.startswith("_") and hasattr(module, name):
            return getattr(module, name)
    if name == "experimental":
        return missing.namespace("tf.random.experimental", {n: getattr(random_generator, n) for n in experimental},
                                 index_shuffle=random_draws.index_shuffle, stateless_fold_in=random_draws.fold_in,
                                 stateless_shuffle=stateless_shuffle, stateless_split=random_draws.split)
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(missing.message("tf.random", name, {**globals(), **vars(random_draws), **vars(random_generator)}))
