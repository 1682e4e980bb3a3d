"""Options: how a dataset is run. What would change speed alone is kept and has no effect."""
import copy
import enum
import os

AUTOTUNE = -1


def threads_of(num_parallel_calls):
    if num_parallel_calls is None:
        return 1
    return min(16, os.cpu_count() or 1) if num_parallel_calls == AUTOTUNE else max(1, int(num_parallel_calls))


class AutoShardPolicy(enum.IntEnum):
    OFF = -1
    AUTO = 0
    FILE = 1
    DATA = 2
    HINT = 3


class ExternalStatePolicy(enum.Enum):
    WARN = 0
    IGNORE = 1
    FAIL = 2


class _Group:
    """Named values; a name that there is not is an error."""

    _names = ()

    def __init__(self):
        for name in self._names:
            object.__setattr__(self, name, None)

    def __setattr__(self, name, value):
        if name not in self._names:
            raise AttributeError(f"Cannot set the property {name} on {type(self).__name__}.")
        object.__setattr__(self, name, value)

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self):
        return id(self)


class AutotuneOptions(_Group):
    _names = ("enabled", "cpu_budget", "ram_budget", "autotune_algorithm", "initial_parallelism", "min_parallelism")


class DistributeOptions(_Group):
    _names = ("auto_shard_policy", "num_devices")

    def __init__(self):
        super().__init__()
        self.auto_shard_policy = AutoShardPolicy.AUTO


class OptimizationOptions(_Group):
    _names = ("apply_default_optimizations", "filter_fusion", "filter_parallelization", "inject_prefetch",
              "map_and_batch_fusion", "map_and_filter_fusion", "map_fusion", "map_parallelization", "noop_elimination",
              "parallel_batch", "seq_interleave_prefetch", "shuffle_and_repeat_fusion", "warm_start")


class ThreadingOptions(_Group):
    _names = ("max_intra_op_parallelism", "private_threadpool_size")


class ServiceOptions(_Group):
    _names = ("pinned",)


class Options(_Group):
    _names = ("autotune", "dataset_name", "deterministic", "experimental_deterministic", "experimental_distribute",
              "experimental_external_state_policy", "experimental_optimization", "experimental_service",
              "experimental_slack", "experimental_symbolic_checkpoint", "experimental_threading",
              "experimental_warm_start", "framework_type", "threading")

    def __init__(self):
        super().__init__()
        self.autotune, self.threading = AutotuneOptions(), ThreadingOptions()
        self.experimental_distribute, self.experimental_optimization = DistributeOptions(), OptimizationOptions()
        self.experimental_threading, self.experimental_service = self.threading, ServiceOptions()

    def merge(self, options):
        """A copy with what `options` sets."""
        merged = copy.deepcopy(self)
        _merge(merged, options)
        return merged


def _merge(into, options):
    for name, value in vars(options).items():
        if isinstance(value, _Group):
            _merge(getattr(into, name), value)
        elif value is not None:
            setattr(into, name, value)
