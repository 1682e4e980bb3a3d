"""Exceptions with TensorFlow's names: one class for each of its codes."""


class OpError(Exception):
    """An error that the engine reports."""

    def __init__(self, message, error_code, node_def=None, op=None):
        super().__init__(message)
        self._message, self._error_code, self._node_def, self._op = message, error_code, node_def, op

    @property
    def message(self):
        return self._message

    @property
    def error_code(self):
        return self._error_code

    @property
    def node_def(self):
        return self._node_def

    @property
    def op(self):
        return self._op

    def __str__(self):
        return self._message

    def __reduce__(self):
        return from_code, (self._error_code, self._message)


OPERATORS = ("CancelledError", "UnknownError", "InvalidArgumentError", "DeadlineExceededError", "NotFoundError",
             "AlreadyExistsError", "PermissionDeniedError", "ResourceExhaustedError", "FailedPreconditionError",
             "AbortedError", "OutOfRangeError", "UnimplementedError", "InternalError", "UnavailableError",
             "DataLossError", "UnauthenticatedError")
_CLASSES = {}


def _define():
    for code, name in enumerate(OPERATORS, 1):
        def __init__(self, node_def=None, op=None, message=None, *_, code=code):
            if message is None:  # as Python's exceptions are made, by those who change a text
                node_def, message = None, str(node_def)
            OpError.__init__(self, message, code, node_def, op)

        _CLASSES[code] = globals()[name] = type(name, (OpError,), {
            "__init__": __init__, "__module__": __name__, "__doc__": f"The canonical code {code}."})


_define()
OK = 0
# The numbers of the codes.
(CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED,
 FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED) = range(1, 17)


class OutOfTraceError(InvalidArgumentError):  # noqa: F821: _define() has made it
    """A tensor is used in a traced function to which it does not belong."""

    def __init__(self, node_def=None, op=None, message=None):
        super().__init__(node_def, op, message or "a tensor of one traced function is used in another, of which it is "
                         "neither an argument nor a value around it: a tensor leaves a function, a branch or a loop as what it "
                         "returns or in a variable that it assigns, not in a list or an object")


class OperatorNotAllowedInGraphError(TypeError):
    """Python asks a tensor of a traced function for its value."""


def from_code(code, message):
    """The exception of a canonical code."""
    return _CLASSES.get(code, _CLASSES[2])(None, None, message)


def raise_symbolic_bool():
    raise OperatorNotAllowedInGraphError(
        "Using a symbolic `tf.Tensor` as a Python `bool` is not allowed: its value is not known while a function is "
        "traced. Use tf.cond, tf.where or tf.while_loop.")


def raise_out_of_trace():
    raise OutOfTraceError()
