"""Initial values by name: tf.zeros_initializer and its kin, which are called with a shape and a dtype."""
from tenon import _tenon
from tenon.tf import arrays, random


class _Initializer:
    @classmethod
    def from_config(cls, config):
        return cls(**{key: value for key, value in config.items() if key != "dtype"})


class zeros_initializer(_Initializer):  # noqa: N801: TensorFlow's name
    def __call__(self, shape, dtype="float32", **_):
        return arrays.zeros(shape, dtype)

    def get_config(self):
        return {}


class ones_initializer(_Initializer):  # noqa: N801
    def __call__(self, shape, dtype="float32", **_):
        return arrays.ones(shape, dtype)

    def get_config(self):
        return {}


class constant_initializer(_Initializer):  # noqa: N801
    def __init__(self, value=0, support_partition=False):
        self.value = value

    def __call__(self, shape, dtype=None, **_):
        value = _tenon.convert(self.value, dtype)
        return arrays.broadcast_to(value, shape) if value.shape.rank == 0 else arrays.reshape(value, shape)

    def get_config(self):
        return {"value": self.value}


class random_uniform_initializer(_Initializer):  # noqa: N801
    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape, dtype="float32", **_):
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self):
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class random_normal_initializer(_Initializer):  # noqa: N801
    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape, dtype="float32", **_):
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self):
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}
