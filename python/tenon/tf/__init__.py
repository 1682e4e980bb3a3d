"""TensorFlow's names over Tenon: `import tenon.tf as tf`. What is not here is an AttributeError that says what is near."""
import types as _types

import tenon as _tenon
from tenon import (DType, GradientTape, Tensor, TensorShape, TensorSpec, UnconnectedGradients, Variable,  # noqa: F401
                   as_dtype, autograph, constant, convert_to_tensor, custom_gradient, errors, executing_eagerly, function, init_scope,
                   is_tensor, nest, raw_ops, saved_model, stop_gradient)
from tenon.function import Function as _Function
from tenon.python_function import numpy_function, py_function  # noqa: F401
from tenon.replicas import VariableAggregation, VariableSynchronization  # noqa: F401
from tenon.tensor_spec import TypeSpec  # noqa: F401
from tenon.tf import arrays as _arrays
from tenon.tf import debugging as _debugging
from tenon.tf.rare import first_version as _first
from tenon.tf import initial_values as _initial_values
from tenon.tf.rare import numpy_names as _numpy
from tenon.tf.rare import partition as _partition
from tenon.tf.rare import quantization as _quantization
from tenon.tf.rare import solvers as _solvers
from tenon.tf.rare import special as _special
from tenon.tf import control_flow as _control_flow
from tenon.tf import elementwise as _elementwise
from tenon.tf import linalg as _linalg
from tenon.tf import functional as _functional
from tenon.tf import nn, random  # noqa: F401
from tenon.tf.audio import audio  # noqa: F401
from tenon.tf.config import config, sysconfig, test  # noqa: F401
from tenon.tf.image import image  # noqa: F401
from tenon.tf.internal import Trackable as _Trackable  # noqa: F401
from tenon.tf.internal import internal as __internal__  # noqa: F401
from tenon.tf.internal import placeholder as _placeholder
from tenon.tf.internal import sparse_placeholder as _sparse_placeholder
from tenon.tf.signal import signal  # noqa: F401
from tenon.tf import ragged, sparse  # noqa: F401
from tenon.tf.ragged_spec import RaggedTensorSpec  # noqa: F401
from tenon.tf.ragged_tensor import RaggedTensor  # noqa: F401
from tenon.tf.sparse_tensor import IndexedSlices, IndexedSlicesSpec, SparseTensor, SparseTensorSpec  # noqa: F401
from tenon.tf.tensor_array import TensorArray  # noqa: F401
from tenon.tf import reductions as _reductions
from tenon.tf import dispatch as _dispatch
from tenon.tf import missing as _missing
from tenon.tf import data, distribute, io, lookup, sets, strings, summary, train  # noqa: F401
from tenon import naming as _naming
from tenon.tf import image_edits as _image_edits
from tenon.tf.module import Module  # noqa: F401
from tenon.tf.placement import DeviceSpec, device  # noqa: F401

__version__ = "2.21.0+tenon"
dtypes = _types.SimpleNamespace(**_tenon._engine.dtypes, DType=DType, as_dtype=as_dtype, cast=_elementwise.cast,
                                complex=_elementwise.complex, saturate_cast=_elementwise.saturate_cast)
globals().update(_tenon._engine.dtypes)
newaxis = None


def _public(*modules):
    """The functions that modules define themselves."""
    return {name: value for module in modules for name, value in vars(module).items()
            if not name.startswith("_") and callable(value) and getattr(value, "__module__", "").startswith("tenon.tf")}


math = _missing.namespace("tf.math", _public(_elementwise, _reductions, _special), special=_special.special, softmax=nn.softmax, log_softmax=nn.log_softmax,
                          l2_normalize=_linalg.l2_normalize, sigmoid=_elementwise.sigmoid)
linalg = _missing.namespace("tf.linalg", _public(_linalg, _solvers), matmul=_linalg.matmul, eye=_arrays.eye, einsum=_linalg.einsum,
                            tensordot=_linalg.tensordot)
globals().update(_public(_elementwise, _reductions, _arrays, _control_flow, _partition, _initial_values))
for _name in ("map_fn", "vectorized_map", "foldl", "scan", "recompute_grad", "grad_pass_through", "gradients", "hessians"):
    globals()[_name] = getattr(_functional, _name)
for _name in ("matmul", "einsum", "tensordot", "norm", "eig"):
    globals()[_name] = getattr(_linalg, _name)
for _name in ("scalar_mul", "realdiv"):
    globals()[_name] = getattr(_special, _name)
eigvals, matrix_square_root, fingerprint = _solvers.eigvals, _solvers.sqrtm, _partition.fingerprint
half, double = float16, float64  # noqa: F821
dtypes.half, dtypes.double = half, double
del _name


def print(*inputs, output_stream=None, summarize=3, sep=" ", end="\n", name=None):  # noqa: A001: TensorFlow's name
    """Prints values; in a traced function when it runs."""
    parts = [raw_ops.StringFormat(inputs=[x], template="{}", placeholder="{}", summarize=summarize)
             if isinstance(x, (Tensor, Variable)) else constant(str(x)) for x in inputs]
    import sys
    stream = "stdout" if output_stream is sys.stdout else "stderr"
    raw_ops.PrintV2(input=raw_ops.StringJoin(inputs=parts, separator=sep), output_stream=stream, end=end)


def _bitwise(op):
    return lambda x, y, name=None: getattr(raw_ops, op)(x=x, y=y)


bitwise = _missing.namespace("tf.bitwise", {name: _bitwise(op) for name, op in (
    ("bitwise_and", "BitwiseAnd"), ("bitwise_or", "BitwiseOr"), ("bitwise_xor", "BitwiseXor"),
    ("left_shift", "LeftShift"), ("right_shift", "RightShift"))}, invert=lambda x, name=None: raw_ops.Invert(x=x))
autodiff = _missing.namespace("tf.autodiff", ForwardAccumulator=_functional.ForwardAccumulator, GradientTape=GradientTape)


debugging = _debugging.debugging
Assert = _debugging.Assert
(assert_equal, assert_greater, assert_less, assert_rank) = (getattr(debugging, f"assert_{_name}") for _name in (
    "equal", "greater", "less", "rank"))


def _as_text(bytes_or_text, encoding="utf-8"):
    return bytes_or_text.decode(encoding) if isinstance(bytes_or_text, bytes) else str(bytes_or_text)


def _as_bytes(bytes_or_text, encoding="utf-8"):
    return bytes_or_text if isinstance(bytes_or_text, bytes) else str(bytes_or_text).encode(encoding)


def type_spec_from_value(value):
    """What looks like `value`."""
    return value._type_spec if hasattr(value, "_type_spec") else TensorSpec.from_tensor(convert_to_tensor(value))


def _to_dlpack(tensor):
    """A capsule by which other libraries take the tensor."""
    return convert_to_tensor(tensor).__dlpack__()


experimental = _missing.namespace(
    "tf.experimental", Optional=data._Optional, numpy=_numpy.numpy, dlpack=_missing.namespace(
        "tf.experimental.dlpack", to_dlpack=_to_dlpack, from_dlpack=convert_to_tensor))
version = _missing.namespace("tf.version", VERSION=__version__, GIT_VERSION="tenon", COMPILER_VERSION="", GRAPH_DEF_VERSION=2400,
                             GRAPH_DEF_VERSION_MIN_CONSUMER=0, GRAPH_DEF_VERSION_MIN_PRODUCER=0)
compat = _missing.namespace("tf.compat", v1=_missing.namespace(
    "tf.compat.v1", _first.NAMES, placeholder=_placeholder, sparse_placeholder=_sparse_placeholder), as_text=_as_text, as_bytes=_as_bytes, as_str=_as_text,
    v2=__import__("sys").modules[__name__])
types = _missing.namespace("tf.types", experimental=_missing.namespace(
    "tf.types.experimental", GenericFunction=_Function, TensorLike=object))
quantization = _missing.namespace("tf.quantization", _public(_quantization))
profiler = _missing.unsupported("tf.profiler", "Profiles")


def control_dependencies(control_inputs):
    """What has effects runs in Python's order, in traced functions too."""
    import contextlib
    return contextlib.nullcontext()


def name_scope(name):
    """While it is open, names of new variables begin with it; nodes are named by their ops."""
    return _naming.name_scope(name)


_dispatch.install(globals(), vars(math), vars(nn))
_dispatch.install_texts(vars(strings))
_dispatch.operators(globals())
as_string = strings.as_string
required_space_to_batch_paddings = nn.required_space_to_batch_paddings
image = _image_edits.add_to(globals().get("image"))


def get_logger():
    """Python's logger "tensorflow", on which programs set a level. Tenon writes nothing to it."""
    import logging
    return logging.getLogger("tensorflow")


def get_current_name_scope():
    return _naming.current_scope().rstrip("/")


def inside_function():
    """Whether a function is being traced."""
    return _tenon._engine.tracing()


def is_symbolic_tensor(tensor):
    return is_tensor(tensor) and tensor.is_symbolic


def __getattr__(name):
    if name in ("keras", "losses", "metrics", "optimizers", "initializers"):
        import importlib
        loaded = importlib.import_module("tenon.tf.keras")
        globals()[name] = loaded if name == "keras" else getattr(loaded, name)
        return globals()[name]
    raise AttributeError(_missing.message("tf", name, globals()))
