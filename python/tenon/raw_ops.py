"""Every op of the engine as a function of keyword arguments: tenon.raw_ops.AddV2(x=a, y=b)."""
from tenon import _tenon


def __getattr__(name):
    op = None if name.startswith("__") else _tenon.raw_op(name)
    if op is None:
        import difflib
        near = difflib.get_close_matches(name, _tenon.op_names(), 3)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise AttributeError(f"module 'tenon.raw_ops' has no attribute '{name}': the op is not implemented{hint}")
    globals()[name] = op
    return op


def __dir__():
    return _tenon.op_names()
