"""Batches of a tf.data.Dataset as Keras' trainers ask for them."""
import numpy as np

import tenon
from keras.src import tree
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from tenon import raw_ops
from tenon.composite import CompositeTensor


def is_dataset(value):
    return hasattr(value, "element_spec") and hasattr(value, "as_numpy_iterator")


def is_no_array(value):
    """Whether Keras' slices of arrays do not know it: ragged and sparse tensors, and texts."""
    return isinstance(value, CompositeTensor) or isinstance(value, tenon.Tensor) and value.dtype == "string"


def rows_of(x, y, sample_weight, options):
    """A dataset of batches of arrays among which are ragged or sparse tensors, or texts."""
    import tenon.tf as tf
    parts = [x] if y is None and sample_weight is None else [x, y] if sample_weight is None else [x, y, sample_weight]
    rows = tf.data.Dataset.from_tensor_slices(tuple(parts))
    if options.get("shuffle"):
        rows = rows.shuffle(max(1, len(rows)))
    return rows.batch(options.get("batch_size") or 32)


def is_shuffled(adapter):
    return isinstance(adapter, ArrayDataAdapter) and bool(adapter._shuffle)


def shuffled_batches(adapter):
    """Batches of arrays in the order in which Keras' TensorFlow backend takes them, whose shuffle begins anew with every epoch:
    where a global seed was set, all epochs have the same order. NumPy's own random numbers go on untouched."""
    from tenon.tf import random
    rows, size = adapter._num_samples, adapter._batch_size
    # In the function that TensorFlow maps over the epochs the op's own seed is 0.
    seed, second = random._seeds(None if random._state["seed"] is None else 0)
    if adapter._shuffle == "batch":
        generator = np.random.default_rng((seed, second))
        order = np.concatenate([first + generator.permutation(min(size, rows - first)) for first in range(0, rows, size)])
    else:
        # An eager op would go on with the numbers that its last call left.
        order = tenon.function(lambda: raw_ops.RandomShuffle(value=np.arange(rows), seed=seed, seed2=second), autograph=False)().numpy()
    inputs = array_slicing.convert_to_sliceable(adapter._inputs, target_backend="numpy")
    for first in range(0, rows, size):
        yield tree.map_structure(lambda part, at=order[first:first + size]: part.convert_to_numpy(part[at]), inputs, none_is_leaf=False)


class DatasetAdapter(DataAdapter):
    def __init__(self, dataset, class_weight=None):
        self._dataset, self._class_weight = dataset, class_weight

    def get_numpy_iterator(self):
        for batch in self._dataset:
            if self._class_weight is not None:
                x, y, _ = data_adapter_utils.unpack_x_y_sample_weight(batch)
                batch = x, y, data_adapter_utils.class_weight_to_sample_weights(y.numpy(), self._class_weight)
            yield batch

    @property
    def num_batches(self):
        """None where the dataset does not end or does not know where."""
        count = self._dataset.cardinality
        count = int(count() if callable(count) else count)  # that of what a strategy distributes is a property
        return count if count >= 0 else None

    @property
    def batch_size(self):
        return None

    @property
    def has_partial_batch(self):
        return None

    @property
    def partial_batch_size(self):
        return None
