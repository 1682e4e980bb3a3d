"""Objects that checkpoints find: what they hold under which names, and what was restored before it was there."""
from tenon import _tenon
from tenon.function import Function


_DEFERRED = "_deferred_restorations"  # an attribute: what waits for the attributes to come, by their names


class Trackable:
    """An object with children by name, and perhaps with values of its own: `_serialize_to_tensors` and
    `_restore_from_tensors` of subclasses."""

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        return {}

    def _lookup_dependency(self, name, cached_dependencies=None):
        return self._trackable_children().get(name)


class AutoTrackable(Trackable):
    """Its children are its attributes: trackable objects, and lists, tuples and dictionaries that hold some."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        attached(self, name, value)

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        return {name: value for name, value in vars(self).items() if name != _DEFERRED and is_trackable(value)}


def is_variable(value):
    return isinstance(value, _tenon.VariableBase)


def is_trackable(value):
    if isinstance(value, (type, Function)):
        return False
    return is_variable(value) or isinstance(value, (list, tuple, dict)) or hasattr(value, "_trackable_children")


def children_of(value):
    """Children by name, in their order."""
    if is_variable(value):
        return {}
    if isinstance(value, dict):
        found = {key: child for key, child in value.items() if is_trackable(child)}
        for key in found:
            if not isinstance(key, str):
                raise ValueError(f"A dictionary that a checkpoint is to hold has the key {key!r}: keys have to be strings.")
        return found
    if isinstance(value, (list, tuple)):
        return {str(i): child for i, child in enumerate(value) if is_trackable(child)}
    return {name: child for name, child in value._trackable_children().items() if is_trackable(child)}


def is_structure(value):
    return isinstance(value, (list, tuple, dict))


def defer(parent, name, restoration):
    """Calls `restoration` with the child of that name once it is there. Lists and the like do not tell."""
    if hasattr(parent, "__dict__"):
        vars(parent).setdefault(_DEFERRED, {}).setdefault(name, []).append(restoration)


def attached(parent, name, child):
    """`parent` has got `child`: what waits for it happens."""
    waiting = vars(parent).get(_DEFERRED)
    if waiting and name in waiting and is_trackable(child):
        for restoration in waiting.pop(name):
            restoration(child)
