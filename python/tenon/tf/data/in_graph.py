"""Datasets that a traced function reads: an iterator is an object in a tensor, and each element a call of Python."""
from tenon import _tenon, errors, raw_ops
from tenon.python_function import emit
from tenon.tf.data import structure


class GraphIterator:
    """One pass over a dataset, or the pass that an iterator is in, by the graph that is being traced."""

    def __init__(self, dataset, iterator=None):
        """`iterator`: None for a pass of its own, which begins where the graph comes by here."""
        self._spec = dataset.element_spec
        symbols = [] if iterator is not None else dataset.symbols
        ids = [_tenon.value_id(symbol) for symbol in symbols]

        def begin(tensors):
            return [_tenon.hold_object(iterator if iterator is not None else dataset._pass(ids, tensors))]

        self._handle = emit(begin, symbols, ["variant"], [[]])

    @property
    def element_spec(self):
        return self._spec

    def __iter__(self):
        return self

    def optional(self):
        """The next element, or none, as a scalar of variants."""
        def following(tensors):
            parts = _tenon.held_object(tensors[0])._next()
            return [raw_ops.OptionalNone() if parts is None else raw_ops.OptionalFromValue(components=parts)]

        return emit(following, self._handle, ["variant"], [[]])[0]

    def element(self, optional):
        """The element that an optional holds."""
        kinds = [structure.dtype_and_shape(leaf) for leaf in structure.tensor_leaves(self._spec)]
        parts = raw_ops.OptionalGetValue(optional=optional, output_types=[dtype for dtype, _ in kinds],
                                         output_shapes=[shape for _, shape in kinds])
        return structure.pack(self._spec, list(parts) if isinstance(parts, (list, tuple)) else [parts])

    def __next__(self):
        def following(tensors):
            parts = _tenon.held_object(tensors[0])._next()
            if parts is None:
                raise errors.OutOfRangeError(None, None, "End of sequence [Op:IteratorGetNext]")
            return parts

        kinds = [structure.dtype_and_shape(leaf) for leaf in structure.tensor_leaves(self._spec)]
        return structure.pack(self._spec, emit(following, self._handle, *map(list, zip(*kinds))))

    def get_next(self):
        return next(self)

    def get_next_as_optional(self):
        return GraphOptional(self, self.optional())


class GraphOptional:
    """An element, or none, that a traced function has."""

    def __init__(self, iterator, optional):
        self._iterator, self._optional = iterator, optional

    @property
    def element_spec(self):
        return self._iterator.element_spec

    def has_value(self, name=None):
        return raw_ops.OptionalHasValue(optional=self._optional)

    def get_value(self, name=None):
        return self._iterator.element(self._optional)


def graph_iterator(value):
    """The GraphIterator for a dataset, or for an iterator of one; None for anything else."""
    from tenon.tf.data.dataset import Dataset
    from tenon.tf.data.iterator import Iterator
    if isinstance(value, Dataset):
        return GraphIterator(value)
    if isinstance(value, Iterator):
        return GraphIterator(value._dataset, value)
    return value if isinstance(value, GraphIterator) else None
