"""TensorFlow's names over Tenon: `import tenon.tf as tf`. What is not here is an AttributeError that says what is near."""
import types as _types

import tenon as _tenon
from tenon import (DType, GradientTape, Tensor, TensorShape, TensorSpec, UnconnectedGradients, Variable,  # noqa: F401
                   as_dtype, autograph, constant, convert_to_tensor, custom_gradient, errors, executing_eagerly, function, init_scope,
                   is_tensor, nest, raw_ops, saved_model, stop_gradient)
from tenon.tensor_spec import TypeSpec  # noqa: F401
from tenon.tf import arrays as _arrays
from tenon.tf import control_flow as _control_flow
from tenon.tf import elementwise as _elementwise
from tenon.tf import linalg as _linalg
from tenon.tf import nn, random  # noqa: F401
from tenon.tf import reductions as _reductions
from tenon.tf import missing as _missing
from tenon.tf import data, io, lookup, strings, summary, train  # noqa: F401
from tenon import naming as _naming
from tenon.tf import image_edits as _image_edits
from tenon.tf.module import Module  # noqa: F401

__version__ = "2.21.0+tenon"
dtypes = _types.SimpleNamespace(**_tenon._engine.dtypes, DType=DType, as_dtype=as_dtype, cast=_elementwise.cast,
                                complex=_elementwise.complex, saturate_cast=_elementwise.saturate_cast)
globals().update(_tenon._engine.dtypes)
newaxis = None


def _public(*modules):
    """The functions that modules define themselves."""
    return {name: value for module in modules for name, value in vars(module).items()
            if not name.startswith("_") and callable(value) and getattr(value, "__module__", "").startswith("tenon.tf")}


math = _missing.namespace("tf.math", _public(_elementwise, _reductions), softmax=nn.softmax, log_softmax=nn.log_softmax,
                          l2_normalize=_linalg.l2_normalize, sigmoid=_elementwise.sigmoid)
linalg = _missing.namespace("tf.linalg", _public(_linalg))
globals().update(_public(_elementwise, _reductions, _arrays, _control_flow))
for _name in ("matmul", "einsum", "tensordot", "norm"):
    globals()[_name] = getattr(_linalg, _name)
del _name


def print(*inputs, output_stream=None, summarize=3, sep=" ", end="\n", name=None):  # noqa: A001: TensorFlow's name
    """Prints values; in a traced function when it runs."""
    parts = [raw_ops.StringFormat(inputs=[x], template="{}", placeholder="{}", summarize=summarize)
             if isinstance(x, (Tensor, Variable)) else constant(str(x)) for x in inputs]
    import sys
    stream = "stdout" if output_stream is sys.stdout else "stderr"
    raw_ops.PrintV2(input=raw_ops.StringJoin(inputs=parts, separator=sep), output_stream=stream, end=end)


def name_scope(name):
    """While it is open, names of new variables begin with it; nodes are named by their ops."""
    return _naming.name_scope(name)


image = _image_edits.add_to(globals().get("image"))


def __getattr__(name):
    raise AttributeError(_missing.message("tf", name, globals()))
