"""tf.summary: curves for TensorBoard."""
import threading

from tenon import _tenon
from tenon.tf import missing as _missing

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
        if self._logdir is None:
            return
        if self._native is None:
            self._native = _tenon.EventWriter(self._logdir)
        self._native.scalar(name, step, value)

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


def scalar(name, data, step=None, description=None):
    """A point of the curve `name`; whether it was written. Within a traced function there is no value to write."""
    if not should_record_summaries():
        return False
    data = _tenon.convert(data)
    if data.is_symbolic:
        raise NotImplementedError("tf.summary.scalar within a function that is being traced: return the value, and write it "
                                  "outside.")
    if data.shape.rank != 0:
        raise ValueError(f"tf.summary.scalar takes a scalar, not a tensor of shape {data.shape}.")
    _stack()[-1][0].scalar(name, float(data), _step(step))
    return True


def flush(writer=None, name=None):
    if writer is None and _stack():
        writer = _stack()[-1][0]
    if writer is not None:
        writer.flush()


def _set_step(step):
    _stack()
    _state.step = step


experimental = _missing.namespace("tf.summary.experimental", set_step=_set_step,
                                  get_step=lambda: getattr(_state, "step", None))


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.summary", name, globals()))
