"""Module: an object that knows its variables."""
import functools
import re

from tenon import _tenon, nest
from tenon.naming import current_scope, name_scope
from tenon.tf.trackable import AutoTrackable


class Module(AutoTrackable):
    """Base of classes that hold variables, other modules, and structures of them."""

    def __init__(self, name=None):
        if name is None:
            name = _snake_case(type(self).__name__)
        elif not name.isidentifier():
            raise ValueError(f"{name!r} is not a valid module name. Module names must be valid Python identifiers (e.g. a "
                             "valid class name).")
        self._name = name
        self._scope_name = f"{current_scope()}{name}/"

    @property
    def name(self):
        """By default the class's name in snake case. Without Module.__init__ there is none."""
        return self._name

    @property
    def name_scope(self):
        return name_scope(self._scope_name)

    @property
    def variables(self):
        """Its own, by the names of its attributes, then those of its submodules."""
        return tuple(self._flatten(predicate=_is_variable))

    @property
    def trainable_variables(self):
        return tuple(self._flatten(predicate=lambda v: _is_variable(v) and v.trainable))

    @property
    def non_trainable_variables(self):
        return tuple(self._flatten(predicate=lambda v: _is_variable(v) and not v.trainable))

    @property
    def submodules(self):
        """All modules below this one."""
        return tuple(self._flatten(predicate=lambda value: isinstance(value, Module)))

    def _flatten(self, recursive=True, predicate=None, attribute_traversal_key=None, with_path=False):
        """What `predicate` accepts among the attributes of this module and those below it, each once."""
        seen, found, levels = {id(self)}, [], [[((), self)]]
        while levels:
            below = []
            for path, module in levels.pop():
                own = []
                for name in sorted(vars(module), key=attribute_traversal_key):
                    if name in _IGNORED:
                        continue
                    for place, leaf in _leaves(vars(module)[name], (name,)):
                        if id(leaf) in seen:
                            continue
                        if predicate is None or predicate(leaf):
                            seen.add(id(leaf))
                            found.append((path + place, leaf) if with_path else leaf)
                        if recursive and isinstance(leaf, Module):
                            seen.add(id(leaf))
                            own.append((path + place, leaf))
                below += own
            if below:
                # Depth first: all of one submodule come before the next one's.
                levels.extend([[each] for each in reversed(below)])
        return found

    @classmethod
    def with_name_scope(cls, method):
        """A method that runs within the module's name scope."""
        @functools.wraps(method)
        def within(self, *args, **kwargs):
            with self.name_scope:
                return method(self, *args, **kwargs)

        return within


_IGNORED = {"_deferred_restorations"}


def _is_variable(value):
    return isinstance(value, _tenon.VariableBase)


def _leaves(value, place):
    if nest.is_nested(value):
        keys = nest._keys(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from _leaves(value[key], (*place, key))
    else:
        yield place, value


def _snake_case(name):
    return re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name).lower()
