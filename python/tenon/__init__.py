"""Tenon in Python: tensors, ops, gradients, traced functions and SavedModels, in TensorFlow's names and formats."""
import os as _os
import sys as _sys


def _load_engine():
    """Imports the extension module so that it uses its own libraries, whatever others the process holds."""
    flags = _sys.getdlopenflags()
    _sys.setdlopenflags(_os.RTLD_NOW | _os.RTLD_DEEPBIND)
    try:
        from tenon import _tenon
    finally:
        _sys.setdlopenflags(flags)
    return _tenon


_engine = _load_engine()
globals().update(_engine.dtypes)

from tenon import autograph, errors, nest, raw_ops  # noqa: E402
from tenon._tenon import DType, Tensor, as_dtype  # noqa: E402
from tenon.constants import constant, convert_to_tensor, from_dlpack, is_tensor  # noqa: E402
from tenon.custom_gradient import custom_gradient, stop_gradient  # noqa: E402
from tenon.eager import executing_eagerly, init_scope  # noqa: E402
from tenon.function import function  # noqa: E402
from tenon.gradient_tape import GradientTape, UnconnectedGradients  # noqa: E402
from tenon.tensor_shape import TensorShape  # noqa: E402
from tenon.tensor_spec import TensorSpec  # noqa: E402
from tenon.variable import Variable  # noqa: E402
from tenon import saved_model  # noqa: E402
from tenon import tensor_methods as _  # noqa: E402,F401

__version__ = _engine.version


def install_as_tensorflow():
    """`import tensorflow` gives tenon.tf in this process from now on. RuntimeError where TensorFlow is loaded already."""
    from tenon import as_tensorflow
    as_tensorflow.install()


def _serve_keras():
    """Gives Keras, which may be imported later, the backend that KERAS_BACKEND=tenon asks for."""
    if _os.environ.get("KERAS_BACKEND") == "tenon":
        try:
            from keras_tenon import hook
        except ImportError:  # the package alone, without its Keras backend
            return
        hook.install()


_serve_keras()
