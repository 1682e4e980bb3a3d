"""Reading checkpoints by the names of their tensors."""
import os

from tenon import _tenon, errors
from tenon.tf.train import object_graph


class CheckpointReader:
    """The tensors of a checkpoint."""

    def __init__(self, prefix):
        self._prefix = prefix
        self._bundle = _tenon.open_bundle(prefix)
        self._entries = self._bundle.entries()

    @property
    def nodes(self):
        """Its objects."""
        if object_graph.KEY not in self._entries:
            raise errors.NotFoundError(None, None, f"'{self._prefix}' has no object graph: it was written by name. "
                                       "tf.train.load_checkpoint reads it.")
        try:
            return object_graph.parse(self._bundle.read(object_graph.KEY).numpy())
        except ValueError as error:
            raise errors.DataLossError(None, None, f"The object graph of '{self._prefix}' is damaged: {error}") from None

    def get_variable_to_shape_map(self):
        return {name: shape.as_list() for name, (shape, _) in self._entries.items()}

    def get_variable_to_dtype_map(self):
        return {name: dtype for name, (_, dtype) in self._entries.items()}

    def has_tensor(self, tensor_str):
        return tensor_str in self._entries

    def get_tensor(self, tensor_str):
        return self.get_tensor_value(tensor_str).numpy()

    def get_tensor_value(self, key):
        if key not in self._entries:
            raise errors.NotFoundError(None, None, f"Key {key} not found in checkpoint")
        return self._bundle.read(key)


def open_reader(prefix):
    try:
        return CheckpointReader(prefix)
    except errors.NotFoundError:
        raise errors.NotFoundError(None, None, "Unsuccessful TensorSliceReader constructor: Failed to find any matching files "
                                   f"for {prefix}") from None


def latest_checkpoint(checkpoint_dir, latest_filename=None):
    """The prefix of the folder's newest checkpoint; None where there is none."""
    state = get_checkpoint_state(checkpoint_dir)
    if state is None or not state.model_checkpoint_path:
        return None
    return state.model_checkpoint_path if os.path.exists(state.model_checkpoint_path + ".index") else None


class CheckpointState:
    """What the file `checkpoint` of a folder says, with whole paths."""

    def __init__(self, folder, newest, paths, timestamps, preserved):
        self.model_checkpoint_path = os.path.join(folder, newest) if newest else ""
        self.all_model_checkpoint_paths = [os.path.join(folder, path) for path in paths]
        self.all_model_checkpoint_timestamps = timestamps
        self.last_preserved_timestamp = preserved


def get_checkpoint_state(checkpoint_dir, latest_filename=None):
    folder = os.fspath(checkpoint_dir)
    state = _tenon.checkpoint_state(folder)
    return None if state is None else CheckpointState(folder, *state)


def load_checkpoint(ckpt_dir_or_file):
    """A reader of a checkpoint, or of the newest of a folder."""
    path = os.fspath(ckpt_dir_or_file)
    if os.path.isdir(path):
        found = latest_checkpoint(path)
        if found is None:
            raise ValueError(f"Couldn't find 'checkpoint' file or checkpoints in given directory {path}")
        path = found
    return open_reader(path)


def load_variable(ckpt_dir_or_file, name):
    """The array of that name."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file):
    """(name, shape) of all tensors, sorted by name."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())
