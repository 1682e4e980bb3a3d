"""AutoGraph: Python's if, for and while on tensors, in functions that are traced. TensorFlow's `tf.autograph`."""
from tenon.autograph import experimental  # noqa: F401


def to_graph(entity, recursive=True, experimental_optional_features=None):
    """The function converted, for use in a graph; it does the same where ops run."""
    from tenon.autograph import conversion
    return conversion.convert_or_raise(getattr(entity, "python_function", entity), recursive)


def to_code(entity, recursive=True, experimental_optional_features=None):
    """The text of the converted function."""
    from tenon.autograph import conversion
    return conversion.code_of(getattr(entity, "python_function", entity), recursive)


def set_verbosity(level, alsologtostdout=False):
    """There is no log to set."""


def trace(*args):
    """Prints the arguments while a function is traced."""
    print(*args)
