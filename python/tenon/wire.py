"""Protobuf's wire format: fields as numbers and bytes. Malformed bytes are a ValueError."""
import struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(value):
    """The bytes of an integer; of one below 0 in two's complement of 64 bits."""
    value &= 2 ** 64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_field(number, value):
    return varint(number << 3 | VARINT) + varint(value)


def bytes_field(number, value):
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def text_field(number, value):
    return bytes_field(number, value.encode())


def field(number, kind, value):
    """The bytes of a field as fields() gives it."""
    if kind == BYTES:
        return bytes_field(number, value)
    if kind == VARINT:
        return varint_field(number, value)
    return varint(number << 3 | kind) + value.to_bytes(4 if kind == FIXED32 else 8, "little")


def read_varint(data, at):
    """(value, where the next field begins)."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError(f"A number at byte {at} is cut off or too long.")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 2 ** 64 - 1, at
        shift += 7


def signed(value):
    """The int64 that a varint stands for."""
    return value - 2 ** 64 if value >= 2 ** 63 else value


def fields(data):
    """(number, wire type, value) of each field: bytes, or an unsigned number."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError(f"A field at byte {at} has no number.")
        if kind == VARINT:
            value, at = read_varint(data, at)
        elif kind in (FIXED32, FIXED64, BYTES):
            size = 4 if kind == FIXED32 else 8
            if kind == BYTES:
                size, at = read_varint(data, at)
            if size > len(data) - at:
                raise ValueError(f"A field of {size} bytes at byte {at} is cut off.")
            value, at = data[at:at + size], at + size
            if kind != BYTES:
                value = int.from_bytes(value, "little")
        else:
            raise ValueError(f"A field at byte {at} has the wire type {kind}.")
        yield number, kind, value


def fields_by_number(data):
    """The last value of each field."""
    return {number: value for number, _, value in fields(data)}


def packed_varints(data):
    """The numbers of a packed field."""
    at = 0
    while at < len(data):
        value, at = read_varint(data, at)
        yield value


def float_bits(value):
    """The float32 of 32 bits."""
    return struct.unpack("<f", value.to_bytes(4, "little"))[0]
