"""What converted code calls, by the name `ag__`."""
from tenon.autograph.branches import (and_, assert_, chain, if_exp, if_stmt, not_, or_, returned)  # noqa: F401
from tenon.autograph.calls import (call, iterated_call, iterated_shallow_call, shallow_call)  # noqa: F401
from tenon.autograph.loops import for_stmt, while_stmt  # noqa: F401
from tenon.autograph.values import State, defined, no_value, undefined  # noqa: F401
