"""Checkpoint: objects and their variables in files, by the paths that lead to them, as TensorFlow writes and reads them."""
import os

from tenon import _tenon, errors, raw_ops
from tenon.tf.trackable import AutoTrackable, children_of, defer, is_structure, is_trackable, is_variable
from tenon.tf.train import object_graph
from tenon.tf.train.reader import open_reader
from tenon.variable import Variable

_ATTRIBUTES = "/.ATTRIBUTES/"


def _escaped(name):
    return name.replace(".", "..").replace("/", ".S")


class _View:
    """The objects below a root, breadth first, each with the shortest path to it."""

    def __init__(self, root, attached):
        self._attached = attached
        self._root = root
        self.objects, self.paths, self.children = [root], [()], []
        numbers = {id(root): 0}
        at = 0
        while at < len(self.objects):
            children = self.children_of(self.objects[at])
            self.children.append({})
            for name, child in children.items():
                if id(child) not in numbers:
                    numbers[id(child)] = len(self.objects)
                    self.objects.append(child)
                    self.paths.append((*self.paths[at], name))
                self.children[at][name] = numbers[id(child)]
            at += 1

    def children_of(self, value):
        children = children_of(value)
        return {**children, **self._attached} if value is self._root else children


def _tensors_of(value):
    return value._serialize_to_tensors() if hasattr(value, "_serialize_to_tensors") else {}


def _is_of_keras(value, tensor):
    """Whether it is an integer of Keras', which has 32 bits here and on TensorFlow, and so in files, 64."""
    return not is_variable(value) and getattr(tensor, "dtype", None) == "int32"


def _awaits_its_value(value):
    """Whether it is a variable of Keras', of a model that is just being built: all variables get their first values together."""
    return getattr(value, "_initializer", None) is not None and getattr(value, "_value", value) is None


def _full_name(value):
    return value.name.rsplit(":", 1)[0] if is_variable(value) else ""


def _write(view, prefix):
    """Writes the objects' values and their graph."""
    nodes, tensors = [], []
    for value, path, children in zip(view.objects, view.paths, view.children):
        node = object_graph.Node()
        node.children = children
        for name, tensor in _tensors_of(value).items():
            key = "/".join(map(_escaped, path)) + _ATTRIBUTES + name
            node.values[name] = (_full_name(value), key)
            tensors.append((key, raw_ops.Cast(x=tensor, DstT="int64") if _is_of_keras(value, tensor) else tensor))
        nodes.append(node)
    object_graph.mark_values(nodes)
    tensors.append((object_graph.KEY, object_graph.serialize(nodes)))
    folder = os.path.dirname(prefix)
    if folder:
        os.makedirs(folder, exist_ok=True)
    _tenon.write_bundle(prefix, tensors)


class _Restoration:
    """The objects of a checkpoint and what they have become."""

    def __init__(self, reader):
        self._reader = reader
        self.nodes = reader.nodes
        self.objects = {}  # by number

    def bind(self, number, value, children_of=children_of):
        """Restores the object of that number, and what is below it, to `value`."""
        if number in self.objects:
            return
        self.objects[number] = value
        node = self.nodes[number]
        self._restore(node, value)
        children = children_of(value)
        for name, child in node.children.items():
            if name in children:
                self.bind(child, children[name])
            else:
                defer(value, name, lambda found, child=child: self.bind(child, found))

    def _restore(self, node, value):
        if not node.values or not hasattr(value, "_restore_from_tensors"):
            return
        if _awaits_its_value(value):
            tensor = self._reader.get_tensor_value(next(iter(node.values.values()))[1])
            value._initializer = lambda shape, dtype: raw_ops.Cast(x=tensor, DstT=dtype)
            return
        wanted = _tensors_of(value)
        restored = {}
        for name, (_, key) in node.values.items():
            if name in wanted:
                tensor = self._reader.get_tensor_value(key)
                if tensor.dtype == "int64" and _is_of_keras(value, wanted[name]):
                    tensor = raw_ops.Cast(x=tensor, DstT="int32")
                if hasattr(wanted[name], "dtype") and tensor.dtype != wanted[name].dtype:
                    raise errors.InvalidArgumentError(
                        None, None, f"tensor_name = {key}; expected dtype {wanted[name].dtype.name} does not equal original "
                        f"dtype {tensor.dtype.name}")
                restored[name] = tensor
        if restored:
            value._restore_from_tensors(restored)


class CheckpointLoadStatus:
    """Whether a checkpoint and the objects it was restored to are alike."""

    def __init__(self, restoration, checkpoint):
        self._restoration, self._checkpoint = restoration, checkpoint

    def assert_consumed(self):
        """AssertionError unless everything in the checkpoint has found its object, and every object its value."""
        self.assert_existing_objects_matched()
        paths = {0: "(root)"}
        for number, node in enumerate(self._restoration.nodes):
            for name, child in node.children.items():
                paths.setdefault(child, f"{paths.get(number, '')}.{name}")
        for number, node in enumerate(self._restoration.nodes):
            if node.values and number not in self._restoration.objects:
                raise AssertionError(f"Unresolved object in checkpoint {paths.get(number)}: {list(node.values.values())}")
        return self

    def assert_existing_objects_matched(self):
        """AssertionError unless every object that there is has been restored."""
        bound = {id(value) for value in self._restoration.objects.values()}
        unmatched = [value for value in self._checkpoint._view().objects if id(value) not in bound
                     and not (is_structure(value) and not children_of(value))]
        if unmatched:
            shown = unmatched[:10]
            raise AssertionError(f"Found {len(unmatched)} Python objects that were not bound to checkpointed values, likely "
                                 f"due to changes in the Python program. Showing {len(shown)} of {len(unmatched)} unmatched "
                                 f"objects: {shown}")
        return self

    def assert_nontrivial_match(self):
        """AssertionError unless something beside the root has been restored."""
        if not any(number for number in self._restoration.objects):
            raise AssertionError("Nothing except the root object matched a checkpointed value.")
        return self

    def expect_partial(self):
        """Says that not everything has to match."""
        return self

    def initialize_or_restore(self, session=None):
        """Values are restored as soon as there are objects for them."""

    run_restore_ops = initialize_or_restore


class InitializationOnlyStatus:
    """Nothing was restored."""

    def assert_consumed(self):
        raise AssertionError("No checkpoint specified (save_path=None); nothing is being restored.")

    assert_existing_objects_matched = assert_nontrivial_match = assert_consumed

    def expect_partial(self):
        return self

    def initialize_or_restore(self, session=None):
        pass

    run_restore_ops = initialize_or_restore


class CheckpointOptions:
    """How checkpoints are written; nothing of it changes what is written."""

    def __init__(self, experimental_io_device=None, experimental_enable_async_checkpoint=False,
                 experimental_write_callbacks=None, enable_async=False, **others):
        self.experimental_io_device = experimental_io_device
        self.experimental_enable_async_checkpoint = self.enable_async = enable_async or experimental_enable_async_checkpoint
        self.experimental_write_callbacks = experimental_write_callbacks


class Checkpoint(AutoTrackable):
    """Saves and restores objects, given by name or as `root`, with all that they hold."""

    def __init__(self, root=None, **kwargs):
        attributes = vars(self)
        attributes["_root"], attributes["_save_counter"] = root, None
        if root is not None and not is_trackable(root):
            raise _no_trackable("root", root)
        for name, value in kwargs.items():
            if not is_trackable(value):
                raise _no_trackable(name, value)
            if root is not None and children_of(root).get(name, value) is not value:
                raise ValueError(f"Cannot create a Checkpoint with keyword argument {name} if root.{name} already exists.")
            setattr(self, name, value)

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        own = {name: value for name, value in vars(self).items()
               if name not in ("_root", "_save_counter", "_deferred_restorations") and is_trackable(value)}
        if self._save_counter is not None:
            own["save_counter"] = self._save_counter
        return own

    def _view(self):
        return _View(self, {}) if self._root is None else _View(self._root, self._trackable_children())

    @property
    def save_counter(self):
        """How often save() was called."""
        self._make_save_counter()
        return self._save_counter

    def _make_save_counter(self):
        if self._save_counter is None:
            vars(self)["_save_counter"] = Variable(0, trainable=False, name="save_counter", dtype="int64")
            holder = self if self._root is None else self._root
            for restoration in vars(holder).get("_deferred_restorations", {}).pop("save_counter", []):
                restoration(self._save_counter)

    def write(self, file_prefix, options=None):
        """Writes `file_prefix` and nothing else; read() reads it."""
        prefix = os.fspath(file_prefix)
        _write(self._view(), prefix)
        return prefix

    def save(self, file_prefix, options=None):
        """Writes `file_prefix`-N, where N counts, and names it the newest of its folder. Returns its path."""
        prefix = os.fspath(file_prefix)
        counter = self.save_counter
        counter.assign_add(1)
        path = self.write(f"{prefix}-{int(counter)}")
        folder, name = os.path.split(path)
        _tenon.write_checkpoint_state(folder or ".", name, [name], [], 0.0)
        return path

    def read(self, save_path, options=None):
        """Restores what write() wrote."""
        reader = open_reader(os.fspath(save_path))
        restoration = _Restoration(reader)
        view = self._view()
        restoration.bind(0, self if self._root is None else self._root, view.children_of)
        return CheckpointLoadStatus(restoration, self)

    def restore(self, save_path, options=None):
        """Restores what save() wrote: variables at once, those that come later as soon as they are there."""
        if save_path is None:
            return InitializationOnlyStatus()
        save_path = os.fspath(save_path)
        self._make_save_counter()
        try:
            return self.read(save_path)
        except errors.NotFoundError as error:
            raise errors.NotFoundError(
                None, None, f"Error when restoring from checkpoint or SavedModel at {save_path}: {error}\nPlease "
                "double-check that the path is correct. You may be missing the checkpoint suffix (e.g. the '-1' in "
                "'path/to/ckpt-1').") from None


def _no_trackable(name, value):
    return ValueError(f"`Checkpoint` was expecting {name} to be a trackable object (an object derived from `Trackable`), got "
                      f"{value}. If you believe this object should be trackable (i.e. it is part of the TensorFlow Python API "
                      "and manages state), please open an issue.")
