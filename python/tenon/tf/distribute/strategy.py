"""Strategies: how a computation is spread over replicas."""
import itertools
import weakref

from tenon import _tenon, nest, raw_ops, replicas
from tenon.function import Function
from tenon.tf.distribute import cluster, dataset
from tenon.tf.distribute.context import ReplicaContext, reduce_values
from tenon.tf.distribute.run import in_all_replicas
from tenon.tf.distribute.values import PerReplica, ReduceOp, is_replicated, map_values, regroup, select

_TASK = "/job:localhost/replica:0/task:0"
_numbers = itertools.count(1)


class InputContext:
    """Which part of the data a function that makes a dataset is asked for."""

    def __init__(self, num_input_pipelines=1, input_pipeline_id=0, num_replicas_in_sync=1):
        self.num_input_pipelines, self.input_pipeline_id = num_input_pipelines, input_pipeline_id
        self.num_replicas_in_sync = num_replicas_in_sync

    def get_per_replica_batch_size(self, global_batch_size):
        """ValueError where it can not be divided."""
        if global_batch_size % self.num_replicas_in_sync:
            raise ValueError(f"The `global_batch_size` {global_batch_size!r} is not divisible by `num_replicas_in_sync` "
                             f"{self.num_replicas_in_sync!r} ")
        return global_batch_size // self.num_replicas_in_sync

    def __str__(self):
        return f"tf.distribute.InputContext(input pipeline id {self.input_pipeline_id}, total: {self.num_input_pipelines})"


class ValueContext:
    """For which replica a function is to make a value."""

    def __init__(self, replica_id_in_sync_group=0, num_replicas_in_sync=1):
        self.replica_id_in_sync_group, self.num_replicas_in_sync = replica_id_in_sync_group, num_replicas_in_sync


class StrategyExtended:
    """What optimizers and the like ask of a strategy."""

    num_hosts = 1

    def __init__(self, strategy, devices):
        self._strategy = weakref.ref(strategy)
        self.worker_devices = self.parameter_devices = devices

    @property
    def num_replicas_per_host(self):
        return len(self.worker_devices)

    def colocate_vars_with(self, colocate_with_variable):
        return replicas.Nowhere()

    def update(self, var, fn, args=(), kwargs=None, group=True):
        """`fn(var, ...)` for the variable of each replica."""
        strategy, kwargs = self._strategy(), kwargs or {}
        if not is_replicated(var):
            return fn(var, *select(args, 0), **select(kwargs, 0))
        results = []
        for i in range(1 + len(var._others)):
            with replicas.Place(strategy, strategy.num_replicas_in_sync, replica=i):
                results.append(fn(var, *select(args, i), **select(kwargs, i)))
        return results[0] if group and results[0] is None else regroup(results)

    def reduce_to(self, reduce_op, value, destinations, options=None):
        return self._strategy().reduce(reduce_op, value, axis=None)

    def batch_reduce_to(self, reduce_op, value_destination_pairs, options=None):
        return [self.reduce_to(reduce_op, value, destination) for value, destination in value_destination_pairs]

    def broadcast_to(self, tensor, destinations):
        return tensor

    def call_for_each_replica(self, fn, args=(), kwargs=None):
        strategy = self._strategy()
        return strategy._run(strategy.num_replicas_in_sync, fn, args, kwargs)

    def read_var(self, v):
        return v.read_value()

    def value_container(self, value):
        return getattr(value, "_container", lambda: value)()

    def variable_created_in_scope(self, variable):
        """Whether it has a value for each replica of this strategy."""
        return 1 + len(variable._others) == len(self.worker_devices)

    def _use_merge_call(self):
        return True

    def _in_multi_worker_mode(self):
        return False


class Strategy:
    """Base of all. Its replicas share the processor: they run one after the other, in one graph where they are traced."""

    cluster_resolver = None

    def __init__(self, devices=(_TASK + "/device:CPU:0",)):
        self.number, self.total = next(_numbers), len(devices)
        self.extended = StrategyExtended(self, tuple(devices))
        self._places = [name[len(_TASK):] for name in devices]

    @property
    def num_replicas_in_sync(self):
        place = replicas.current()
        return place.count if place is not None and place.strategy is self else self.total

    # Scopes.

    def device_of(self, replica):
        """Where ops of a replica are placed, or with -1 those that speak for all; "" where nobody says."""
        return self._places[replica] if replica >= 0 or self._places[0].startswith("/device:CPU:") else ""

    def scope(self):
        """While it is open, variables that are made have a value for each replica."""
        place = replicas.current()
        if place is not None and place.strategy is not self:
            raise RuntimeError(f"Mixing different tf.distribute.Strategy objects: {self} is not {place.strategy}")
        return _Scope(self)

    def _for_all(self):
        return replicas.Place(self, self.num_replicas_in_sync)

    def _context_of(self, index, replica=None):
        return ReplicaContext(self, index, replica)

    # Running.

    def run(self, fn, args=(), kwargs=None, options=None):
        """What `fn` returns in each replica, called with its part of the values by replica among the arguments."""
        return self._run(self.total, fn, args, kwargs)

    def _run(self, count, fn, args=(), kwargs=None):
        """As run(), by the first `count` replicas."""
        if not isinstance(args, (list, tuple)):
            raise ValueError(f"positional args must be a list or tuple, got {type(args)}")
        place = replicas.current()
        if place is not None and place.context is not None:
            raise RuntimeError("Method requires being in cross-replica context, use get_replica_context().merge_call()")
        with self.scope():
            if isinstance(fn, Function) and not _tenon.tracing():
                return self._traced(count, fn)(tuple(args), kwargs or {})
            if isinstance(fn, Function):
                fn = fn._traced_function()
            return self._call(count, fn, tuple(args), kwargs or {})

    def _call(self, count, fn, args, kwargs):
        if count > 1:
            return in_all_replicas(self, count, fn, args, kwargs)
        with replicas.Place(self, 1, self._context_of(0), 0):
            return fn(*select(args, 0), **select(kwargs, 0))

    def _traced(self, count, function):
        """The traced function as one that holds all replicas."""
        known = function.of_strategies.setdefault(self, {})
        if count not in known:
            def all_replicas(args, kwargs):
                return self._call(count, function._traced_function(), args, kwargs)

            known[count] = Function(all_replicas, name=function._name, autograph=False)
        return known[count]

    # Values.

    def reduce(self, reduce_op, value, axis=None):
        """The sum or the mean over replicas; over `axis` of their tensors too, where it is given."""
        op = ReduceOp.of(reduce_op)
        return map_values(lambda leaf: self._reduce(op, leaf, axis), value)

    def _reduce(self, op, leaf, axis):
        if is_replicated(leaf):
            leaf = PerReplica(self.experimental_local_results(leaf))
        if axis is not None:
            return _reduced_over(op, list(leaf) if isinstance(leaf, PerReplica) else [leaf], axis)
        if isinstance(leaf, PerReplica):
            return reduce_values(op, leaf)
        if op is ReduceOp.MEAN or self.num_replicas_in_sync == 1:
            return leaf
        if isinstance(leaf, (int, float)) and leaf == 0:
            return _tenon.convert(leaf)
        raise ValueError(f"A non-DistributedValues value {leaf} cannot be reduced with the given reduce op {op}.")

    def gather(self, value, axis):
        """The tensors of all replicas put together along `axis`."""
        if not isinstance(value, PerReplica):
            return _tenon.convert(value)
        return raw_ops.ConcatV2(values=[_tenon.convert(v) for v in value], axis=axis)

    def experimental_local_results(self, value):
        """The values of all replicas, a tuple."""
        if isinstance(value, PerReplica):
            return value.values
        if is_replicated(value):
            return value._by_replica()
        return (value,)

    unwrap = experimental_local_results

    def group(self, value, name=None):
        """Nothing: what was called has run."""

    # Data.

    def experimental_distribute_dataset(self, dataset_, options=None):
        """The dataset with each of its batches shared out to the replicas."""
        return dataset.split(dataset_, self.total)

    def distribute_datasets_from_function(self, dataset_fn, options=None):
        """The dataset that `dataset_fn` makes, whose batches are those of one replica."""
        return dataset.taken_in_turn(dataset_fn(InputContext(1, 0, self.total)), self.total)

    experimental_distribute_datasets_from_function = distribute_datasets_from_function

    def experimental_distribute_values_from_function(self, value_fn):
        """What `value_fn` gives for each replica."""
        return regroup([value_fn(ValueContext(i, self.total)) for i in range(self.total)])


def _reduced_over(op, values, axis):
    """The sum or the mean of all elements along `axis` in all tensors."""
    values = [_tenon.convert(value) for value in values]
    axes = list(axis) if isinstance(axis, (tuple, list)) else [axis]
    total = reduce_values(ReduceOp.SUM, [raw_ops.Sum(input=v, axis=axes) for v in values])
    if op is ReduceOp.SUM:
        return total
    from tenon.tf import elementwise
    sizes = [raw_ops.Prod(input=raw_ops.Gather(params=raw_ops.Shape(input=v), indices=_tenon.convert(axes, "int32")), axis=[0])
             for v in values]
    return elementwise.truediv(total, elementwise.cast(reduce_values(ReduceOp.SUM, sizes), total.dtype))


class _Scope:
    def __init__(self, strategy):
        self._strategy, self._places = strategy, []

    def __enter__(self):
        place = self._strategy._for_all()
        self._places.append(place)
        place.__enter__()
        return self._strategy

    def __exit__(self, *_):
        self._places.pop().__exit__()


class _DefaultStrategy(Strategy):
    """The one that is there where none was made: one replica, in whose scope everything is."""

    def scope(self):
        return replicas.Nowhere(self)

    def _run(self, count, fn, args=(), kwargs=None):
        return fn(*args, **(kwargs or {}))

    def _context_of(self, index, replica=None):
        return default_context

    def _for_all(self):
        return replicas.Nowhere(self)


def _full_name(device):
    """ "/cpu:1" and its kin as "/job:localhost/replica:0/task:0/device:CPU:1"."""
    from tenon.tf.placement import place_of
    try:
        place = place_of(str(device))
    except ValueError:
        place = ""
    if not place:
        raise ValueError(f"Unknown device {device!r}: names are like \"/cpu:0\" and \"/gpu:0\".")
    return _TASK + place


class MirroredStrategy(Strategy):
    """A replica for each device, whose variables stay equal."""

    def __init__(self, devices=None, cross_device_ops=None):
        from tenon.tf.config import accelerators, list_logical_devices
        if isinstance(devices, str):
            devices = [devices]
        names = tuple(map(_full_name, devices or [d.name for d in accelerators() or list_logical_devices("CPU")]))
        if len(set(names)) < len(names):
            raise AssertionError(f"No duplicates allowed in `devices` argument: {names}")
        super().__init__(names)


class OneDeviceStrategy(Strategy):
    """One replica, on the device that is named."""

    def __init__(self, device):
        super().__init__((_full_name(device),))


class MultiWorkerMirroredStrategy(Strategy):
    """One worker, which is what there is without TF_CONFIG. NotImplementedError where the cluster has several."""

    def __init__(self, cluster_resolver=None, communication_options=None):
        self.cluster_resolver = cluster_resolver or cluster.TFConfigClusterResolver()
        workers = self.cluster_resolver.cluster_spec().num_workers()
        if workers > 1:
            raise NotImplementedError(
                f"tf.distribute.MultiWorkerMirroredStrategy: the cluster of TF_CONFIG has {workers} workers, and Tenon trains "
                "on one machine. Unset TF_CONFIG, or use tf.distribute.MirroredStrategy for several devices of it.")
        super().__init__()


def _absent(name):
    class Absent(Strategy):
        def __init__(self, *_, **__):
            raise NotImplementedError(f"Tenon has no tf.distribute.{name}. Near it: tf.distribute.MirroredStrategy.")

    Absent.__name__ = Absent.__qualname__ = name
    return Absent


TPUStrategy, ParameterServerStrategy = _absent("TPUStrategy"), _absent("ParameterServerStrategy")
CentralStorageStrategy = _absent("experimental.CentralStorageStrategy")

default_strategy = _DefaultStrategy()
default_context = ReplicaContext(default_strategy)
