"""The graph of a concrete function, to be looked at: what is in it and how it hangs together."""
import collections
import re

from tenon import _tenon
from tenon.tensor_shape import TensorShape

_LINE = re.compile(r"(?P<name>.+?) = (?P<op>\w+)\((?P<inputs>[^()]*)\) -> ?(?P<outputs>.*)")
_OUTPUT = re.compile(r"(\w+)(?:\[([^\]]*)\]|<unknown>)")


class GraphTensor:
    """A result of an operation. It has no value: that is what calling the function gives."""

    def __init__(self, op, value_index, shape, dtype):
        self.op, self.value_index, self.shape, self.dtype = op, value_index, shape, dtype

    @property
    def name(self):
        return f"{self.op.name}:{self.value_index}"

    @property
    def graph(self):
        return self.op.graph

    def __repr__(self):
        return f"<tf.Tensor '{self.name}' shape={self.shape} dtype={self.dtype.name}>"


class Operation:
    """A node: what it is called, what it does, what it takes and gives, and what it waits for."""

    def __init__(self, graph, name, kind, takes, gives):
        self.graph, self.name, self.type, self._takes = graph, name, kind, takes
        self.outputs = [GraphTensor(self, i, shape, dtype) for i, (shape, dtype) in enumerate(gives)]

    @property
    def inputs(self):
        return tuple(self.graph._tensor(each) for each in self._takes if not each.startswith("^"))

    @property
    def control_inputs(self):
        return [self.graph.get_operation_by_name(each[1:]) for each in self._takes if each.startswith("^")]

    def __repr__(self):
        return f"<tf.Operation '{self.name}' type={self.type}>"


class GraphDef:
    """The nodes of a graph as records; not to be written to a file."""

    def __init__(self, operations):
        self.node = [NodeDef(op.name, op.type, list(op._takes), "") for op in operations]


NodeDef = collections.namedtuple("NodeDef", ["name", "op", "input", "device"])


class FuncGraph:
    """The graph of `concrete`, which it keeps."""

    def __init__(self, concrete):
        self._concrete, self._operations = concrete, {}
        self.name = concrete._name
        text = str(concrete.graph_function)
        for line in text.splitlines():
            found = _LINE.fullmatch(line)
            if found is not None:
                takes = [each for each in found["inputs"].split(", ") if each]
                gives = [(_shape(dims), _tenon.as_dtype(dtype)) for dtype, dims in
                         ((each[1], each[2]) for each in _OUTPUT.finditer(found["outputs"]))]
                kind = "Placeholder" if found["op"] == "_Arg" else found["op"]
                self._operations[found["name"]] = Operation(self, found["name"], kind, takes, gives)
        results = text.rpartition("\nreturn ")[2].split()
        self.outputs = [self._tensor(each.rstrip(",")) for each in results] if concrete.graph_function.outputs else []

    @property
    def inputs(self):
        """The arguments, what the function captures, then the handles of its variables."""
        kinds = ("Placeholder", "VarHandleOp")
        return [op.outputs[0] for kind in kinds for op in self.get_operations() if op.type == kind]

    @property
    def structured_input_signature(self):
        return self._concrete.structured_input_signature

    @property
    def structured_outputs(self):
        return self._concrete.structured_outputs

    @property
    def variables(self):
        return self._concrete.variables

    @property
    def trainable_variables(self):
        return self._concrete.trainable_variables

    def get_operations(self):
        return list(self._operations.values())

    def as_graph_def(self, from_version=None, add_shapes=False):
        return GraphDef(self.get_operations())

    def get_operation_by_name(self, name):
        if name not in self._operations:
            raise KeyError(f"The name {name!r} refers to an Operation not in the graph.")
        return self._operations[name]

    def get_tensor_by_name(self, name):
        """That of the name NODE:NUMBER."""
        node, _, number = name.rpartition(":")
        if not number.isdecimal() or int(number) >= len(self.get_operation_by_name(node).outputs):
            raise KeyError(f"The name {name!r} refers to a Tensor which does not exist.")
        return self._operations[node].outputs[int(number)]

    def _tensor(self, reference):
        """That which the text of the graph calls NODE:NUMBER, or NODE where the number is 0."""
        return self.get_tensor_by_name(reference if ":" in reference else reference + ":0")

    def __repr__(self):
        return f"<FuncGraph {self.name}>"


def _shape(dims):
    return TensorShape(None if dims is None else [None if each == "?" else int(each) for each in dims.split(",") if each])
