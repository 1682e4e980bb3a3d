"""Reading datasets."""
import atexit
import collections.abc

from tenon import _tenon, errors, nest
from tenon.tf.data import structure
from tenon.tf.data.in_graph import Elements, ReadIterator
from tenon.tf.trackable import Trackable

atexit.register(_tenon.close_pipelines)


class Iterator(Trackable, ReadIterator, collections.abc.Iterator):
    """One pass over a dataset. A checkpoint holds how many elements have been taken of it, and which pass it is."""

    def __init__(self, dataset, epoch, ids=(), values=()):
        self._dataset = dataset  # its functions and variables live as long
        self._elements = Elements(dataset.element_spec)
        self._known = list(ids), list(values)  # of traced tensors on which it depends
        self._begin(epoch)

    def _begin(self, epoch):
        self._native = _tenon.PipelineIterator(self._dataset.pipeline, epoch, *self._known)
        self._epoch, self._taken = epoch, 0

    def close(self):
        """Ends the pass: nothing comes any more."""
        self._native.close()

    def __iter__(self):
        return self._in_graph() if _tenon.tracing() else self

    def _read(self):
        tensors = self._native.next()
        self._taken += tensors is not None
        return tensors

    def _serialize_to_tensors(self):
        return {"ITERATOR_STATE": structure.constant(f"tenon {self._epoch} {self._taken}")}

    def _restore_from_tensors(self, restored):
        state = restored["ITERATOR_STATE"].numpy()
        parts = state.split() if isinstance(state, bytes) else []
        if len(parts) != 3 or parts[0] != b"tenon" or not (parts[1] + parts[2]).isdigit():
            raise errors.InvalidArgumentError(None, None, "The checkpoint holds no position of an iterator of Tenon's; "
                                              "TensorFlow's iterators write what only they can read.")
        self._begin(int(parts[1]))
        self._taken = self._native.skip(int(parts[2]))

    @property
    def element_spec(self):
        return self._dataset.element_spec

    def __next__(self):
        if _tenon.tracing():
            return self._in_graph().get_next()
        tensors = self._read()
        if tensors is None:
            raise StopIteration
        return structure.pack(self._dataset.element_spec, tensors)

    def get_next(self):
        """The next element; OutOfRangeError at the end."""
        try:
            return next(self)
        except StopIteration:
            raise errors.OutOfRangeError(None, None, "End of sequence [Op:IteratorGetNext]") from None

    def get_next_as_optional(self):
        if _tenon.tracing():
            return self._in_graph().get_next_as_optional()
        return Optional(self.element_spec, self._read())


class NumpyIterator(collections.abc.Iterator):
    """One pass over a dataset, as NumPy's arrays."""

    def __init__(self, dataset):
        for leaf in nest.flatten(dataset.element_spec):
            if isinstance(leaf, structure.DatasetSpec):
                raise TypeError("`tf.data.Dataset.as_numpy_iterator()` is not supported for datasets that produce values of "
                                f"type {leaf.value_type}")
        self._iterator = iter(dataset)

    def __next__(self):
        return structure.map_leaves(lambda leaf: leaf if leaf is None else leaf.numpy(), next(self._iterator))


class Optional:
    """An element, or none."""

    def __init__(self, element_spec, tensors):
        self._spec, self._tensors = element_spec, tensors

    @property
    def element_spec(self):
        return self._spec

    @staticmethod
    def from_value(value):
        value = structure.normalize(value)
        return Optional(structure.spec_of(value), structure.encoded(value))

    @staticmethod
    def empty(element_spec):
        return Optional(element_spec, None)

    def has_value(self, name=None):
        return _tenon.convert(self._tensors is not None)

    def get_value(self, name=None):
        if self._tensors is None:
            raise errors.InvalidArgumentError(None, None, "The given optional does not have a value.")
        return structure.pack(self._spec, self._tensors)
