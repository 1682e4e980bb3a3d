"""keras.src.backend.tenon.trainer: Keras' own, fed with arrays; a step is traced once, whatever the size of its batch."""
import functools

import tenon
from keras.src import tree
from keras.src.backend.tenon.in_tree import trainer as _trainer
from keras.src.trainers.epoch_iterator import EpochIterator
from keras_tenon.src import shares
from keras_tenon.src.dataset_adapter import DatasetAdapter, is_dataset, is_no_array, is_shuffled, rows_of, shuffled_batches
from tenon import _tenon, nest
from tenon.composite import CompositeTensor


def _as_array(value):
    """Tensors are sliced as arrays are."""
    return value.numpy() if isinstance(value, tenon.Tensor) else value


class TFEpochIterator(EpochIterator):
    """Batches of one epoch as arrays, whatever they come from."""

    def __init__(self, x, y=None, sample_weight=None, distribute_strategy=None, **options):
        if any(is_no_array(v) for v in tree.flatten(x)):
            x, y, sample_weight = rows_of(x, y, sample_weight, options), None, None
        if is_dataset(x) or shares.is_shared_out(x):
            x = DatasetAdapter(x, options.get("class_weight"))
        x, y, sample_weight = (v if v is None else tree.map_structure(_as_array, v) for v in (x, y, sample_weight))
        super().__init__(x=x, y=y, sample_weight=sample_weight, **options)

    def _get_iterator(self):
        return shuffled_batches(self.data_adapter) if is_shuffled(self.data_adapter) else super()._get_iterator()

    def __next__(self):
        return next(self._epoch_iterator)


_trainer.TFEpochIterator = TFEpochIterator
globals().update({name: value for name, value in vars(_trainer).items() if not name.startswith("__")})


class _Step:
    """A function of a batch, traced for each kind of batch: structure, dtypes and all dimensions but the first."""

    def __init__(self, function, open_batch):
        self._function = tenon.function(function, autograph=False)
        self._open_batch = open_batch
        self._known = {}

    def __call__(self, data):
        leaves = tree.flatten(data)
        values = [leaf if isinstance(leaf, CompositeTensor) else _tenon.convert(leaf) for leaf in leaves if leaf is not None]
        rows = slice(1 if self._open_batch() else 0, None)
        kinds = tuple(None if leaf is None else (leaf.dtype, leaf.shape[rows], _kind(leaf)) for leaf in _filled(leaves, values))
        key = (_structure(data), kinds)
        concrete = self._known.get(key)
        if concrete is None:
            specs = tree.pack_sequence_as(data, list(_filled(leaves, map(self._spec, values))))
            concrete = self._known[key] = self._function.get_concrete_function(specs)
        return concrete.run(nest.flatten(values, expand_composites=True))

    def _spec(self, tensor):
        shape = tensor.shape.as_list()
        if shape and self._open_batch():
            shape[0] = None
        if isinstance(tensor, CompositeTensor):
            return tensor._type_spec._with_shape(shape)
        return tenon.TensorSpec(shape, tensor.dtype)


def _kind(value):
    """What tells ragged and sparse tensors apart from others of their shape."""
    return value._type_spec._kind if isinstance(value, CompositeTensor) else None


def _filled(leaves, values):
    """The values, with None where a leaf is."""
    values = iter(values)
    return [None if leaf is None else next(values) for leaf in leaves]


def _structure(data):
    """What tells structures apart, hashable."""
    if isinstance(data, dict):
        return (dict, tuple((k, _structure(v)) for k, v in sorted(data.items())))
    if isinstance(data, (list, tuple)):
        return (type(data), tuple(map(_structure, data)))
    return None


class TensorFlowTrainer(_trainer.TensorFlowTrainer):
    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """As Keras does it, by what replica 0 gets where a batch is shared out already."""
        if self._distribute_strategy is not None and iterator is not None:
            data_batch = shares.shares_of(next(next(iter(iterator))[2]), 1)[0]
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)

    def _open_batch(self):
        """Whether the model takes batches of any size."""
        inputs = tree.flatten(getattr(self, "inputs", None) or [])
        return all(x.shape[:1] == (None,) for x in inputs)

    def _traced(self, step, reduction="auto"):
        strategy = self.distribute_strategy

        @functools.wraps(step)
        def one_step(data):
            outputs = strategy.run(step, args=(data,))
            return _trainer.reduce_per_replica(outputs, strategy, reduction=reduction)

        if strategy.num_replicas_in_sync > 1:
            return self._traced_for_replicas(step, reduction)
        return one_step if self.run_eagerly else _Step(one_step, self._open_batch)

    def _traced_for_replicas(self, step, reduction):
        """The step of all replicas is one graph; those that get no rows of a batch take no part in it."""
        strategy = self.distribute_strategy

        @functools.wraps(step)
        def one_step(parts):
            outputs = strategy._run(len(parts), step, (shares.by_replica(parts),))
            return _trainer.reduce_per_replica(outputs, strategy, reduction=reduction)

        all_steps = one_step if self.run_eagerly else _Step(one_step, self._open_batch)

        def shared_out(data):
            parts = shares.shares_of(data, strategy.num_replicas_in_sync)
            outputs = all_steps(parts)
            if len(parts) < strategy.num_replicas_in_sync:
                shares.catch_up(self.variables, len(parts))
            return outputs

        return shared_out

    def _make_function(self, step_function):
        one_step = self._traced(step_function)

        def function(iterator):
            outputs = None
            for _, data in zip(range(self.steps_per_execution), iterator):
                outputs = one_step(data)
            if outputs is None:
                raise StopIteration
            return outputs

        return function

    def make_predict_function(self, force=False):
        if self.predict_function is not None and not force:
            return
        one_step = self._traced(self.predict_step, "concat")

        def function(batches):
            outputs = [one_step(data) for data in batches]
            if len(outputs) == 1:
                return outputs[0]
            return tree.map_structure(lambda *parts: _trainer.concat(list(parts)), *outputs)

        self.predict_function = function
