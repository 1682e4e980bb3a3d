"""What lives as long as a function that was traced: Python's objects that its graph knows by tokens alone."""
import threading

_holders = threading.local()


class Holder:
    """While it is open, what a traced function calls in Python lives as long as the list that it was made with."""

    def __init__(self, kept):
        self._kept = kept

    def __enter__(self):
        _holders.__dict__.setdefault("stack", []).append(self._kept)

    def __exit__(self, *_):
        _holders.stack.pop()


def hold(thing):
    """`thing` lives as long as the function that is being traced."""
    stack = getattr(_holders, "stack", None)
    if stack:
        stack[-1].append(thing)
