"""tf.distribute: several replicas of a model, trained together."""
from tenon import replicas as _replicas
from tenon.tf import missing as _missing
from tenon.tf.distribute import cluster as _cluster
from tenon.tf.distribute import strategy as _strategy
from tenon.tf.distribute.context import ReplicaContext  # noqa: F401
from tenon.tf.distribute.dataset import DistributedDataset, DistributedIterator  # noqa: F401
from tenon.tf.distribute.strategy import (  # noqa: F401
    InputContext, MirroredStrategy, MultiWorkerMirroredStrategy, OneDeviceStrategy, ParameterServerStrategy, Strategy,
    StrategyExtended, TPUStrategy)
from tenon.tf.distribute.values import DistributedValues, ReduceOp  # noqa: F401


class _Kept:
    """Options that change how, not what; there is one way here."""

    def __init__(self, *args, **kwargs):
        self.__dict__.update(kwargs)


class CrossDeviceOps(_Kept):
    """How values of several devices are added up. They share memory here: all kinds are one."""


class NcclAllReduce(CrossDeviceOps):
    pass


class HierarchicalCopyAllReduce(CrossDeviceOps):
    pass


class ReductionToOneDevice(CrossDeviceOps):
    pass


class InputOptions(_Kept):
    pass


class RunOptions(_Kept):
    pass


def get_strategy():
    """The strategy in whose scope this is; outside of all scopes one with one replica."""
    place = _replicas.current()
    return _strategy.default_strategy if place is None else place.strategy


def has_strategy():
    """Whether this is in the scope of a strategy."""
    return _replicas.current() is not None


def get_replica_context():
    """That of the replica which this is; None in a strategy's scope outside of its replicas."""
    place = _replicas.current()
    return _strategy.default_context if place is None else place.context


def in_cross_replica_context():
    """Whether this is in a strategy's scope outside of its replicas."""
    place = _replicas.current()
    return place is not None and place.context is None


cluster_resolver = _missing.namespace(
    "tf.distribute.cluster_resolver", ClusterResolver=_cluster.ClusterResolver,
    SimpleClusterResolver=_cluster.SimpleClusterResolver, TFConfigClusterResolver=_cluster.TFConfigClusterResolver)
experimental = _missing.namespace(
    "tf.distribute.experimental", MultiWorkerMirroredStrategy=MultiWorkerMirroredStrategy, TPUStrategy=TPUStrategy,
    ParameterServerStrategy=ParameterServerStrategy, CentralStorageStrategy=_strategy.CentralStorageStrategy,
    CommunicationImplementation=_cluster.CommunicationImplementation,
    CollectiveCommunication=_cluster.CommunicationImplementation, CommunicationOptions=_cluster.CommunicationOptions,
    CollectiveHints=_cluster.CommunicationOptions, ValueContext=_strategy.ValueContext)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.distribute", name, globals()))
