"""tf.autograph.experimental."""
import functools

MARK = "__tenon_do_not_convert__"


def do_not_convert(func=None):
    """Decorates a function that is run as it stands, with Python's control flow, while a function is traced."""
    if func is None:
        return do_not_convert
    if isinstance(func, type) or not callable(func):
        return func

    @functools.wraps(func)
    def unconverted(*args, **kwargs):
        return func(*args, **kwargs)

    setattr(unconverted, MARK, True)
    return unconverted


def set_loop_options(parallel_iterations=None, swap_memory=None, maximum_iterations=None, shape_invariants=None):
    """Written in a loop of a converted function: the most iterations, and shapes that loop variables keep where those
    before the loop are too narrow, as pairs of a variable and its shape. The other two change nothing."""
