"""TensorArray: tensors by number. A Python list where ops run, a TensorList where a function is traced."""
from tenon import _tenon, raw_ops
from tenon.tensor_shape import TensorShape
from tenon.tf import arrays


def _shape_argument(shape):
    """A partial shape as the TensorList ops take it."""
    if shape.rank is None:
        return _tenon.convert(-1, "int32")
    return _tenon.convert([-1 if d is None else d for d in shape], "int32")


class TensorArray:
    def __init__(self, dtype, size=None, dynamic_size=None, clear_after_read=None, tensor_array_name=None, handle=None,
                 flow=None, infer_shape=True, element_shape=None, colocate_with_first_write_call=True, name=None):
        self._dtype = _tenon.as_dtype(dtype)
        self._dynamic = bool(dynamic_size)
        self._clear = clear_after_read is None or bool(clear_after_read)
        self._element_shape = TensorShape(element_shape)
        self._static_size = None
        self._flow = self._values = None
        size = 0 if size is None else size
        if flow is not None:
            self._flow = flow
        elif _tenon.tracing():
            known = arrays.static_value(size)
            self._static_size = None if known is None or self._dynamic else int(known)
            self._flow = raw_ops.TensorListReserve(element_shape=_shape_argument(self._element_shape),
                                                   num_elements=_tenon.convert(size), element_dtype=self._dtype)
        else:
            self._values = [None] * int(size)

    @property
    def dtype(self):
        return self._dtype

    @property
    def dynamic_size(self):
        return self._dynamic

    @property
    def element_shape(self):
        return self._element_shape

    @property
    def flow(self):
        """The TensorList; of an array that was made where ops run, one with its tensors."""
        if self._flow is None:
            if any(v is None for v in self._values) or not self._values:
                raise ValueError("A TensorArray that was made outside of a traced function can be used in it only when "
                                 "all of its elements are written.")
            return raw_ops.TensorListFromTensor(tensor=self.stack(),
                                                element_shape=_shape_argument(self._element_shape))
        return self._flow

    def with_flow(self, flow, element_shape=None):
        """This array with other contents."""
        made = TensorArray(self._dtype, dynamic_size=self._dynamic, clear_after_read=self._clear, flow=flow,
                           element_shape=self._element_shape if element_shape is None else element_shape)
        made._static_size = self._static_size
        return made

    def identity(self):
        return self

    def grad(self, source, flow=None, name=None):
        raise NotImplementedError("Gradients of a TensorArray are taken by a tape.")

    def size(self, name=None):
        if self._flow is None:
            return _tenon.convert(len(self._values), "int32")
        if self._static_size is not None:
            return _tenon.convert(self._static_size, "int32")
        return raw_ops.TensorListLength(input_handle=self._flow)

    def _merged(self, shape):
        if not self._element_shape.is_compatible_with(shape):
            raise ValueError(f"Shapes {self._element_shape} and {shape} are incompatible: elements of a TensorArray have "
                             "one shape.")
        return self._element_shape.merge_with(shape)

    def write(self, index, value, name=None):
        value = _tenon.convert(value, None if hasattr(value, "dtype") else self._dtype)
        if value.dtype != self._dtype:
            raise ValueError(f"TensorArray dtype is {self._dtype.name} but Op is trying to write dtype "
                             f"{value.dtype.name}.")
        if self._flow is None:
            self._element_shape = self._merged(value.shape)
            index = int(index)
            if index >= len(self._values):
                if not self._dynamic:
                    from tenon.errors import OutOfRangeError
                    raise OutOfRangeError(None, None, f"Tried to write to index {index} but array is not resizeable and "
                                          f"size is: {len(self._values)}")
                self._values.extend([None] * (index + 1 - len(self._values)))
            self._values[index] = value
            return self
        flow = raw_ops.TensorListSetItem(input_handle=self._flow, index=_tenon.convert(index, "int32"), item=value,
                                         resize_if_index_out_of_bounds=self._dynamic)
        return self.with_flow(flow, self._merged(value.shape))

    def read(self, index, name=None):
        if self._flow is None:
            index = int(index)
            value = self._values[index] if index < len(self._values) else None
            if value is None:
                if index >= len(self._values) or not self._element_shape.is_fully_defined():
                    from tenon.errors import OutOfRangeError
                    raise OutOfRangeError(None, None, f"Tried to read from index {index} but nothing was written there, "
                                          f"or it was read and cleared; the size is {len(self._values)}")
                return arrays.zeros(self._element_shape, self._dtype)
            if self._clear:
                self._values[index] = None
            return value
        value = raw_ops.TensorListGetItem(input_handle=self._flow, index=_tenon.convert(index, "int32"),
                                          element_shape=_shape_argument(self._element_shape),
                                          element_dtype=self._dtype)
        if self._element_shape.rank is not None:
            value.set_shape(self._element_shape)
        return value

    def stack(self, name=None):
        if self._flow is None:
            if not self._values:
                dims = [d or 0 for d in self._element_shape] if self._element_shape.rank is not None else []
                return arrays.zeros([0] + dims, self._dtype)
            parts = [arrays.zeros(self._element_shape, self._dtype) if v is None else v for v in self._values]
            return raw_ops.Pack(values=parts)
        value = raw_ops.TensorListStack(input_handle=self._flow, element_shape=_shape_argument(self._element_shape),
                                        element_dtype=self._dtype,
                                        num_elements=-1 if self._static_size is None else self._static_size)
        if self._element_shape.rank is not None:
            value.set_shape(TensorShape([self._static_size]).concatenate(self._element_shape))
        return value

    def gather(self, indices, name=None):
        if self._flow is None:
            return raw_ops.GatherV2(params=self.stack(), indices=_tenon.convert(indices), axis=0)
        return raw_ops.TensorListGather(input_handle=self._flow, indices=_tenon.convert(indices),
                                        element_shape=_shape_argument(self._element_shape), element_dtype=self._dtype)

    def concat(self, name=None):
        stacked = self.stack()
        return arrays.reshape(stacked, raw_ops.ConcatV2(values=[[-1], arrays.shape(stacked)[2:]], axis=0))

    def unstack(self, value, name=None):
        value = _tenon.convert(value, None if hasattr(value, "dtype") else self._dtype)
        element = self._merged(value.shape[1:])
        if self._flow is None:
            self._values, self._element_shape = list(arrays.unstack(value)), element
            return self
        flow = raw_ops.TensorListFromTensor(tensor=value, element_shape=_shape_argument(element))
        made = self.with_flow(flow, element)
        if value.shape.rank is not None and not self._dynamic:
            made._static_size = value.shape[0]
        return made

    def scatter(self, indices, value, name=None):
        array = self
        for i, part in zip(arrays.unstack(indices), arrays.unstack(value)):
            array = array.write(i, part)
        return array

    def split(self, value, lengths, name=None):
        array = self
        for i, part in enumerate(arrays.split(value, lengths)):
            array = array.write(i, part)
        return array

    def close(self, name=None):
        if self._values is not None:
            self._values.clear()
