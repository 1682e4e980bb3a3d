"""Whether ops run or are traced."""
from tenon import _tenon


def executing_eagerly():
    return not _tenon.tracing()


class init_scope:
    """While it is open ops run, even where a function is traced, and no tape records them."""

    def __enter__(self):
        self._tapes = _tenon.stop_recording()
        _tenon.push_eager()

    def __exit__(self, *_):
        _tenon.pop_eager()
        _tenon.resume_recording(self._tapes)
