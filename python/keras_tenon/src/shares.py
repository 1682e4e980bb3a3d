"""Batches shared out to the replicas of a strategy."""
from keras.src import tree
from tenon.tf.distribute.dataset import DistributedDataset
from tenon.tf.distribute.values import PerReplica, regroup


def is_shared_out(data):
    return isinstance(data, DistributedDataset)


def shares_of(data, count):
    """What the replicas get of a batch, of those that get rows: ceil(rows / count) each, the last what is left."""
    leaves = [leaf for leaf in tree.flatten(data) if leaf is not None]
    if any(isinstance(leaf, PerReplica) for leaf in leaves):
        count = next(len(leaf) for leaf in leaves if isinstance(leaf, PerReplica))
        shares = [_part(data, lambda leaf, i=i: leaf[i] if isinstance(leaf, PerReplica) else leaf) for i in range(count)]
    else:
        rows = [leaf.shape[0] for leaf in leaves if leaf.shape]
        most = -(-max(rows, default=0) // count)
        shares = [_part(data, lambda leaf, i=i: leaf[i * most:(i + 1) * most] if leaf.shape else leaf) for i in range(count)]
    return [share for i, share in enumerate(shares) if i == 0 or _has_rows(share)]


def _part(data, of_leaf):
    return tree.map_structure(lambda leaf: None if leaf is None else of_leaf(leaf), data)


def _has_rows(share):
    return all(leaf.shape[0] != 0 for leaf in tree.flatten(share) if leaf is not None and leaf.shape)


def by_replica(shares):
    """The shares as one structure of values by replica."""
    return regroup(shares)


def catch_up(variables, count):
    """Replicas that had no rows, from `count` on, get replica 0's values of what is not added up over them."""
    for variable in variables:
        variable = getattr(variable, "value", variable)
        if getattr(variable, "_others", ()) and variable.synchronization.name != "ON_READ":
            value = variable.read_value()
            for other in variable._others[count - 1:]:
                other.assign(value)
