"""TensorShape: the dimensions of a tensor, as far as they are known."""
import operator


def _dimension(value):
    if value is None:
        return None
    value = operator.index(getattr(value, "value", value))
    if value < 0:
        raise ValueError(f"Dimension {value} must be >= 0")
    return value


def is_number(value):
    """Whether `value` is one integer: arrays and tensors have __index__ too, but are lists where they have dimensions."""
    return hasattr(value, "__index__") and not getattr(value, "shape", ())


class TensorShape(tuple):
    """A tuple of integers and Nones; its rank may be unknown too. Immutable."""

    _unknown = False

    def __new__(cls, dims):
        if isinstance(dims, TensorShape):
            return dims
        if dims is None:
            self = tuple.__new__(cls)
            self._unknown = True
            return self
        if is_number(dims):
            dims = (dims,)
        return tuple.__new__(cls, (d if type(d) is int and d >= 0 else _dimension(d) for d in dims))

    @property
    def rank(self):
        return None if self._unknown else tuple.__len__(self)

    ndims = rank

    @property
    def dims(self):
        return None if self._unknown else list(self)

    def as_list(self):
        if self._unknown:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self)

    def is_fully_defined(self):
        return not self._unknown and None not in tuple(self)

    def assert_is_fully_defined(self):
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def num_elements(self):
        if not self.is_fully_defined():
            return None
        count = 1
        for dim in self:
            count *= dim
        return count

    def is_compatible_with(self, other):
        other = as_shape(other)
        if self._unknown or other._unknown:
            return True
        return len(self) == len(other) and all(a is None or b is None or a == b for a, b in zip(self, other))

    def assert_is_compatible_with(self, other):
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are incompatible")

    def assert_has_rank(self, rank):
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def with_rank(self, rank):
        return self.merge_with(unknown_shape(rank))

    def with_rank_at_least(self, rank):
        if self.rank is not None and self.rank < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def merge_with(self, other):
        """What both say. ValueError where they contradict each other."""
        other = as_shape(other)
        if self._unknown:
            return other
        if other._unknown:
            return self
        self.assert_is_compatible_with(other)
        return TensorShape([b if a is None else a for a, b in zip(self, other)])

    def most_specific_compatible_shape(self, other):
        other = as_shape(other)
        if self._unknown or other._unknown or len(self) != len(other):
            return unknown_shape()
        return TensorShape([a if a == b else None for a, b in zip(self, other)])

    def concatenate(self, other):
        other = as_shape(other)
        if self._unknown or other._unknown:
            return unknown_shape()
        return TensorShape(tuple(self) + tuple(other))

    def __add__(self, other):
        return self.concatenate(other)

    def __radd__(self, other):
        return as_shape(other).concatenate(self)

    def __getitem__(self, key):
        if self._unknown:
            return unknown_shape() if isinstance(key, slice) else None
        found = tuple.__getitem__(self, key)
        return TensorShape(found) if isinstance(key, slice) else found

    def __len__(self):
        if self._unknown:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        return tuple.__len__(self)

    def __iter__(self):
        if self._unknown:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return tuple.__iter__(self)

    def __bool__(self):
        return not self._unknown

    def __eq__(self, other):
        try:
            other = as_shape(other)
        except (TypeError, ValueError):
            return NotImplemented
        return self._unknown == other._unknown and tuple.__eq__(self, other)

    def __ne__(self, other):
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self):
        return hash((self._unknown, tuple.__hash__(self)))

    def __repr__(self):
        return "TensorShape(None)" if self._unknown else f"TensorShape({list(self)})"

    def __str__(self):
        if self._unknown:
            return "<unknown>"
        return "(" + ", ".join(map(str, self)) + ("," if len(self) == 1 else "") + ")"

    def __reduce__(self):
        return TensorShape, (None if self._unknown else tuple(self),)


def as_shape(shape):
    return shape if isinstance(shape, TensorShape) else TensorShape(shape)


def unknown_shape(rank=None):
    return TensorShape(None if rank is None else [None] * rank)


def broadcast(a, b):
    """The shape of what is made of two shapes element by element; None where that is not known, or where they do not fit."""
    if a.rank is None or b.rank is None:
        return None
    longest, dims = max(a.rank, b.rank), []
    for x, y in zip([1] * (longest - a.rank) + list(a), [1] * (longest - b.rank) + list(b)):
        if None not in (x, y) and x != y and 1 not in (x, y):
            return None
        dims.append(y if x == 1 else x if y == 1 or y is None else y if x is None else x)
    return dims
