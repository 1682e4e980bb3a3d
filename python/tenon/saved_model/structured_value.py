"""StructuredValue: nested Python values and specs of tensors, in and out of their wire format."""
import collections
import struct

from tenon import _tenon, raw_ops, wire
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec

# Field numbers of StructuredValue: the kinds of values.
_NONE, _FLOAT, _INT, _STRING, _BOOL = 1, 11, 12, 13, 14
_SHAPE, _DTYPE, _TENSOR_SPEC, _TYPE_SPEC, _BOUNDED_SPEC = 31, 32, 33, 34, 35
_LIST, _TUPLE, _DICT, _NAMED_TUPLE, _TENSOR, _ARRAY = 51, 52, 53, 54, 55, 56
# TypeSpecProto.TypeSpecClass.
_SPARSE, _RAGGED, _VARIABLE = 1, 3, 9
_DEPTH = 64  # more than this is no structure that a function takes


class NotEncodable(TypeError):
    """A value that files can not hold."""


class NotKnown(ValueError):
    """A value of a kind that is not known here."""


def decode_shape(data):
    dims = []
    for number, kind, value in wire.fields(data):
        if number == 3 and value:
            return TensorShape(None)
        if number == 2 and kind == wire.BYTES:
            size = wire.signed(wire.fields_by_number(value).get(1, 0))
            dims.append(None if size < 0 else size)
    return TensorShape(dims)


def encode_shape(shape):
    if shape.rank is None:
        return wire.varint_field(3, 1)
    return b"".join(wire.bytes_field(2, wire.varint_field(1, -1 if size is None else size)) for size in shape.as_list())


def decode_tensor(message):
    """The tensor of a TensorProto."""
    return raw_ops.ParseTensor(serialized=message, out_type=_tenon.as_dtype(wire.fields_by_number(message).get(1, 0)))


def _tensor_spec(parts):
    name = parts.get(1, b"").decode()
    return TensorSpec(decode_shape(parts.get(2, b"")), _tenon.as_dtype(parts.get(3, 0)), name or None)


def decode(data, depth=0):
    """The value; ValueError where the bytes hold none that is known here."""
    if depth > _DEPTH:
        raise ValueError("A structure is nested too deeply.")
    kind = value = None
    for number, wire_type, each in wire.fields(data):
        kind, value = number, each
        if (number in (_INT, _BOOL, _DTYPE)) != (wire_type == wire.VARINT) or (number == _FLOAT) != (wire_type == wire.FIXED64):
            raise ValueError(f"A structured value of kind {number} has the wire type {wire_type}.")
    if kind == _NONE:
        return None
    if kind == _FLOAT:
        return struct.unpack("<d", value.to_bytes(8, "little"))[0]
    if kind == _INT:
        return (value >> 1) ^ -(value & 1)
    if kind == _STRING:
        return value.decode()
    if kind == _BOOL:
        return bool(value)
    if kind == _SHAPE:
        return decode_shape(value)
    if kind == _DTYPE:
        return _tenon.as_dtype(value)
    if kind in (_TENSOR_SPEC, _BOUNDED_SPEC):
        return _tensor_spec(wire.fields_by_number(value))
    if kind == _TYPE_SPEC:
        return _decode_type_spec(wire.fields_by_number(value), depth)
    if kind in (_LIST, _TUPLE):
        items = [decode(each, depth + 1) for number, _, each in wire.fields(value) if number == 1]
        return items if kind == _LIST else tuple(items)
    if kind == _DICT:
        return dict(_decode_pairs(value, 1, depth))
    if kind == _NAMED_TUPLE:
        pairs = _decode_pairs(value, 2, depth)
        name = wire.fields_by_number(value).get(1, b"").decode()
        return collections.namedtuple(name, [key for key, _ in pairs])(*[each for _, each in pairs])
    if kind in (_TENSOR, _ARRAY):
        tensor = decode_tensor(value)
        return tensor if kind == _TENSOR else tensor.numpy()
    raise NotKnown(f"A structured value is of the kind {kind}, which is not known.")


def _decode_pairs(data, field, depth):
    pairs = []
    for number, _, pair in wire.fields(data):
        if number == field:
            parts = wire.fields_by_number(pair)
            pairs.append((parts.get(1, b"").decode(), decode(parts.get(2, b""), depth + 1)))
    return pairs


def _decode_type_spec(parts, depth):
    state = decode(parts.get(2, b""), depth + 1)
    if parts.get(1) == _SPARSE:
        from tenon.tf.sparse_tensor import SparseTensorSpec
        return SparseTensorSpec(*state)
    if parts.get(1) == _RAGGED:
        from tenon.tf.ragged_spec import RaggedTensorSpec
        return RaggedTensorSpec(*state[:4])
    raise NotKnown(f"A function takes or returns a {parts.get(3, b'value of an unknown kind').decode()}, which is not "
                   "known here.")


def encode(value):
    """The bytes of a value; NotEncodable where there are none for it."""
    if value is None:
        return wire.bytes_field(_NONE, b"")
    if isinstance(value, bool):
        return wire.varint_field(_BOOL, value)
    if isinstance(value, int):
        if not -2 ** 63 <= value < 2 ** 63:
            raise NotEncodable(f"{value} does not fit into 64 bits.")
        return wire.varint_field(_INT, value << 1 ^ value >> 63)
    if isinstance(value, float):
        return wire.varint(_FLOAT << 3 | wire.FIXED64) + struct.pack("<d", value)
    if isinstance(value, str):
        return wire.text_field(_STRING, value)
    if isinstance(value, TensorShape):
        return wire.bytes_field(_SHAPE, encode_shape(value))
    if isinstance(value, _tenon.DType):
        return wire.varint_field(_DTYPE, value.as_datatype_enum)
    if isinstance(value, TensorSpec):
        name = wire.text_field(1, value.name) if value.name else b""
        return wire.bytes_field(_TENSOR_SPEC, name + wire.bytes_field(2, encode_shape(value.shape))
                                + wire.varint_field(3, value.dtype.as_datatype_enum))
    if hasattr(value, "_fields"):
        pairs = b"".join(_encode_pair(2, key, each) for key, each in zip(value._fields, value))
        return wire.bytes_field(_NAMED_TUPLE, wire.text_field(1, type(value).__name__) + pairs)
    if isinstance(value, (list, tuple)):
        return wire.bytes_field(_LIST if isinstance(value, list) else _TUPLE,
                                b"".join(wire.bytes_field(1, encode(each)) for each in value))
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise NotEncodable("A dictionary has keys that are no strings.")
        return wire.bytes_field(_DICT, b"".join(_encode_pair(1, key, value[key]) for key in sorted(value)))
    return _encode_type_spec(value)


def _encode_pair(field, key, value):
    return wire.bytes_field(field, wire.text_field(1, key) + wire.bytes_field(2, encode(value)))


def _encode_type_spec(value):
    kind = type(value).__name__
    if kind == "SparseTensorSpec":
        number, state, count = _SPARSE, (value.shape, value.dtype), 3
    elif kind == "RaggedTensorSpec":
        number, count = _RAGGED, 1 + value.ragged_rank
        state = (value.shape, value.dtype, value.ragged_rank, value.row_splits_dtype)
    else:
        raise NotEncodable(f"{value!r} can not be held by a file.")
    return wire.bytes_field(_TYPE_SPEC, wire.varint_field(1, number) + wire.bytes_field(2, encode(state))
                            + wire.text_field(3, kind) + wire.varint_field(4, count))
