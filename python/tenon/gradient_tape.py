"""GradientTape: gradients of what was computed while it was open."""
import enum

from tenon import _tenon, nest, raw_ops


class UnconnectedGradients(enum.Enum):
    """What the gradient is where a target does not depend on a source."""
    NONE = "none"
    ZERO = "zero"


class GradientTape:
    """Records ops on watched tensors and on trainable variables, for gradient()."""

    def __init__(self, persistent=False, watch_accessed_variables=True):
        self._persistent = persistent
        self._tape = _tenon.Tape(persistent, watch_accessed_variables)
        self._recording = self._used = self._entered = False
        self._read = ()  # the variables, once the tape is empty
        self._watched = []  # those that watch() was given

    def __enter__(self):
        if self._recording:
            raise ValueError("Tape is still recording, This can happen if you try to re-enter an already-active tape.")
        self._recording = self._entered = True
        self._tape.push()
        return self

    def __exit__(self, *_):
        if self._recording:
            self._stop()

    def _stop(self):
        self._tape.pop()
        self._recording = False

    def watch(self, tensor):
        for each in nest.flatten(tensor):
            self._tape.watch(_source(each))
            if isinstance(each, _tenon.VariableBase):
                self._watched.append(each)

    def watched_variables(self):
        found = [getattr(v, "_container", lambda v=v: v)() for v in (*self._watched, *self._read, *self._tape.variables())]
        return tuple({id(v): v for v in found}.values())

    def stop_recording(self):
        return _Stopped(self)

    def reset(self):
        self._read, self._watched = (), []
        self._tape.reset()

    def _target(self, value):
        """A tensor; a variable is what is read of it now."""
        if not isinstance(value, _tenon.VariableBase):
            return value if isinstance(value, _tenon.Tensor) else _tenon.convert(value)
        self._tape.push()
        try:
            return value.read_value()
        finally:
            self._tape.pop()

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients=UnconnectedGradients.NONE):
        """The gradient of the sum of `target` for each of `sources`, in their structure; None where nothing flows."""
        if not self._entered or self._used and not self._persistent:
            raise RuntimeError("A non-persistent GradientTape can only be used to compute one set of gradients (or "
                               "jacobians)")
        self._used = True
        paused = self._recording
        if paused:
            self._stop()
        flat_sources = [_source(s) for s in nest.flatten(sources)]
        targets = [t for t in nest.flatten(target) if t is not None]
        given = [None] * len(targets) if output_gradients is None else nest.flatten(output_gradients)
        try:
            flat = self._tape.gradient([self._target(t) for t in targets], given,
                                       [_tenon.value_id(s) for s in flat_sources])
        finally:
            if paused and self._persistent:
                self._recording = True
                self._tape.push()
        if not self._persistent:
            self._read = tuple(self._tape.variables())
            self._tape.reset()
        flat = [_slices(g, s) if isinstance(g, tuple) else g for g, s in zip(flat, flat_sources)]
        if UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO:
            flat = [raw_ops.ZerosLike(x=_tenon.convert(s)) if g is None else g for g, s in zip(flat, flat_sources)]
        return nest.pack_sequence_as(sources, flat)

    def jacobian(self, target, sources, unconnected_gradients=UnconnectedGradients.NONE, parallel_iterations=None,
                 experimental_use_pfor=True):
        """d target[i] / d source[j], one element of the target at a time."""
        return self._by_several(lambda: self._jacobian(_tenon.convert(target), sources, unconnected_gradients))

    def _by_several(self, compute):
        """What takes several gradients is one use of the tape all the same."""
        if self._persistent:
            return compute()
        if self._used:
            return self.gradient(None, [])  # which says that it was used
        self._persistent = True
        try:
            return compute()
        finally:
            self._persistent = False
            self._read = tuple(self._tape.variables())
            self._tape.reset()

    def _jacobian(self, target, sources, unconnected_gradients):
        count = target.shape.num_elements()
        if count is None:
            raise ValueError(f"jacobian() needs a target of known shape, not {target.shape}")
        flat_sources = nest.flatten(sources)
        rows = []
        for i in range(count):
            one = raw_ops.OneHot(indices=i, depth=count, on_value=_one(target, 1), off_value=_one(target, 0))
            one = raw_ops.Reshape(tensor=one, shape=_tenon.convert(target.shape.as_list(), "int32"))
            rows.append([_whole(g) for g in self.gradient(target, flat_sources, one, unconnected_gradients)])
        result = []
        for source, parts in zip(flat_sources, zip(*rows)):
            if any(p is None for p in parts):
                result.append(None)
                continue
            shape = target.shape.as_list() + source.shape.as_list()
            result.append(raw_ops.Reshape(tensor=raw_ops.Pack(values=list(parts)),
                                          shape=_tenon.convert(shape, "int32")))
        return nest.pack_sequence_as(sources, result)


    def batch_jacobian(self, target, source, unconnected_gradients=UnconnectedGradients.NONE, parallel_iterations=None,
                       experimental_use_pfor=True):
        """d target[b, i] / d source[b, j] of each row b, which depends on no other."""
        return self._by_several(lambda: self._batch_jacobian(_tenon.convert(target), _source(source), unconnected_gradients))

    def _batch_jacobian(self, target, source, unconnected_gradients):
        row = target.shape[1:]
        count = row.num_elements()
        if count is None:
            raise ValueError(f"batch_jacobian() needs rows of known shape, not {target.shape}")
        columns = []
        for i in range(count):
            one = raw_ops.OneHot(indices=i, depth=count, on_value=_one(target, 1), off_value=_one(target, 0))
            one = raw_ops.Reshape(tensor=one, shape=_tenon.convert([1, *row.as_list()], "int32"))
            one = raw_ops.BroadcastTo(input=one, shape=raw_ops.Shape(input=target))
            columns.append(_whole(self.gradient(target, source, one, unconnected_gradients)))
        if any(column is None for column in columns):
            return None
        shape = raw_ops.Shape(input=_tenon.convert(source))
        rows = raw_ops.StridedSlice(input=shape, begin=[0], end=[1], strides=[1])
        rest = _tenon.convert(row.as_list() + source.shape.as_list()[1:], "int32")
        return raw_ops.Reshape(tensor=raw_ops.Pack(values=columns, axis=1),
                               shape=raw_ops.ConcatV2(values=[rows, rest], axis=0))


class _Stopped:
    """While it is open, the tape records nothing."""

    def __init__(self, tape):
        self._tape = tape

    def __enter__(self):
        self._tape._stop()

    def __exit__(self, *_):
        self._tape._recording = True
        self._tape._tape.push()


def _slices(parts, source):
    """The gradient of a tensor of which rows were gathered."""
    from tenon.tf.sparse_tensor import IndexedSlices
    shape = source.shape
    known = shape.as_list() if shape.is_fully_defined() else None
    return IndexedSlices(*parts, raw_ops.Shape(input=_tenon.convert(source)) if known is None else _tenon.convert(known, "int32"))


def _whole(gradient):
    return gradient if gradient is None else _tenon.convert(gradient)


def _one(like, value):
    return _tenon.convert(value, like.dtype)


def _source(value):
    """What is watched: a tensor, or the variable that an object of another library stands on."""
    if isinstance(value, (_tenon.Tensor, _tenon.VariableBase)):
        return value
    inner = getattr(value, "value", None)
    if isinstance(inner, (_tenon.Tensor, _tenon.VariableBase)):
        return inner
    raise TypeError(f"Gradients are taken with respect to tensors and variables, not {type(value).__name__}.")
