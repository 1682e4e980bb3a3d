"""What Keras takes from tf.__internal__: graphs to try functions in, tracking, distribution, conditions."""
import contextlib
import threading

from tenon import _tenon
from tenon.constants import TensorLike
from tenon.tf import missing
from tenon.composite import CompositeTensor
from tenon.tf.trackable import attached

_graphs = threading.local()


class FuncGraph:
    """A graph in which functions are called on placeholders, for the shapes and dtypes of what they return."""

    def __init__(self, name, *_, **__):
        self.name = name
        self._trace = _tenon.Trace(nested=True)
        self._count = 0

    def placeholder(self, dtype, shape):
        self._count += 1
        return self._trace.argument(f"placeholder_{self._count}", dtype, shape)

    @contextlib.contextmanager
    def as_default(self):
        stack = _graphs.__dict__.setdefault("stack", [])
        tapes = _tenon.stop_recording()
        stack.append(self)
        try:
            with self._trace:
                yield self
        finally:
            stack.pop()
            _tenon.resume_recording(tapes)


def placeholder(dtype, shape=None, name=None):
    """An argument of the graph that is open."""
    stack = getattr(_graphs, "stack", None)
    if not stack:
        raise RuntimeError("tf.compat.v1.placeholder() is not compatible with eager execution.")
    return stack[-1].placeholder(dtype, shape)


def sparse_placeholder(dtype, shape=None, name=None):
    """A sparse tensor whose parts are arguments of the graph that is open."""
    from tenon.tf.sparse_tensor import SparseTensorSpec
    spec = SparseTensorSpec(shape, dtype)
    return spec._from_tensors([placeholder(part.dtype, part.shape) for part in spec._component_specs])


class Trackable:
    """An object with parts that are saved."""

    def _track_trackable(self, trackable, name, overwrite=False):
        parts = self.__dict__.setdefault("_self_trackables", {})
        if name in parts and parts[name] is not trackable and not overwrite:
            raise ValueError(f"Called Trackable._track_trackable() with name='{name}', but a Trackable with this name is "
                             "already declared as a dependency. Names must be unique (or overwrite=True).")
        parts[name] = trackable
        return trackable

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        return dict(self.__dict__.get("_self_trackables", {}))


class AutoTrackable(Trackable):
    """An object whose parts are its attributes."""

    def __setattr__(self, name, value):
        if getattr(self, "_self_setattr_tracking", True) and _is_part(value) and not (
                name in _LISTS_OF_LAYERS and hasattr(self, "_initialize_tracker")):
            self._track_trackable(value, name, overwrite=True)
        super().__setattr__(name, value)
        attached(self, name, value)


# What Keras' layers have by other names too: on TensorFlow Keras keeps these lists out of checkpoints.
_LISTS_OF_LAYERS = {"_trainable_variables", "_non_trainable_variables", "_layers", "_metrics", "_seed_generators"}


def _is_part(value):
    """Lists and dictionaries of classes of their own are not looked into, as in TensorFlow; nor are keys that are no text."""
    if type(value) is dict:
        return all(isinstance(key, str) for key in value)
    if type(value) is tuple:
        return any(map(_is_part, value))
    return isinstance(value, (Trackable, _tenon.VariableBase)) or type(value) is list


def no_automatic_dependency_tracking(method):
    """A method whose assignments are no parts."""
    import functools

    @functools.wraps(method)
    def untracked(self, *args, **kwargs):
        before = getattr(self, "_self_setattr_tracking", True)
        self._self_setattr_tracking = False
        try:
            return method(self, *args, **kwargs)
        finally:
            self._self_setattr_tracking = before

    return untracked


def smart_cond(pred, true_fn=None, false_fn=None, name=None):
    """cond(), decided at once where `pred` is known."""
    from tenon.tf import arrays, control_flow
    if isinstance(pred, bool) or (isinstance(pred, int) and pred in (0, 1)):
        return true_fn() if pred else false_fn()
    known = arrays.static_value(pred) if isinstance(pred, _tenon.Tensor) else None
    if known is not None:
        return true_fn() if known else false_fn()
    return control_flow.cond(pred, true_fn, false_fn)


def maybe_merge_call(fn, strategy, *args, **kwargs):
    """`fn` once for all replicas that are at this place."""
    from tenon import replicas
    context = replicas.merging_context()
    return fn(strategy, *args, **kwargs) if context is None else context.merge_call(fn, args, kwargs)


def strategy_supports_no_merge_call():
    """Whether there is nobody to merge with here."""
    from tenon import replicas
    return replicas.merging_context() is None


class _EagerTensor(type):
    def __instancecheck__(cls, value):
        return isinstance(value, _tenon.Tensor) and not value.is_symbolic


class EagerTensor(metaclass=_EagerTensor):
    """Tensors with a value, for isinstance()."""


internal = missing.namespace(
    "tf.__internal__", CompositeTensor=CompositeTensor, EagerTensor=EagerTensor, FuncGraph=FuncGraph,
    types=missing.namespace("tf.__internal__.types", Tensor=TensorLike),
    smart_cond=missing.namespace("tf.__internal__.smart_cond", smart_cond=smart_cond),
    tracking=missing.namespace("tf.__internal__.tracking", Trackable=Trackable, AutoTrackable=AutoTrackable,
                               no_automatic_dependency_tracking=no_automatic_dependency_tracking),
    distribute=missing.namespace("tf.__internal__.distribute", strategy_supports_no_merge_call=strategy_supports_no_merge_call,
                                 interim=missing.namespace(
        "tf.__internal__.distribute.interim", maybe_merge_call=maybe_merge_call)))
