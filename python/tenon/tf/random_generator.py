"""tf.random.Generator: random numbers by a state that programs hold, TensorFlow's sample for sample."""
import enum
import os

from tenon import _tenon, raw_ops
from tenon.tf import arrays
from tenon.tf.trackable import Trackable
from tenon.variable import Variable


class Algorithm(enum.Enum):
    PHILOX = 1
    THREEFRY = 2
    AUTO_SELECT = 3


_PHILOX = Algorithm.PHILOX.value


def _philox(alg):
    """Philox' number, in whatever way it is named; it is the only one that is there."""
    if isinstance(alg, str):
        alg = {"philox": 1, "threefry": 2, "auto_select": 3}.get(alg.lower(), alg)
    alg = getattr(alg, "value", alg)
    if alg in (None, _PHILOX, Algorithm.AUTO_SELECT.value):
        return _PHILOX
    if alg == Algorithm.THREEFRY.value:
        raise NotImplementedError("Tenon draws by Philox: the algorithm ThreeFry is not there.")
    raise ValueError(f"Argument `alg` got unsupported value {alg!r}: 'philox' and 'auto_select' are there.")


def _words(seed):
    """A seed as three int64 words."""
    if isinstance(seed, (_tenon.Tensor, _tenon.VariableBase)) or hasattr(seed, "dtype"):
        return arrays.pad(arrays.reshape(raw_ops.Cast(x=_tenon.convert(seed), DstT="int64"), [-1]), [[0, 3]])[:3]
    words = []
    for number in (seed if isinstance(seed, (list, tuple)) else [seed]):
        number = int(number)
        words.append(number)
        while not -2 ** 63 <= words[-1] < 2 ** 64:
            words[-1:] = [words[-1] % 2 ** 64, words[-1] >> 64]
    words = [w - 2 ** 64 if w >= 2 ** 63 else w for w in words]
    return _tenon.convert((words + [0, 0, 0])[:3], "int64")


def create_rng_state(seed, alg):
    """The state of a Generator: two words that count, and the key."""
    _philox(alg)
    return _words(seed)


class Generator(Trackable):
    """A state and what it draws; each draw moves it on. In a traced function it is changed when the function runs."""

    def __init__(self, copy_from=None, state=None, alg=None):
        if (copy_from is None) == (state is None):
            raise ValueError("Please provide either `copy_from` or both `state` and `alg`.")
        if copy_from is not None:
            state = copy_from.state.read_value()
        self._algorithm = _philox(alg)
        self._state_var = Variable(_tenon.convert(state, "int64"), trainable=False, name="StateVar")

    @classmethod
    def from_state(cls, state, alg):
        return cls(alg=alg, state=state)

    @classmethod
    def from_seed(cls, seed, alg=None):
        return cls(state=create_rng_state(seed, _philox(alg)), alg=alg)

    @classmethod
    def from_non_deterministic_state(cls, alg=None):
        return cls(state=[int.from_bytes(os.urandom(8), "little", signed=True) for _ in range(3)], alg=alg)

    @classmethod
    def from_key_counter(cls, key, counter, alg):
        return cls(state=_key_counter(key, counter), alg=alg)

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        return {"_state_var": self._state_var}

    @property
    def state(self):
        return self._state_var

    @property
    def algorithm(self):
        return self._algorithm

    @property
    def key(self):
        return self._state_var[2]

    def reset(self, state):
        self._state_var.assign(_tenon.convert(state, "int64"))

    def reset_from_seed(self, seed):
        self.reset(_words(seed))

    def reset_from_key_counter(self, key, counter):
        self.reset(_key_counter(key, counter))

    def skip(self, delta):
        """Moves on as a draw of `delta` numbers does, and gives the state that was there."""
        return raw_ops.RngReadAndSkip(resource=self._state_var.handle, alg=self._algorithm,
                                      delta=raw_ops.Cast(x=_tenon.convert(delta), DstT="uint64"))

    def _draw(self, op, shape, **inputs):
        shape = arrays.shape_vector(shape)
        before = self.skip(raw_ops.Prod(input=shape, axis=[0], keep_dims=False))
        counter, key = before[:2], before[2:3]
        drawn = getattr(raw_ops, op)(shape=shape, key=raw_ops.Bitcast(input=key, type="uint64"),
                                     counter=raw_ops.Bitcast(input=counter, type="uint64"), alg=self._algorithm, **inputs)
        return arrays.with_shape_of(drawn, shape)

    def _spread(self, op, shape, mean, stddev, dtype):
        dtype = _tenon.as_dtype(dtype)
        drawn = self._draw(op, shape, dtype=dtype)
        return drawn * _tenon.convert(stddev, dtype) + _tenon.convert(mean, dtype)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype="float32", name=None):
        return self._spread("StatelessRandomNormalV2", shape, mean, stddev, dtype)

    def truncated_normal(self, shape, mean=0.0, stddev=1.0, dtype="float32", name=None):
        return self._spread("StatelessTruncatedNormalV2", shape, mean, stddev, dtype)

    def uniform(self, shape, minval=0, maxval=None, dtype="float32", name=None):
        dtype = _tenon.as_dtype(dtype)
        if dtype.is_integer:
            if maxval is None:
                raise ValueError(f"Must specify maxval for integer dtype {dtype!r}.")
            return self._draw("StatelessRandomUniformIntV2", shape, minval=_tenon.convert(minval, dtype),
                              maxval=_tenon.convert(maxval, dtype))
        minval, maxval = _tenon.convert(minval, dtype), _tenon.convert(1 if maxval is None else maxval, dtype)
        return self._draw("StatelessRandomUniformV2", shape, dtype=dtype) * (maxval - minval) + minval

    def uniform_full_int(self, shape, dtype="uint64", name=None):
        return self._draw("StatelessRandomUniformFullIntV2", shape, dtype=_tenon.as_dtype(dtype))

    def binomial(self, shape, counts, probs, dtype="int32", name=None):
        counts, probs = _tenon.convert(counts), _tenon.convert(probs)
        return raw_ops.StatefulRandomBinomial(resource=self._state_var.handle, algorithm=self._algorithm, counts=counts,
                                              shape=arrays.shape_vector(shape), probs=probs, dtype=_tenon.as_dtype(dtype))

    def make_seeds(self, count=1):
        """Seeds for stateless functions: a column each."""
        keys = self.uniform_full_int([count], "int64")
        return arrays.stack([keys, raw_ops.ZerosLike(x=keys)])

    def split(self, count=1):
        """Generators of their own keys."""
        keys = self.uniform_full_int([count], "int64")
        return [Generator(state=arrays.stack([0 * key, 0 * key, key]), alg=self._algorithm) for key in arrays.unstack(keys)]


def _key_counter(key, counter):
    counter = arrays.reshape(_tenon.convert(counter, "int64"), [-1])
    return raw_ops.ConcatV2(values=[counter, arrays.reshape(_tenon.convert(key, "int64"), [1])], axis=0)


_global = [None]


def get_global_generator():
    if _global[0] is None:
        _global[0] = Generator.from_non_deterministic_state()
    return _global[0]


def set_global_generator(generator):
    _global[0] = generator
