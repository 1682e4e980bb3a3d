"""TrackableObjectGraph: the objects of a checkpoint, in and out of their wire format."""
from tenon import wire

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


class Node:
    """An object: children by name (numbers of nodes), values by name: (full name, key in the checkpoint)."""

    def __init__(self):
        self.children, self.values, self.has_values = {}, {}, False

    def serialize(self):
        out = b""
        for name, child in self.children.items():
            out += wire.bytes_field(1, (wire.varint_field(1, child) if child else b"") + wire.text_field(2, name))
        for name, (full_name, key) in self.values.items():
            out += wire.bytes_field(2, wire.text_field(1, name) + wire.text_field(2, full_name) + wire.text_field(3, key))
        return out + wire.bytes_field(5, wire.varint_field(1, 1) if self.has_values else b"")


def serialize(nodes):
    return b"".join(wire.bytes_field(1, node.serialize()) for node in nodes)


def mark_values(nodes):
    """Says of which nodes a value is reached."""
    for node in nodes:
        node.has_values = bool(node.values)
    changed = True
    while changed:
        changed = False
        for node in nodes:
            if not node.has_values and any(nodes[child].has_values for child in node.children.values()):
                node.has_values = changed = True


def parse(data):
    """The nodes; ValueError for malformed bytes and for children that are no nodes."""
    nodes = [_parse_node(value) for number, kind, value in wire.fields(data) if number == 1 and kind == wire.BYTES]
    for node in nodes:
        for name, child in node.children.items():
            if child >= len(nodes):
                raise ValueError(f"The object graph has {len(nodes)} nodes; the child '{name}' is said to be {child}.")
    return nodes


def _parse_node(data):
    node = Node()
    for number, kind, value in wire.fields(data):
        if number in (1, 2) and kind == wire.BYTES:
            parts = wire.fields_by_number(value)
            if number == 1:
                node.children[_text(parts, 2)] = parts.get(1, 0)
            else:
                node.values[_text(parts, 1)] = (_text(parts, 2), _text(parts, 3))
    return node


def _text(parts, number):
    value = parts.get(number, b"")
    if not isinstance(value, bytes):
        raise ValueError("A name of the object graph is a number.")
    return value.decode()
