"""The messages of saved_model.pb that loading and saving take apart: graphs, functions, objects."""
from tenon import wire
from tenon.wire import fields_by_number

# Field numbers of MetaGraphDef, of GraphDef and of the kinds of a SavedObject.
INFO, GRAPH, SIGNATURES, ASSETS, OBJECTS = 1, 2, 5, 6, 7
NODES, LIBRARY = 1, 2
USER_OBJECT, ASSET, FUNCTION, VARIABLE, BARE_FUNCTION, CONSTANT, RESOURCE = 4, 5, 6, 7, 8, 9, 10
_KINDS = {USER_OBJECT, ASSET, FUNCTION, VARIABLE, BARE_FUNCTION, CONSTANT, RESOURCE, 12}
_SAVEABLES = 11


def repeated(data, number):
    """The messages of a repeated field."""
    return [value for n, kind, value in wire.fields(data) if n == number and kind == wire.BYTES]


def joined(data, number):
    """A message that may stand in parts, which count as one."""
    return b"".join(repeated(data, number))


def text(parts, number):
    return parts.get(number, b"").decode()


def map_entries(data, number):
    """{key: value bytes} of a map."""
    found = {}
    for entry in repeated(data, number):
        parts = fields_by_number(entry)
        found[text(parts, 1)] = parts.get(2, b"")
    return found


def map_entry(number, key, value):
    return wire.bytes_field(number, wire.text_field(1, key) + wire.bytes_field(2, value))


class SavedObject:
    """An object of a SavedObjectGraph: its children by name, its kind and the fields of that."""

    def __init__(self, data):
        self.data, self.children, self.kind, self.value, self.has_saveables = data, {}, None, b"", False
        for number, wire_type, value in wire.fields(data):
            if wire_type != wire.BYTES:
                continue
            if number == 1:
                parts = fields_by_number(value)
                self.children[text(parts, 2)] = parts.get(1, 0)
            elif number in _KINDS:
                self.kind, self.value = number, value
            elif number == _SAVEABLES:
                self.has_saveables = True


class SavedFunction:
    """A SavedConcreteFunction: the objects that it captures, its arguments and results as bytes."""

    def __init__(self, data):
        self.captures, self.arguments, self.results = [], b"", b""
        for number, kind, value in wire.fields(data):
            if number == 2 and kind == wire.VARINT:
                self.captures.append(value)
            elif number == 2:
                self.captures.extend(wire.packed_varints(value))
            elif number == 3:
                self.arguments = value
            elif number == 4:
                self.results = value


class ObjectGraph:
    """A SavedObjectGraph. ValueError for malformed bytes and for children that are no objects."""

    def __init__(self, data):
        self.objects = [SavedObject(each) for each in repeated(data, 1)]
        self.functions = {name: SavedFunction(each) for name, each in map_entries(data, 2).items()}
        for each in self.objects:
            for name, child in each.children.items():
                if child >= len(self.objects):
                    raise ValueError(f"The object graph has {len(self.objects)} objects; the child '{name}' is said to be "
                                     f"{child}.")


def types_of_functions(graph):
    """{name: (dtypes of the arguments, dtypes of the results)}, as numbers, of a GraphDef's functions."""
    found = {}
    for function in repeated(joined(graph, LIBRARY), 1):
        signature = joined(function, 1)
        name = text(fields_by_number(signature), 1)
        found[name] = tuple([fields_by_number(each).get(3, 0) for each in repeated(signature, number)] for number in (2, 3))
    return found


def node(name, op, inputs=(), **attributes):
    """A NodeDef; attributes are AttrValues."""
    out = wire.text_field(1, name) + wire.text_field(2, op) + b"".join(wire.text_field(3, each) for each in inputs)
    return out + b"".join(map_entry(5, key, value) for key, value in attributes.items())


def type_attribute(dtype):
    return wire.varint_field(6, dtype)


def types_attribute(dtypes):
    return wire.bytes_field(1, b"".join(wire.varint_field(6, dtype) for dtype in dtypes))


def function_attribute(name):
    return wire.bytes_field(10, wire.text_field(1, name))
