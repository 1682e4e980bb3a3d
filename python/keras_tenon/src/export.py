"""keras.src.backend.tenon.export: Keras' own; lookup tables, which exported functions make themselves, are not looked for."""
from keras.src.backend.tenon.in_tree import export as _export


class TFExportArchive(_export.TFExportArchive):
    def _filter_and_track_resources(self):
        from keras.src.export.saved_model_export_archive import _list_variables_used_by_fns
        trainable, others = _list_variables_used_by_fns([self._get_concrete_fn(name) for name in self._endpoint_names])
        self._tf_trackable._all_variables = trainable + others
