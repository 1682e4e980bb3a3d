"""Where a thread is: in the scope of which strategy, and at which of its replicas."""
import enum
import threading

from tenon import _tenon

_state = threading.local()
_MOST_REPLICAS = 4096


class VariableAggregation(enum.Enum):
    """How the values that replicas write, or hold, become one."""
    NONE, SUM, MEAN, ONLY_FIRST_REPLICA = range(4)


class VariableSynchronization(enum.Enum):
    """When the values of a variable's replicas are made one."""
    AUTO, NONE, ON_WRITE, ON_READ = range(4)


def current():
    """The innermost Place of this thread; None outside of all scopes."""
    places = getattr(_state, "places", None)
    return places[-1] if places else None


class Place:
    """While it is open, the thread is in the scope of `strategy`, of whose replicas `count` take part.

    Without `context` it speaks for all replicas; `replica` is then -1, or whose variables are being updated.
    """

    def __init__(self, strategy, count, context=None, replica=-1):
        self.strategy, self.count, self.context, self.replica = strategy, count, context, replica
        self._before = []

    def __enter__(self):
        _state.__dict__.setdefault("places", []).append(self)
        # Functions that are traced at one place are not run at another.
        key = (self.strategy.number * _MOST_REPLICAS + self.count) * _MOST_REPLICAS + self.replica + 1
        self._before.append((_tenon.enter_replica(self.replica, 2 * key + (self.context is not None)),
                             _tenon.enter_device(self.strategy.device_of(self.replica))))
        return self

    def __exit__(self, *_):
        replica, device = self._before.pop()
        _tenon.enter_replica(*replica)
        _tenon.enter_device(device)
        _state.places.pop()


def strategy_of_new_variables():
    """The strategy for each of whose replicas a new variable has a value; None where one value is all."""
    place = current()
    return place.strategy if place is not None and place.strategy.total > 1 else None


class on_device_of:
    """While it is open, ops are placed where the strategy of this scope has its replica `index`."""

    def __init__(self, index):
        place = current()
        self._device = _tenon.placed_name() if place is None else place.strategy.device_of(index)

    def __enter__(self):
        self._before = _tenon.enter_device(self._device)

    def __exit__(self, *_):
        _tenon.enter_device(self._before)


def merging_context():
    """The context of the replica that this thread is at, where others take part too."""
    place = current()
    return None if place is None or place.count == 1 else place.context


class Nowhere:
    """A scope that changes nothing; `with` gives `value`."""

    def __init__(self, value=None):
        self._value = value

    def __enter__(self):
        return self._value

    def __exit__(self, *_):
        pass
