"""Datasets that a traced function reads: an iterator is an object in a tensor, and each element a call of Python."""
from tenon import _tenon, errors, raw_ops
from tenon.composite import Composite, CompositeSpec
from tenon.python_function import emit
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec
from tenon.tf.data import structure

_MOST_READS = 32  # by Python, while a function is traced: TensorFlow's number


class Elements:
    """What elements are made of: the tensors that stand for one, which iterators read."""

    def __init__(self, element_spec):
        self.element_spec = element_spec

    def specs(self):
        return structure.tensor_leaves(self.element_spec)

    def packed(self, tensors):
        return structure.pack(self.element_spec, tensors)


class IteratorSpec(CompositeSpec):
    """What an iterator looks like: functions that take one are traced once for each kind of elements."""

    _shape, _dtype = TensorShape([]), _tenon.as_dtype("variant")

    def __init__(self, elements):
        self._elements = elements

    @property
    def element_spec(self):
        return self._elements.element_spec

    @property
    def value_type(self):
        from tenon.tf.data.iterator import Iterator
        return Iterator

    @property
    def _kind(self):
        return (IteratorSpec, repr(self.element_spec))

    @property
    def _component_specs(self):
        return [TensorSpec([], "variant")]

    def _from_tensors(self, tensors):
        handle, = tensors
        return GraphIterator(self._elements, handle) if handle.is_symbolic else _tenon.held_object(handle)

    def _from_specs(self, specs):
        return self

    def _with_shape(self, shape):
        return self


class ReadIterator(Composite):
    """An iterator that graphs can read too. Subclasses have `_elements`, `_read`, which takes the tensors of an element or
    gives None, and `close`."""

    @property
    def _type_spec(self):
        return IteratorSpec(self._elements)

    @property
    def _components(self):
        return [_tenon.hold_object(self)]

    def _in_graph(self):
        return begin(self._elements, lambda *_: self)


def begin(elements, iterator, symbols=()):
    """A GraphIterator over what `iterator` gives when the graph comes by: it is called with the ids of the traced tensors
    `symbols` and their values."""
    ids = [_tenon.value_id(symbol) for symbol in symbols]
    handle = emit(lambda values: [_tenon.hold_object(iterator(ids, values))], list(symbols), ["variant"], [[]])
    return GraphIterator(elements, handle[0])


class GraphIterator(Composite):
    """The pass that an iterator is in, for a graph that is being traced."""

    def __init__(self, elements, handle):
        self._elements, self._handle, self._reads = elements, handle, 0

    _type_spec = property(lambda self: IteratorSpec(self._elements))
    _components = property(lambda self: [self._handle])
    element_spec = property(lambda self: self._elements.element_spec)

    def _in_graph(self):
        return self

    def _kinds(self):
        return map(list, zip(*map(structure.dtype_and_shape, self._elements.specs())))

    def __iter__(self):
        return self

    def __next__(self):
        """Python's loops end here; AutoGraph's do not come by."""
        self._reads += 1
        if self._reads > _MOST_READS:
            raise ValueError("An unusually high number of `tf.data.Iterator.get_next()` calls was detected. This suggests that "
                             "the `for elem in dataset: ...` idiom is used within tf.function with AutoGraph disabled, or that "
                             "a comprehension or list() reads the dataset. This idiom is only supported when AutoGraph is "
                             "enabled: write a `for` statement, for a dataset has no end while a function is traced.")
        return self.get_next()

    def get_next(self):
        def following(tensors):
            parts = _tenon.held_object(tensors[0])._read()
            if parts is None:
                raise errors.OutOfRangeError(None, None, "End of sequence [Op:IteratorGetNext]")
            return parts

        return self._elements.packed(emit(following, [self._handle], *self._kinds()))

    def get_next_as_optional(self):
        return GraphOptional(self, self.optional())

    def optional(self):
        """The next element, or none, as a scalar of variants."""
        def following(tensors):
            parts = _tenon.held_object(tensors[0])._read()
            return [raw_ops.OptionalNone() if parts is None else raw_ops.OptionalFromValue(components=parts)]

        return emit(following, [self._handle], ["variant"], [[]])[0]

    def tensors(self, optional):
        """Of the element that an optional holds."""
        dtypes, shapes = self._kinds()
        parts = raw_ops.OptionalGetValue(optional=optional, output_types=dtypes, output_shapes=shapes)
        return list(parts) if isinstance(parts, (list, tuple)) else [parts]

    def element(self, optional):
        return self._elements.packed(self.tensors(optional))

    def close(self):
        """Ends the pass when the graph comes by."""
        emit(lambda tensors: _tenon.held_object(tensors[0]).close() or [], [self._handle], [])


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
