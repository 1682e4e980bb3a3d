"""tf.summary: curves for TensorBoard."""
import functools
import threading

from tenon import _tenon
from tenon.tf import missing as _missing
from tenon.tf import summary_messages as _messages

_state = threading.local()


class SummaryWriter:
    """Writes event files into a folder. Within `with writer.as_default():` it is the one that scalar() writes to."""

    def __init__(self, logdir):
        self._logdir, self._native = logdir, None

    def as_default(self, step=None):
        return _Default(self, step)

    def set_as_default(self, step=None):
        _stack()[:] = [(self, step)]

    def scalar(self, name, value, step):
        self._write("scalar", name, step, value)

    def tensor(self, name, tensor, metadata, step):
        """Both as bytes of messages."""
        self._write("tensor", name, step, tensor, metadata)

    def _write(self, kind, *args):
        if self._logdir is None:
            return
        if self._native is None:
            self._native = _tenon.EventWriter(self._logdir)
        getattr(self._native, kind)(*args)

    def init(self):
        pass

    def flush(self):
        if self._native is not None:
            self._native.flush()

    def close(self):
        self.flush()
        self._native, self._logdir = None, None


class _Default:
    def __init__(self, writer, step):
        self._entry = (writer, step)

    def __enter__(self):
        _stack().append(self._entry)
        return self._entry[0]

    def __exit__(self, *_):
        _stack().pop()
        self._entry[0].flush()


def _stack():
    if not hasattr(_state, "writers"):
        _state.writers, _state.recording = [], True
    return _state.writers


def create_file_writer(logdir, max_queue=None, flush_millis=None, filename_suffix=None, name=None,
                       experimental_trackable=False):
    """A writer of event files in `logdir`, which is made when the first value comes."""
    import os
    return SummaryWriter(os.fspath(logdir))


def create_noop_writer():
    return SummaryWriter(None)


def should_record_summaries():
    return bool(_stack()) and _state.recording is not False


class record_if:
    """Whether scalar() writes while it is open."""

    def __init__(self, condition):
        self._condition = condition

    def __enter__(self):
        _stack()
        self._before, _state.recording = _state.recording, bool(self._condition() if callable(self._condition)
                                                                 else self._condition)

    def __exit__(self, *_):
        _state.recording = self._before


def _step(step):
    if step is None and _stack():
        step = _stack()[-1][1]
    if step is None:
        step = getattr(_state, "step", None)
    if step is None:
        raise ValueError("No step set. Please specify one either through the `step` argument or through "
                         "tf.summary.experimental.set_step()")
    return int(step)


def _in_graphs_too(function):
    """`function` of (name, data, step, ...): in a traced function it is called when that runs, by the writer of now."""
    named = function.__code__.co_varnames[:3]

    @functools.wraps(function)
    def call(*args, **kwargs):
        if not should_record_summaries():
            return False
        if not _tenon.tracing():
            return function(*args, **kwargs)
        given = {**dict(zip(named, args)), **kwargs}
        name, data, step = (given.pop(each, None) for each in named)
        from tenon.python_function import numpy_function
        writer = _stack()[-1][0]

        def write_now(values, at):
            _stack().append((writer, None))
            try:
                return function(name, values, int(at), *args[3:], **given)
            finally:
                _stack().pop()

        at = step if isinstance(step, (_tenon.Tensor, _tenon.VariableBase)) else _step(step)
        return numpy_function(write_now, [_tenon.convert(data), _tenon.convert(at)], "bool")

    return call


@_in_graphs_too
def scalar(name, data, step=None, description=None):
    """A point of the curve `name`; whether it was written."""
    data = _tenon.convert(data)
    if data.shape.rank != 0:
        raise ValueError(f"tf.summary.scalar takes a scalar, not a tensor of shape {data.shape}.")
    _stack()[-1][0].scalar(name, float(data), _step(step))
    return True


def _array(data, dtype=None):
    return _tenon.convert(data, dtype).numpy()


@_in_graphs_too
def write(tag, tensor, step=None, metadata=None, name=None):
    """A tensor for the plug-in of TensorBoard that `metadata` names; whether it was written."""
    message = _messages.tensor_message(_array(tensor))
    metadata = b"" if metadata is None else metadata.SerializeToString()
    _stack()[-1][0].tensor(tag, message, metadata, _step(step))
    return True


@_in_graphs_too
def histogram(name, data, step=None, buckets=None, description=None):
    """How the elements of a tensor are distributed."""
    counted = _messages.histogram(_array(data), 30 if buckets is None else int(buckets))
    return write(name, counted, step, _messages.metadata("histograms", b"\x08\x00", description))


@_in_graphs_too
def image(name, data, step=None, max_outputs=3, description=None):
    """Pictures of shape [count, height, width, channels]: of 0 to 1, or of 0 to 255 where they are uint8."""
    data = _array(data)
    if data.ndim != 4:
        raise ValueError(f"tf.summary.image takes a tensor of 4 dimensions, not of shape {data.shape}.")
    return write(name, _messages.pictures(data, max_outputs), step, _messages.metadata("images", b"", description))


@_in_graphs_too
def text(name, data, step=None, description=None):
    """Texts, which TensorBoard reads as Markdown."""
    return write(name, _array(data, "string"), step, _messages.metadata("text", b"", description))


class _summary_scope:
    """The name scopes around and `name`, as the tag."""

    def __init__(self, name, default_name="summary", values=None):
        from tenon.naming import current_scope
        scope = (name or default_name) + "/"
        self._given = current_scope() + (name or default_name), scope

    def __enter__(self):
        return self._given

    def __exit__(self, *_):
        pass


def flush(writer=None, name=None):
    if writer is None and _stack():
        writer = _stack()[-1][0]
    if writer is not None:
        writer.flush()


def _set_step(step):
    _stack()
    _state.step = step


def trace_on(graph=True, profiler=False, profiler_outdir=None):
    """Nothing is traced: the TensorBoard callback writes a model's graph."""


def trace_off():
    """Nothing was traced."""


def trace_export(name, step=None, profiler_outdir=None):
    """Nothing was traced."""


experimental = _missing.namespace("tf.summary.experimental", set_step=_set_step, summary_scope=_summary_scope,
                                  get_step=lambda: getattr(_state, "step", None))


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.summary", name, globals()))
