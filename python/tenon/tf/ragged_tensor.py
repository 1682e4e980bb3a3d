"""RaggedTensor: rows of different lengths, as the values of all rows and the places where rows begin and end."""
from tenon import _tenon, raw_ops
from tenon.composite import CompositeTensor
from tenon.tensor_shape import TensorShape


def cast(x, dtype):
    x = _tenon.convert(x)
    return x if x.dtype == dtype else raw_ops.Cast(x=x, DstT=dtype)


def rows_of(x, dtype="int64"):
    """How many rows a tensor or a ragged tensor has."""
    if isinstance(x, RaggedTensor):
        return cast(x.nrows(), dtype)
    return raw_ops.Shape(input=x, out_type=dtype)[0]


def static_number(value):
    """The integer that a number or a tensor is, where that is known."""
    if isinstance(value, int):
        return value
    from tenon.tf.arrays import static_value
    known = static_value(value) if isinstance(value, _tenon.Tensor) else value
    return None if known is None else int(known)


def convert(values, dtype=None):
    """Values as a tensor or a ragged tensor."""
    return values if isinstance(values, RaggedTensor) else _tenon.convert(values, dtype)


def _splits_vector(value, dtype=None):
    """Splits, lengths or ids: a vector of int32 or int64."""
    given = isinstance(value, _tenon.Tensor) or hasattr(value, "dtype")
    value = _tenon.convert(value, None if given else dtype or "int64")
    if value.dtype not in ("int32", "int64"):
        value = cast(value, "int64")
    if value.shape.rank not in (1, None):
        raise ValueError(f"Shape {value.shape} must have rank 1")
    return value


def running_total(lengths):
    return raw_ops.ConcatV2(values=[_tenon.convert([0], lengths.dtype), raw_ops.Cumsum(x=lengths, axis=0)], axis=0)


def places_in_rows(ragged, rowids):
    """Where in its row each value stands: [0, 1, 0, 1, 2] for rows of two and of three. `rowids` are its value_rowids()."""
    splits = ragged.row_splits
    values = raw_ops.Range(start=_tenon.convert(0, splits.dtype), limit=splits[-1], delta=_tenon.convert(1, splits.dtype))
    return values - raw_ops.GatherV2(params=splits, indices=rowids, axis=0)


def _check(condition, message):
    """InvalidArgumentError where it does not hold, when that is known."""
    raw_ops.Assert(condition=raw_ops.All(input=condition, axis=list(range(condition.shape.rank or 0))), data=[message],
                   summarize=3)


class RaggedTensor(CompositeTensor):
    """A tensor with dimensions whose slices have different lengths. Made by RaggedTensor.from_* and tf.ragged.*; immutable."""

    def __init__(self, values, row_partition, internal=False):
        raise ValueError("RaggedTensor constructor is private; please use one of the factory methods instead (e.g., "
                         "RaggedTensor.from_row_lengths())")

    @classmethod
    def _make(cls, values, row_splits, uniform_row_length=None, value_rowids=None):
        """`uniform_row_length`: the length of all rows, where they have one; a number or a tensor."""
        made = object.__new__(cls)
        if isinstance(values, RaggedTensor):
            splits_dtype = values.row_splits.dtype
            if row_splits.dtype != splits_dtype:
                row_splits, values = cast(row_splits, "int64"), values.with_row_splits_dtype("int64")
                value_rowids = None if value_rowids is None else cast(value_rowids, "int64")
        made._values, made._row_splits, made._uniform = values, row_splits, uniform_row_length
        made._rowids = value_rowids
        return made

    # Making them.

    @classmethod
    def from_row_splits(cls, values, row_splits, name=None, validate=True):
        row_splits = _splits_vector(row_splits)
        if row_splits.shape.rank == 1 and row_splits.shape[0] == 0:
            raise ValueError("row_splits may not be empty.")
        values = convert(values)
        if validate:
            _check(row_splits[:1] == 0, "Arguments to _from_row_partition do not form a valid RaggedTensor: row_splits must "
                   "begin with 0")
            _check(row_splits[1:] >= row_splits[:-1], "Arguments to from_row_splits do not form a valid RaggedTensor: "
                   "row_splits must be monotonic")
            _check(raw_ops.Equal(x=row_splits[-1], y=rows_of(values, row_splits.dtype)),
                   "Arguments to from_row_splits do not form a valid RaggedTensor: row_splits must end with the number of "
                   "values")
        return cls._make(values, row_splits)

    @classmethod
    def from_row_lengths(cls, values, row_lengths, name=None, validate=True):
        row_lengths = _splits_vector(row_lengths)
        if validate:
            _check(row_lengths >= 0, "Arguments to from_row_lengths do not form a valid RaggedTensor: row_lengths must be "
                   "nonnegative")
        return cls.from_row_splits(values, running_total(row_lengths), validate=validate)

    @classmethod
    def from_row_starts(cls, values, row_starts, name=None, validate=True):
        values, row_starts = convert(values), _splits_vector(row_starts)
        end = raw_ops.Reshape(tensor=rows_of(values, row_starts.dtype), shape=[1])
        return cls.from_row_splits(values, raw_ops.ConcatV2(values=[row_starts, end], axis=0), validate=validate)

    @classmethod
    def from_row_limits(cls, values, row_limits, name=None, validate=True):
        row_limits = _splits_vector(row_limits)
        zero = _tenon.convert([0], row_limits.dtype)
        return cls.from_row_splits(values, raw_ops.ConcatV2(values=[zero, row_limits], axis=0), validate=validate)

    @classmethod
    def from_value_rowids(cls, values, value_rowids, nrows=None, name=None, validate=True):
        value_rowids = _splits_vector(value_rowids)
        values, dtype = convert(values), value_rowids.dtype
        if nrows is None:
            nrows = raw_ops.Max(input=raw_ops.ConcatV2(values=[value_rowids + 1, _tenon.convert([0], dtype)], axis=0),
                                axis=0, keep_dims=False)
        else:
            known = static_number(nrows)
            if known is not None and known < 0:
                raise ValueError(f"Expected nrows >= 0; got {known}")
        nrows = cast(_tenon.convert(nrows), dtype)
        if validate:
            _check(value_rowids[1:] >= value_rowids[:-1], "Arguments to from_value_rowids do not form a valid RaggedTensor: "
                   "value_rowids must be sorted")
            _check(raw_ops.Equal(x=rows_of(value_rowids), y=rows_of(values)), "Arguments to from_value_rowids do not form "
                   "a valid RaggedTensor: as many ids as values")
            _check(raw_ops.LogicalAnd(x=value_rowids >= 0, y=value_rowids < nrows), "Arguments to from_value_rowids do not "
                   "form a valid RaggedTensor: ids are from 0 to nrows - 1")
        ones = raw_ops.OnesLike(x=value_rowids)
        lengths = raw_ops.UnsortedSegmentSum(data=ones, segment_ids=value_rowids, num_segments=nrows)
        return cls._make(values, running_total(lengths), value_rowids=value_rowids)

    @classmethod
    def from_uniform_row_length(cls, values, uniform_row_length, nrows=None, validate=True, name=None):
        values = convert(values)
        dtype = values.row_splits.dtype if isinstance(values, RaggedTensor) else "int64"
        known = static_number(uniform_row_length)
        if known is not None and known < 0:
            raise ValueError(f"Argument `uniform_row_length` must be >= 0. Got {known}")
        length = cast(_tenon.convert(uniform_row_length), dtype)
        rows = values.shape[0] if values.shape.rank else None
        if known and rows is not None and nrows is None and rows % known:
            raise ValueError(f"The {rows} values can not be cut into rows of {known}.")
        count = rows_of(values, dtype)
        if nrows is None:
            if known == 0:
                nrows = _tenon.convert(0, dtype)
            else:
                nrows = raw_ops.FloorDiv(x=count, y=length)
        nrows = cast(_tenon.convert(nrows), dtype)
        if validate:
            _check(raw_ops.Equal(x=nrows * length, y=count), "Arguments to from_uniform_row_length do not form a valid "
                   "RaggedTensor: the number of values must be a multiple of the length")
        splits = raw_ops.Range(start=_tenon.convert(0, dtype), limit=nrows + 1, delta=_tenon.convert(1, dtype)) * length
        return cls._make(values, splits, known if known is not None else length)

    @classmethod
    def from_nested_row_splits(cls, flat_values, nested_row_splits, name=None, validate=True):
        made = convert(flat_values)
        for splits in reversed(list(nested_row_splits)):
            made = cls.from_row_splits(made, splits, validate=validate)
        return made

    @classmethod
    def from_nested_row_lengths(cls, flat_values, nested_row_lengths, name=None, validate=True):
        made = convert(flat_values)
        for lengths in reversed(list(nested_row_lengths)):
            made = cls.from_row_lengths(made, lengths, validate=validate)
        return made

    @classmethod
    def from_nested_value_rowids(cls, flat_values, nested_value_rowids, nested_nrows=None, name=None, validate=True):
        made, ids = convert(flat_values), list(nested_value_rowids)
        for rowids, nrows in reversed(list(zip(ids, nested_nrows or [None] * len(ids)))):
            made = cls.from_value_rowids(made, rowids, nrows, validate=validate)
        return made

    @classmethod
    def from_tensor(cls, tensor, lengths=None, padding=None, ragged_rank=1, name=None, row_splits_dtype="int64"):
        from tenon.tf.ragged_conversion import from_tensor
        return from_tensor(tensor, lengths, padding, ragged_rank, row_splits_dtype)

    @classmethod
    def from_sparse(cls, st_input, name=None, row_splits_dtype="int64"):
        from tenon.tf.ragged_conversion import from_sparse
        return from_sparse(st_input, row_splits_dtype)

    # What they are made of.

    @property
    def values(self):
        return self._values

    @property
    def flat_values(self):
        return self._values.flat_values if isinstance(self._values, RaggedTensor) else self._values

    @property
    def row_splits(self):
        return self._row_splits

    @property
    def nested_row_splits(self):
        return (self._row_splits,) + (self._values.nested_row_splits if isinstance(self._values, RaggedTensor) else ())

    @property
    def ragged_rank(self):
        return 1 + (self._values.ragged_rank if isinstance(self._values, RaggedTensor) else 0)

    @property
    def uniform_row_length(self):
        return None if self._uniform is None else cast(_tenon.convert(self._uniform), self._row_splits.dtype)

    @property
    def dtype(self):
        return self._values.dtype

    @property
    def shape(self):
        splits, values = self._row_splits.shape, self._values.shape
        rows = splits[0] if splits.rank == 1 else None
        if values.rank is None:
            return TensorShape(None)
        length = self._uniform if isinstance(self._uniform, int) else None
        return TensorShape([None if rows is None else rows - 1, length] + values.as_list()[1:])

    def get_shape(self):
        return self.shape

    def row_starts(self, name=None):
        return self._row_splits[:-1]

    def row_limits(self, name=None):
        return self._row_splits[1:]

    def row_lengths(self, axis=1, name=None):
        if axis == 0:
            return self.nrows()
        if axis == 1:
            return self._row_splits[1:] - self._row_splits[:-1]
        if isinstance(self._values, RaggedTensor):
            return self.with_values(self._values.row_lengths(axis - 1))
        shape = raw_ops.Shape(input=self._values, out_type=self._row_splits.dtype)
        lengths = raw_ops.Fill(dims=shape[:axis - 1], value=shape[axis - 1])
        return self.with_values(lengths)

    def nested_row_lengths(self, name=None):
        return tuple(level.row_lengths() for level in self._levels())

    def nrows(self, out_type=None, name=None):
        known = self._row_splits.shape
        if known.rank == 1 and known[0] is not None:
            return _tenon.convert(known[0] - 1, out_type or self._row_splits.dtype)
        return cast(rows_of(self._row_splits), out_type or self._row_splits.dtype) - 1

    def value_rowids(self, name=None):
        """The row of each value."""
        if self._rowids is None:
            dtype = self._row_splits.dtype
            values = raw_ops.Range(start=_tenon.convert(0, dtype), limit=self._row_splits[-1], delta=_tenon.convert(1, dtype))
            found = raw_ops.Reshape(tensor=raw_ops.UpperBound(  # as many rows end before a value as its row has before it
                sorted_inputs=raw_ops.ExpandDims(input=self._row_splits[1:], axis=0),
                values=raw_ops.ExpandDims(input=values, axis=0), out_type=dtype), shape=[-1])
            if found.is_symbolic:  # it belongs to this trace
                return found
            self._rowids = found
        return self._rowids

    def nested_value_rowids(self, name=None):
        return tuple(level.value_rowids() for level in self._levels())

    def _levels(self):
        return (self,) + (self._values._levels() if isinstance(self._values, RaggedTensor) else ())

    def bounding_shape(self, axis=None, name=None, out_type=None):
        """The shape of the smallest tensor that holds all rows."""
        dtype = out_type or self._row_splits.dtype
        lengths = [raw_ops.Max(input=raw_ops.ConcatV2(values=[_tenon.convert([0], level.row_splits.dtype),
                                                              level.row_lengths()], axis=0), axis=0, keep_dims=False)
                   for level in self._levels()]
        inner = raw_ops.Shape(input=self.flat_values, out_type=dtype)[1:]
        bounds = raw_ops.ConcatV2(values=[raw_ops.Pack(values=[cast(n, dtype) for n in [self.nrows(), *lengths]]), inner],
                                  axis=0)
        if axis is None:
            return bounds
        return raw_ops.GatherV2(params=bounds, indices=axis, axis=0)

    # The same rows with other values.

    def with_values(self, new_values):
        new_values = convert(new_values)
        return RaggedTensor._make(new_values, self._row_splits, self._uniform, self._rowids)

    def with_flat_values(self, new_values):
        if isinstance(self._values, RaggedTensor):
            new_values = self._values.with_flat_values(new_values)
        return self.with_values(new_values)

    def with_row_splits_dtype(self, dtype):
        dtype = _tenon.as_dtype(dtype)
        if self._row_splits.dtype == dtype:
            return self
        values = self._values.with_row_splits_dtype(dtype) if isinstance(self._values, RaggedTensor) else self._values
        uniform = self._uniform if isinstance(self._uniform, (int, type(None))) else cast(self._uniform, dtype)
        return RaggedTensor._make(values, cast(self._row_splits, dtype), uniform,
                                  None if self._rowids is None else cast(self._rowids, dtype))

    def merge_dims(self, outer_axis, inner_axis):
        from tenon.tf.ragged_conversion import merge_dims
        rank = self.shape.rank
        outer_axis, inner_axis = (a + rank if a < 0 else a for a in (outer_axis, inner_axis))
        if outer_axis > inner_axis:
            raise ValueError(f"Expected outer_axis ({outer_axis}) to be less than or equal to inner_axis ({inner_axis})")
        return merge_dims(self, outer_axis, inner_axis)

    # As other things.

    def to_tensor(self, default_value=None, name=None, shape=None):
        from tenon.tf.ragged_conversion import to_tensor
        return to_tensor(self, default_value, shape)

    def to_sparse(self, name=None):
        from tenon.tf.sparse_tensor import SparseTensor
        return SparseTensor(*raw_ops.RaggedTensorToSparse(rt_nested_splits=list(self.nested_row_splits),
                                                          rt_dense_values=self.flat_values))

    def to_list(self):
        """Lists of the rows."""
        self._need_value("to_list")
        if isinstance(self._values, RaggedTensor):
            values = self._values.to_list()
        else:
            values = self._values.numpy().tolist()
        splits = self._row_splits.numpy().tolist()
        return [values[a:b] for a, b in zip(splits, splits[1:])]

    def numpy(self):
        """An array of arrays; of numbers where all rows are of one length."""
        import numpy as np
        self._need_value("numpy")
        values, splits = self._values.numpy(), self._row_splits.numpy()
        rows = [values[a:b] for a, b in zip(splits, splits[1:])]
        if not rows:
            return np.zeros((0, 0) + values.shape[1:], dtype=values.dtype)
        if len({row.shape for row in rows}) == 1 and rows[0].dtype != object or all(
                row.dtype == object and row.shape == rows[0].shape and self.dtype == "string" for row in rows):
            return np.stack(rows)
        made = np.empty(len(rows), dtype=object)
        for i, row in enumerate(rows):
            made[i] = row
        return made

    def _need_value(self, method):
        if self.is_symbolic:
            raise ValueError(f"{method}() is only supported in eager mode: while a function is traced a ragged tensor has no "
                             "rows yet.")

    @property
    def _components(self):
        return [self.flat_values, *self.nested_row_splits]

    @property
    def _type_spec(self):
        from tenon.tf.ragged_spec import RaggedTensorSpec
        return RaggedTensorSpec.from_value(self)

    def consumers(self):
        return []

    def __getitem__(self, key):
        from tenon.tf.ragged_index import getitem
        return getitem(self, key)

    def __len__(self):
        raise TypeError("object of type 'RaggedTensor' has no len()")

    def __iter__(self):
        known = self.shape[0]
        if known is None:
            from tenon.errors import OperatorNotAllowedInGraphError
            raise OperatorNotAllowedInGraphError("Iterating over a symbolic ragged tensor is not allowed: the number of its "
                                                 "rows is not known while a function is traced.")
        return iter([self[i] for i in range(known)])

    def __bool__(self):
        raise TypeError("RaggedTensor may not be used as a boolean.")

    def __repr__(self):
        if self.is_symbolic:
            return f"tf.RaggedTensor(values={self._values}, row_splits={self._row_splits})"
        return f"<tf.RaggedTensor {_shown(self)}>"

    def __str__(self):
        return repr(self)

    def __reduce__(self):
        return _unpickled, (self.flat_values, list(self.nested_row_splits),
                            [level._uniform for level in self._levels()])

    def __deepcopy__(self, memo):
        return self

    def __copy__(self):
        return self



def _unpickled(flat_values, nested_row_splits, uniform):
    for splits, length in zip(reversed(nested_row_splits), reversed(uniform)):
        flat_values = RaggedTensor._make(flat_values, splits, length)
    return flat_values


def _shown(ragged):
    """The rows as NumPy prints them."""
    import numpy as np

    def text(rows):
        if isinstance(rows, list):
            return "[" + ", ".join(map(text, rows)) + "]"
        return repr(rows)

    if ragged.dtype == "string":
        return text(ragged.to_list())
    rows = ragged.to_list()
    if ragged.dtype.is_floating:
        kind = ragged.dtype.as_numpy_dtype

        def number(value):
            return [number(each) for each in value] if isinstance(value, list) else _Shown(np.array(value).astype(kind))

        return text(number(rows))
    return text(rows)


class _Shown:
    def __init__(self, value):
        self._value = value

    def __repr__(self):
        return str(self._value)
