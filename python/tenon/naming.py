"""Name scopes: what stands before the names of variables that are made within them."""
import threading

_state = threading.local()


def current_scope():
    """ "a/b/", or nothing."""
    return getattr(_state, "scope", "")


class name_scope:
    """While it is open, names of new variables begin with it. One that ends in "/" stands alone. Nodes get no names of it."""

    def __init__(self, name, default_name=None, values=None):
        if not isinstance(name, str):
            raise ValueError("name for name_scope must be a string.")
        self._name = name
        self._before = []

    @property
    def name(self):
        return self._name

    def __enter__(self):
        before = current_scope()
        self._before.append(before)
        name = self._name
        _state.scope = name if name.endswith("/") or not name else f"{before}{name}/"
        return _state.scope

    def __exit__(self, *_):
        _state.scope = self._before.pop()
