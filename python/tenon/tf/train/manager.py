"""CheckpointManager: the newest checkpoints of a folder."""
import os
import time

from tenon import _tenon
from tenon.tf.train.reader import get_checkpoint_state, latest_checkpoint


class CheckpointManager:
    """Saves a checkpoint again and again and keeps the last of them."""

    def __init__(self, checkpoint, directory, max_to_keep, keep_checkpoint_every_n_hours=None, checkpoint_name="ckpt",
                 step_counter=None, checkpoint_interval=None, init_fn=None, last_checkpoint_step=None):
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(f"Expected a positive integer or `None` for `max_to_keep`, got {max_to_keep}.")
        if checkpoint_interval is not None and step_counter is None:
            raise ValueError("`step_counter` should be passed if `checkpoint_interval` is not None.")
        self._checkpoint, self._directory, self._most = checkpoint, os.fspath(directory), max_to_keep
        self._every, self._prefix = keep_checkpoint_every_n_hours, os.path.join(self._directory, checkpoint_name)
        self._step_counter, self._interval, self._init_fn = step_counter, checkpoint_interval, init_fn
        self._last_step = last_checkpoint_step
        self._kept = {}  # paths by age, the oldest first, with the time of their writing
        state = get_checkpoint_state(self._directory)
        now = time.time()
        self._preserved = now
        if state is not None:
            times = state.all_model_checkpoint_timestamps
            times = times if len(times) == len(state.all_model_checkpoint_paths) else [now] * len(
                state.all_model_checkpoint_paths)
            self._kept = dict(zip(state.all_model_checkpoint_paths, times))
            self._preserved = state.last_preserved_timestamp or now

    @property
    def directory(self):
        return self._directory

    @property
    def checkpoint(self):
        return self._checkpoint

    @property
    def checkpoint_interval(self):
        return self._interval

    @property
    def checkpoints(self):
        return list(self._kept)

    @property
    def latest_checkpoint(self):
        return next(reversed(self._kept), None)

    def save(self, checkpoint_number=None, check_interval=True, options=None):
        """The path of the checkpoint written; None where `checkpoint_interval` says that it is too early, and where one was
        written at this step."""
        if self._interval is not None:
            step = int(self._step_counter)
            if self._last_step is not None and (step == self._last_step
                                                or check_interval and step < self._last_step + self._interval):
                return None
            self._last_step = step
        counter = self._checkpoint.save_counter
        counter.assign_add(1)
        if checkpoint_number is None:
            checkpoint_number = counter
        path = self._checkpoint.write(f"{self._prefix}-{int(checkpoint_number)}")
        self._kept.pop(path, None)
        self._kept[path] = time.time()
        self._sweep()
        self._record()
        return path

    def _sweep(self):
        """Removes what is too old, unless it is one of those kept every so many hours."""
        for path, written in list(self._kept.items()):
            if self._most is None or len(self._kept) <= self._most:
                return
            del self._kept[path]
            if self._every and written - self._every * 3600 >= self._preserved:
                self._preserved = written
                continue
            _remove(path)

    def _record(self):
        names = [os.path.relpath(path, self._directory) for path in self._kept]
        _tenon.write_checkpoint_state(self._directory, names[-1], names, list(self._kept.values()), self._preserved)

    def restore_or_initialize(self):
        """The path of the newest checkpoint after it was restored; None where there is none."""
        if self.latest_checkpoint is not None and latest_checkpoint(self._directory):
            self._checkpoint.restore(self.latest_checkpoint)
            if self._interval is not None:
                self._last_step = int(self._step_counter)
            return self.latest_checkpoint
        if self._init_fn is not None:
            self._init_fn()
        return None


def _remove(prefix):
    folder, name = os.path.split(prefix)
    for file in os.listdir(folder or "."):
        if file == name + ".index" or file.startswith(name + ".data-"):
            os.remove(os.path.join(folder, file))
