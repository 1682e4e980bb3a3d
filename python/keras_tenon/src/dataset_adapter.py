"""Batches of a tf.data.Dataset as Keras' trainers ask for them."""
from keras.src.trainers.data_adapters import data_adapter_utils
from keras.src.trainers.data_adapters.data_adapter import DataAdapter


def is_dataset(value):
    return hasattr(value, "element_spec") and hasattr(value, "as_numpy_iterator")


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
        count = int(self._dataset.cardinality())
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
