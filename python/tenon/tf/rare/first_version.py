"""tf.compat.v1: what programs of today still take from there. Graphs and sessions are not."""
import logging as _python_logging

from tenon.tf import random

_log = _python_logging.getLogger("tensorflow")


class Dimension:
    """A size, or none: what TensorFlow 1 had for one. TensorShape holds numbers."""

    def __init__(self, value):
        self.value = getattr(value, "value", value)

    def __int__(self):
        return self.value

    __index__ = __int__

    def __eq__(self, other):
        return self.value == getattr(other, "value", other)

    __hash__ = None

    def __repr__(self):
        return f"Dimension({self.value})"


class _Logging:
    """Levels and messages of Python's logger "tensorflow"."""

    DEBUG, INFO, WARN, WARNING, ERROR, FATAL = 10, 20, 30, 30, 40, 50
    debug, info, error, fatal, log = _log.debug, _log.info, _log.error, _log.fatal, _log.log
    warn = warning = staticmethod(_log.warning)

    @staticmethod
    def set_verbosity(level):
        _log.setLevel(level)

    @staticmethod
    def get_verbosity():
        return _log.getEffectiveLevel()


def enable_eager_execution(config=None, device_policy=None, execution_mode=None):
    """Ops run when they are called, in any case."""


def disable_eager_execution():
    raise NotImplementedError("Tenon runs ops when they are called, or traces them in a tf.function: there are no graphs and "
                              "sessions of TensorFlow 1.")


def _on():
    """It is so in any case."""


NAMES = {"logging": _Logging, "set_random_seed": random.set_seed, "enable_eager_execution": enable_eager_execution,
         "disable_eager_execution": disable_eager_execution, "enable_v2_behavior": _on, "enable_resource_variables": _on,
         "reset_default_graph": _on, "executing_eagerly_outside_functions": lambda: True, "Dimension": Dimension}
