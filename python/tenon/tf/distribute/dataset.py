"""Data for several replicas."""
from tenon import _tenon, nest
from tenon.tensor_spec import TensorSpec
from tenon.tf.data import structure
from tenon.tf.data.in_graph import ReadIterator, begin
from tenon.tf.data.iterator import Optional
from tenon.tf.distribute.values import PerReplica, PerReplicaSpec, regroup


class DistributedDataset:
    """Elements whose leaves are tensors by replica."""

    def __init__(self, dataset, count, shared_out):
        self._dataset, self._count, self._shared_out = dataset, count, shared_out

    def __iter__(self):
        return self._in_graph() if _tenon.tracing() else self._pass()

    @property
    def element_spec(self):
        return structure.map_leaves(lambda spec: PerReplicaSpec([spec] * self._count), self._spec_of_one())

    def _spec_of_one(self):
        """What a replica gets."""
        def shared(spec):
            return TensorSpec(spec.shape if spec.shape.rank is None else [None, *spec.shape[1:]], spec.dtype)

        return structure.map_leaves(shared, self._dataset.element_spec) if self._shared_out else self._dataset.element_spec

    @property
    def cardinality(self):
        count = int(self._dataset.cardinality())
        return _tenon.convert(count if self._shared_out or count < 0 else -(-count // self._count), "int64")

    def _parts(self, iterator):
        """The next element by replica; StopIteration where no replica has one."""
        if self._shared_out:
            element = next(iterator)
            return [share_of(element, i, self._count) for i in range(self._count)]
        parts = [next(iterator)]
        for _ in range(1, self._count):
            # Who comes too late in the last step has no rows.
            parts.append(next(iterator, None))
        return [_no_rows(parts[0]) if part is None else part for part in parts]

    def _in_graph(self):
        return begin(ElementsByReplica(self), self._pass, self._dataset.symbols)

    def _pass(self, ids=(), values=()):
        return DistributedIterator(self, self._dataset._pass(ids, values))


class ElementsByReplica:
    """What a DistributedDataset's elements are made of."""

    def __init__(self, dataset):
        self.element_spec, self._spec, self._count = dataset.element_spec, dataset._spec_of_one(), dataset._count

    def specs(self):
        return structure.tensor_leaves(self._spec) * self._count

    def packed(self, tensors):
        each = len(tensors) // self._count
        return regroup([structure.pack(self._spec, tensors[i * each:(i + 1) * each]) for i in range(self._count)], PerReplica)


class DistributedIterator(ReadIterator):
    """One pass over a DistributedDataset."""

    def __init__(self, dataset, iterator):
        self._dataset, self._iterator, self._elements = dataset, iterator, ElementsByReplica(dataset)

    @property
    def element_spec(self):
        return self._dataset.element_spec

    def close(self):
        self._iterator.close()

    def _read(self):
        try:
            parts = self._dataset._parts(self._iterator)
        except StopIteration:
            return None
        return [tensor for part in parts for tensor in structure.encoded(structure.normalize(part))]

    def __iter__(self):
        return self._in_graph() if _tenon.tracing() else self

    def __next__(self):
        if _tenon.tracing():
            return self._in_graph().get_next()
        return regroup(self._dataset._parts(self._iterator), PerReplica)

    def get_next(self):
        """The next element; OutOfRangeError at the end."""
        from tenon import errors
        try:
            return next(self)
        except StopIteration:
            raise errors.OutOfRangeError(None, None, "End of sequence [Op:IteratorGetNext]") from None

    def get_next_as_optional(self):
        if _tenon.tracing():
            return self._in_graph().get_next_as_optional()
        element = next(self, None)
        return Optional.empty(self.element_spec) if element is None else Optional.from_value(element)


def share_of(batch, replica, count):
    """The rows of a replica: ceil(rows / count) for each of the first, what is left for the last."""
    def rows(leaf):
        if leaf is None:
            return None
        if not leaf.shape:
            raise ValueError("Elements that are shared out to replicas are batches, and this one is a scalar: call "
                             "`dataset.batch()` first.")
        most = -(-leaf.shape[0] // count)
        return leaf[replica * most:(replica + 1) * most]

    return nest.map_structure(rows, batch)


def _no_rows(element):
    return nest.map_structure(lambda leaf: leaf if leaf is None else leaf[:0], element)


def split(dataset, count):
    return dataset if count == 1 else DistributedDataset(dataset, count, True)


def taken_in_turn(dataset, count):
    return dataset if count == 1 else DistributedDataset(dataset, count, False)
