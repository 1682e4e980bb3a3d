"""What a replica knows of itself and of the others."""
from tenon import _tenon, nest, raw_ops, replicas
from tenon.composite import is_composite
from tenon.custom_gradient import custom_gradient
from tenon.tf.distribute.values import PerReplica, ReduceOp


def reduce_values(op, values):
    """One tensor of those of all replicas, added up in their order."""
    values = [_tenon.convert(value) for value in values]
    if len(values) == 1:
        return values[0]
    total = raw_ops.AddN(inputs=values)
    if op is ReduceOp.SUM:
        return total
    from tenon.tf import elementwise
    return elementwise.truediv(total, elementwise.cast(len(values), total.dtype))


class ReplicaContext:
    """Of the replica that asks."""

    def __init__(self, strategy, replica_id_in_sync_group=0, replica=None):
        self._strategy, self._index, self._replica = strategy, replica_id_in_sync_group, replica

    @property
    def strategy(self):
        return self._strategy

    @property
    def replica_id_in_sync_group(self):
        return _tenon.convert(self._index)

    @property
    def num_replicas_in_sync(self):
        return self._strategy.num_replicas_in_sync

    @property
    def devices(self):
        return [self._strategy.extended.worker_devices[self._index]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def merge_call(self, merge_fn, args=(), kwargs=None):
        """What `merge_fn(strategy, ...)` returns, called once, with values by replica."""
        kwargs = kwargs or {}
        if self._replica is not None:
            return self._replica.merge(merge_fn, args, kwargs)
        with self._strategy._for_all():
            return merge_fn(self._strategy, *args, **kwargs)

    def all_reduce(self, reduce_op, value, options=None):
        """The sum or the mean of the replicas' values, in each of them. Gradients flow back to all."""
        op = ReduceOp.of(reduce_op)
        if self._replica is None:
            return nest.map_structure(lambda leaf: leaf if is_composite(leaf) else _tenon.convert(leaf), value)
        flat = [_tenon.convert(leaf) for leaf in nest.flatten(value)]
        if not flat:
            return value

        def merged(strategy, *leaves):
            count = replicas.current().count
            return tuple(reduce_values(op, leaf if isinstance(leaf, PerReplica) else [leaf] * count) for leaf in leaves)

        @custom_gradient
        def reduced(*leaves):
            return self.merge_call(merged, leaves), lambda *dys: list(self.all_reduce(op, dys))

        # The integers among them have no gradient to give.
        return nest.pack_sequence_as(value, nest.flatten(reduced(*flat)))

    def all_gather(self, value, axis, options=None):
        """The replicas' tensors put together along `axis`, in each of them."""
        def gathered(strategy, *leaves):
            return tuple(strategy.gather(leaf, axis) for leaf in leaves)

        if self._replica is None:
            return value
        whole = self.merge_call(gathered, tuple(nest.flatten(value)))
        return nest.pack_sequence_as(value, [raw_ops.Identity(input=leaf) for leaf in whole])  # one for each replica

    def __repr__(self):
        return f"<ReplicaContext {self._index} of {self._strategy.num_replicas_in_sync}>"
