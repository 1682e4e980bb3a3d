"""tf.train.Example and its parts: the messages, in and out of their bytes, in the order of protobuf's deterministic
serialization. Malformed bytes are a ValueError."""
import struct

from tenon import wire


class _Message:
    def __eq__(self, other):
        return type(self) is type(other) and self._parts() == other._parts()

    __hash__ = None

    @classmethod
    def FromString(cls, data):  # noqa: N802: protobuf's name
        made = cls()
        made.MergeFromString(data)
        return made

    def ParseFromString(self, data):  # noqa: N802
        self.__init__()
        return self.MergeFromString(data)

    def MergeFromString(self, data):  # noqa: N802
        data = bytes(data)
        for number, kind, value in wire.fields(data):
            self._read(number, kind, value)
        return len(data)

    def ByteSize(self):  # noqa: N802
        return len(self.SerializeToString())

    def CopyFrom(self, other):  # noqa: N802
        self.ParseFromString(other.SerializeToString())

    def __repr__(self):
        return self._text("")

    __str__ = __repr__


class _List(_Message):
    """Values of one kind."""

    def __init__(self, value=None):
        self.value = [self._checked(v) for v in (() if value is None else value)]

    def _parts(self):
        return self.value

    def _text(self, indent):
        return "".join(f"{indent}value: {self._shown(v)}\n" for v in self.value)

    def SerializeToString(self, deterministic=None):  # noqa: N802
        # Whoever appended to `value` may have put in what is no value.
        return self._packed([self._checked(v) for v in self.value])


class BytesList(_List):
    @staticmethod
    def _checked(value):
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"{value!r} has type {type(value).__name__}, but expected one of: bytes")
        return bytes(value)

    @staticmethod
    def _shown(value):
        return '"' + repr(value)[2:-1].replace('"', '\\"') + '"'

    @staticmethod
    def _packed(values):
        return b"".join(wire.bytes_field(1, v) for v in values)

    def _read(self, number, kind, value):
        if number == 1 and kind == wire.BYTES:
            self.value.append(value)


class FloatList(_List):
    @staticmethod
    def _checked(value):
        if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
            raise TypeError(f"{value!r} has type {type(value).__name__}, but expected one of: int, float")
        try:
            return struct.unpack("<f", struct.pack("<f", float(value)))[0]
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")

    @staticmethod
    def _shown(value):
        return f"{value:.9g}"

    @staticmethod
    def _packed(values):
        return wire.bytes_field(1, struct.pack(f"<{len(values)}f", *values)) if values else b""

    def _read(self, number, kind, value):
        if number == 1 and kind == wire.FIXED32:
            self.value.append(wire.float_bits(value))
        elif number == 1 and kind == wire.BYTES:
            if len(value) % 4:
                raise ValueError(f"{len(value)} bytes are no whole number of floats.")
            self.value.extend(struct.unpack(f"<{len(value) // 4}f", value))


class Int64List(_List):
    @staticmethod
    def _checked(value):
        if not hasattr(value, "__index__"):
            raise TypeError(f"{value!r} has type {type(value).__name__}, but expected one of: int")
        value = value.__index__()
        if not -2 ** 63 <= value < 2 ** 63:
            raise ValueError(f"Value out of range: {value}")
        return value

    _shown = staticmethod(str)

    @staticmethod
    def _packed(values):
        return wire.bytes_field(1, b"".join(map(wire.varint, values))) if values else b""

    def _read(self, number, kind, value):
        if number == 1 and kind == wire.VARINT:
            self.value.append(wire.signed(value))
        elif number == 1 and kind == wire.BYTES:
            self.value.extend(map(wire.signed, wire.packed_varints(value)))


_KINDS = {"bytes_list": (1, BytesList), "float_list": (2, FloatList), "int64_list": (3, Int64List)}


class Feature(_Message):
    """One of a list of bytes, of floats and of integers, or nothing."""

    def __init__(self, bytes_list=None, float_list=None, int64_list=None):
        self._kind, self._list = None, None
        for name, value in (("bytes_list", bytes_list), ("float_list", float_list), ("int64_list", int64_list)):
            if value is not None:
                self._set(name, value)

    def _set(self, name, value):
        if not isinstance(value, _KINDS[name][1]):
            raise TypeError(f"{name} is a {_KINDS[name][1].__name__}, not a {type(value).__name__}.")
        self._kind, self._list = name, value

    def _get(self, name):
        """The list of that kind; one that is not set becomes it once something has been put in."""
        if self._kind == name:
            return self._list
        if self._kind is None:
            self._kind, self._list = name, _KINDS[name][1]()
            self._pending = True
            return self._list
        return _KINDS[name][1]()

    bytes_list = property(lambda self: self._get("bytes_list"))
    float_list = property(lambda self: self._get("float_list"))
    int64_list = property(lambda self: self._get("int64_list"))

    def _is_set(self):
        return self._kind is not None and not (getattr(self, "_pending", False) and not self._list.value)

    def WhichOneof(self, name):  # noqa: N802
        if name != "kind":
            raise ValueError(f'Message Feature has no "{name}" field.')
        return self._kind if self._is_set() else None

    def HasField(self, name):  # noqa: N802
        return self.WhichOneof("kind") == name

    def _parts(self):
        return self.WhichOneof("kind"), self._list.value if self._is_set() else None

    def SerializeToString(self, deterministic=None):  # noqa: N802
        return wire.bytes_field(_KINDS[self._kind][0], self._list.SerializeToString()) if self._is_set() else b""

    def _read(self, number, kind, value):
        for name, (field, of) in _KINDS.items():
            if field == number and kind == wire.BYTES:
                if self._kind != name:
                    self._kind, self._list = name, of()
                self._pending = False
                self._list.MergeFromString(value)

    def _text(self, indent):
        return f"{indent}{self._kind} {{\n{self._list._text(indent + '  ')}{indent}}}\n" if self._is_set() else ""


class _FeatureMap(dict):
    """Features by name; one that is asked for is there from then on."""

    def __missing__(self, key):
        self[key] = Feature()
        return self[key]


class Features(_Message):
    def __init__(self, feature=None):
        self.feature = _FeatureMap()
        for name, value in (feature or {}).items():
            if not isinstance(value, Feature):
                raise TypeError(f"The feature '{name}' is a Feature, not a {type(value).__name__}.")
            self.feature[name] = value

    def _parts(self):
        return dict(self.feature)

    def SerializeToString(self, deterministic=None):  # noqa: N802
        return b"".join(wire.bytes_field(1, wire.text_field(1, name) + wire.bytes_field(2, value.SerializeToString()))
                        for name, value in sorted(self.feature.items(), key=lambda item: item[0].encode()))

    def _read(self, number, kind, value):
        if number == 1 and kind == wire.BYTES:
            name, feature = b"", Feature()
            for part, part_kind, content in wire.fields(value):
                if part_kind == wire.BYTES and part == 1:
                    name = content
                elif part_kind == wire.BYTES and part == 2:
                    feature.MergeFromString(content)
            self.feature[name.decode()] = feature

    def _text(self, indent):
        return "".join(f'{indent}feature {{\n{indent}  key: "{name}"\n{indent}  value {{\n{value._text(indent + "    ")}'
                       f'{indent}  }}\n{indent}}}\n' for name, value in sorted(self.feature.items()))


class Example(_Message):
    def __init__(self, features=None):
        self.features = Features() if features is None else features
        self._given = features is not None

    def _parts(self):
        return self.features

    def SerializeToString(self, deterministic=None):  # noqa: N802
        content = self.features.SerializeToString()
        return wire.bytes_field(1, content) if content or self._given else b""

    def _read(self, number, kind, value):
        if number == 1 and kind == wire.BYTES:
            self._given = True
            self.features.MergeFromString(value)

    def _text(self, indent):
        return f"{indent}features {{\n{self.features._text(indent + '  ')}{indent}}}\n" if self._given or (
            self.features.feature) else ""


class FeatureList(_Message):
    """The features of a step each."""

    def __init__(self, feature=None):
        self.feature = list(feature or ())

    def _parts(self):
        return self.feature

    def SerializeToString(self, deterministic=None):  # noqa: N802
        return b"".join(wire.bytes_field(1, feature.SerializeToString()) for feature in self.feature)

    def _read(self, number, kind, value):
        if number == 1 and kind == wire.BYTES:
            self.feature.append(Feature.FromString(value))

    def _text(self, indent):
        return "".join(f"{indent}feature {{\n{feature._text(indent + '  ')}{indent}}}\n" for feature in self.feature)


class FeatureLists(_Message):
    def __init__(self, feature_list=None):
        self.feature_list = _ListMap()
        self.feature_list.update(feature_list or {})

    def _parts(self):
        return dict(self.feature_list)

    def SerializeToString(self, deterministic=None):  # noqa: N802
        return b"".join(wire.bytes_field(1, wire.text_field(1, name) + wire.bytes_field(2, value.SerializeToString()))
                        for name, value in sorted(self.feature_list.items(), key=lambda item: item[0].encode()))

    def _read(self, number, kind, value):
        if number == 1 and kind == wire.BYTES:
            parts = wire.fields_by_number(value)
            self.feature_list[parts.get(1, b"").decode()].MergeFromString(parts.get(2, b""))

    def _text(self, indent):
        return "".join(f'{indent}feature_list {{\n{indent}  key: "{name}"\n{indent}  value {{\n{value._text(indent + "    ")}'
                       f'{indent}  }}\n{indent}}}\n' for name, value in sorted(self.feature_list.items()))


class _ListMap(dict):
    def __missing__(self, key):
        self[key] = FeatureList()
        return self[key]


class SequenceExample(_Message):
    """Features of a whole, and lists of features of its steps."""

    def __init__(self, context=None, feature_lists=None):
        self.context = Features() if context is None else context
        self.feature_lists = FeatureLists() if feature_lists is None else feature_lists

    def _parts(self):
        return self.context, self.feature_lists

    def SerializeToString(self, deterministic=None):  # noqa: N802
        parts = ((1, self.context.SerializeToString()), (2, self.feature_lists.SerializeToString()))
        return b"".join(wire.bytes_field(number, content) for number, content in parts if content)

    def _read(self, number, kind, value):
        if number in (1, 2) and kind == wire.BYTES:
            (self.context if number == 1 else self.feature_lists).MergeFromString(value)

    def _text(self, indent):
        parts = (("context", self.context._text(indent + "  ")), ("feature_lists", self.feature_lists._text(indent + "  ")))
        return "".join(f"{indent}{name} {{\n{content}{indent}}}\n" for name, content in parts if content)
