"""Values by replica, and structures of them."""
import enum

from tenon import _tenon, nest
from tenon.composite import CompositeTensor


class ReduceOp(enum.Enum):
    SUM = "SUM"
    MEAN = "MEAN"

    @staticmethod
    def of(value):
        """Takes the name too, in any case."""
        if isinstance(value, str):
            value = value.upper()
        return ReduceOp(getattr(value, "value", value))

    def __str__(self):
        return f"ReduceOp.{self.name}"


class DistributedValues:
    """Values by replica."""


class PerReplica(tuple, DistributedValues, CompositeTensor):
    """One value for each replica. A tuple, so that what takes structures of tensors takes it too."""

    __eq__, __ne__, __hash__ = object.__eq__, object.__ne__, object.__hash__

    @property
    def values(self):
        return tuple(self)

    def __tf_tensor__(self, dtype=None, name=None):
        raise ValueError("It looks like you are using a PerReplica object while not inside a replica context, which is not "
                         "supported. Try running your op or function inside a replica context by using `strategy.run`")

    def __str__(self):
        return self._text(str)

    def __repr__(self):
        return self._text(repr)

    def _text(self, text):
        return "PerReplica:{\n" + ",\n".join(f"  {i}: {text(value)}" for i, value in enumerate(self)) + "\n}"


class PerReplicaSpec(PerReplica):
    """The TensorSpecs of a value by replica."""

    def _text(self, text):
        return f"PerReplicaSpec({', '.join(map(text, self))})"


def is_replicated(variable):
    """Whether it is a variable with a value for each replica."""
    return isinstance(variable, _tenon.VariableBase) and bool(variable._others)


def map_values(function, structure):
    """`function` of the leaves, of which PerReplica is one."""
    if isinstance(structure, PerReplica) or not nest.is_nested(structure):
        return function(structure)
    return nest._rebuild(structure, [map_values(function, child) for child in nest._children(structure)])


def select(structure, replica):
    """What a replica sees of it. One that takes no part in a step is given what replica 0 sees."""
    return map_values(lambda leaf: leaf[replica if replica < len(leaf) else 0] if isinstance(leaf, PerReplica) else leaf,
                      structure)


def regroup(structures, kind=PerReplica):
    """The structures of the replicas as one, whose leaves are by replica where they are not the same."""
    first = structures[0]
    if nest.is_nested(first) and not isinstance(first, PerReplica):
        if isinstance(first, dict):
            for other in structures[1:]:
                if not isinstance(other, dict) or set(other) != set(first):
                    raise ValueError(f"The replicas gave dictionaries with other keys: {first} and {other}.")
        for other in structures[1:]:
            if not nest.is_nested(other) or len(other) != len(first):
                raise ValueError(f"The replicas gave values of other structures: {first} and {other}.")
        return nest._rebuild(first, [regroup(parts, kind) for parts in zip(*map(nest._children, structures))])
    if len(structures) == 1 or all(other is first for other in structures):
        return first
    if not isinstance(first, _tenon.Tensor) and isinstance(first, (bool, int, float, str)) and all(
            type(other) is type(first) and other == first for other in structures):
        return first
    return kind(structures)
