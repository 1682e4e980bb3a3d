"""Names that TensorFlow has and Tenon does not: what is said of them."""
import types


def message(module, name, names):
    """That `name` is missing, and what is near."""
    import difflib
    near = difflib.get_close_matches(name, [n for n in names if not n.startswith("_")], 3)
    hint = f" Near it: {', '.join(near)}." if near else ""
    return f"Tenon has no '{module}.{name}'.{hint} tenon.raw_ops has all of its ops."


class _Namespace(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(message(self.__name__, name, vars(self)))


def namespace(name, *groups, **more):
    """A module of these functions."""
    made = _Namespace(name)
    for group in (*groups, more):
        vars(made).update(group)
    return made
