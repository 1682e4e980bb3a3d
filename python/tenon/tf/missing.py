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


class _Unsupported:
    """Stands for something of TensorFlow's that Tenon has not: whatever of it is called says so."""

    def __init__(self, name, what):
        self._name, self._what = name, what

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unsupported(f"{self._name}.{name}", self._what)

    def __call__(self, *_, **__):
        raise NotImplementedError(f"'{self._name}': {self._what} are not supported by Tenon; use dense tensors.")

    def __repr__(self):
        return f"<{self._name}, not supported>"


def unsupported(name, what):
    return _Unsupported(name, what)
