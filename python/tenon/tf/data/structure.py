"""What elements of datasets are made of: tuples and dictionaries of tensors, ragged and sparse ones too, and of datasets.

A list is one tensor. In the pipeline a ragged or sparse tensor is one tensor of variants or texts, of which batches are made
as of others.
"""
from tenon import _tenon, nest
from tenon.composite import CompositeSpec, CompositeTensor
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec, TypeSpec


class DatasetSpec(TypeSpec):
    """A dataset as a component of an element."""

    def __init__(self, element_spec, dataset_shape=()):
        self._element_spec, self._shape = element_spec, TensorShape(dataset_shape)

    @property
    def element_spec(self):
        return self._element_spec

    @property
    def value_type(self):
        from tenon.tf.data.dataset import Dataset
        return Dataset

    def is_compatible_with(self, other):
        return isinstance(other, DatasetSpec) and compatible(self._element_spec, other._element_spec)

    def __eq__(self, other):
        return isinstance(other, DatasetSpec) and self._element_spec == other._element_spec

    def __hash__(self):
        return hash(DatasetSpec)

    def __repr__(self):
        return f"DatasetSpec({self._element_spec!r}, {self._shape!r})"


class NoneTensorSpec(TypeSpec):
    """None as a component of an element."""

    def is_compatible_with(self, other):
        return isinstance(other, NoneTensorSpec)

    def __eq__(self, other):
        return isinstance(other, NoneTensorSpec)

    def __hash__(self):
        return hash(NoneTensorSpec)

    def __repr__(self):
        return "NoneTensorSpec()"


def constant(value, dtype=None):
    """A tensor of Python's data that has its value even while a function is traced."""
    _tenon.push_eager()
    try:
        return _tenon.convert(value, dtype)
    finally:
        _tenon.pop_eager()


def compatible(a, b):
    """Whether elements of both kinds can stand in one dataset."""
    try:
        nest.assert_same_structure(a, b)
    except (TypeError, ValueError):
        return False
    return all(x.dtype == y.dtype if isinstance(x, TensorSpec) and isinstance(y, TensorSpec) else x.is_compatible_with(y)
               for x, y in zip(nest.flatten(a), nest.flatten(b)))


def map_leaves(function, value):
    """`value` with `function` of each of its leaves; only tuples and dictionaries have leaves below them."""
    if isinstance(value, dict) or (isinstance(value, tuple) and not isinstance(value, TensorShape)):
        return nest._rebuild(value, [map_leaves(function, child) for child in nest._children(value)])
    return function(value)


def normalize(value):
    """`value` with tensors, datasets and None for leaves."""
    from tenon.tf.data.dataset import Dataset
    return map_leaves(lambda leaf: leaf if leaf is None or isinstance(leaf, (Dataset, CompositeTensor))
                      else _tenon.convert(leaf), value)


def spec_of(element):
    """The specs of what normalize() gave."""
    def spec(leaf):
        if leaf is None:
            return NoneTensorSpec()
        if isinstance(leaf, CompositeTensor):
            return leaf._type_spec
        return TensorSpec(leaf.shape, leaf.dtype) if isinstance(leaf, _tenon.Tensor) else DatasetSpec(leaf.element_spec)

    return map_leaves(spec, element)


def tensor_leaves(spec):
    """The leaves for which an element has a tensor."""
    return [leaf for leaf in nest.flatten(spec) if not isinstance(leaf, NoneTensorSpec)]


class Row(CompositeTensor):
    """A tensor of an element of which batches are ragged."""

    def __init__(self, tensor, spec):
        self.tensor, self._type_spec, self._components = tensor, spec, [tensor]


def encoded(element, rows=False):
    """The tensors that the pipeline has for what normalize() gave, each with a first dimension of rows if so."""
    def tensor(leaf):
        if isinstance(leaf, CompositeTensor):
            return leaf._type_spec._encode(leaf.tensor if isinstance(leaf, Row) else leaf, rows)
        return leaf

    return [tensor(leaf) for leaf in nest.flatten(element) if leaf is not None]


def has_composites(spec):
    return any(isinstance(leaf, CompositeSpec) for leaf in nest.flatten(spec))


def dtype_and_shape(leaf):
    if isinstance(leaf, CompositeSpec):
        return leaf._encoded_dtype, TensorShape(None)
    return ("variant", TensorShape([])) if isinstance(leaf, DatasetSpec) else (leaf.dtype, leaf.shape)


def pack(spec, tensors):
    """The element of these tensors."""
    tensors = iter(tensors)

    def value(leaf):
        if isinstance(leaf, NoneTensorSpec):
            return None
        tensor = next(tensors)
        if isinstance(leaf, DatasetSpec):
            from tenon.tf.data.dataset import dataset_in
            return dataset_in(tensor, leaf.element_spec)
        return leaf._decode(tensor) if isinstance(leaf, CompositeSpec) else tensor

    if isinstance(spec, TensorSpec):
        return next(tensors)
    return map_leaves(value, spec)


def map_shapes(function, spec, of_composite=None):
    """`spec` with the shapes that `function` makes of its leaves' shapes, and the specs that `of_composite` makes of those of
    ragged and sparse tensors."""
    def changed(leaf):
        if of_composite is not None and isinstance(leaf, CompositeSpec):
            return of_composite(leaf)
        return TensorSpec(function(leaf.shape), leaf.dtype) if isinstance(leaf, TensorSpec) else leaf

    return map_leaves(changed, spec)


def common(a, b):
    """What elements of both kinds have in common."""
    def widest(x, y):
        if isinstance(x, CompositeSpec):
            return x.most_specific_common_supertype([y])
        if not isinstance(x, TensorSpec):
            return x
        return TensorSpec(x.shape.most_specific_compatible_shape(y.shape), x.dtype)

    others = iter(nest.flatten(b))
    return map_leaves(lambda leaf: widest(leaf, next(others)), a)


def signature(types, shapes):
    """The specs of elements from types and shapes of one structure."""
    if shapes is None:
        return map_leaves(lambda dtype: TensorSpec(None, dtype), types)

    def pair(dtype, shape):
        if isinstance(dtype, dict):
            return type(dtype)((key, pair(dtype[key], shape[key])) for key in dtype)
        if isinstance(dtype, tuple):
            return tuple(map(pair, dtype, shape))
        return TensorSpec(shape, dtype)

    return pair(types, shapes)


def row_shape(shape):
    """The shape of one of the elements that are stacked in a tensor of this shape."""
    if shape.rank == 0:
        raise ValueError("Cannot unbatch an input with scalar components.")
    return shape if shape.rank is None else shape[1:]


def without_datasets(element):
    """The element, which has to consist of tensors."""
    from tenon.tf.data.dataset import Dataset
    for leaf in nest.flatten(element):
        if isinstance(leaf, Dataset):
            raise TypeError("A dataset within a dataset's tensors is not supported: use `zip`, `window` or `flat_map`.")
    return element
