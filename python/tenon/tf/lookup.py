"""tf.lookup: tables from keys to values."""
import hashlib

from tenon import _tenon, raw_ops
from tenon.composite import CompositeTensor
from tenon.eager import init_scope
from tenon.function import saving
from tenon.tf import missing as _missing
from tenon.tf.trackable import Trackable


class KeyValueTensorInitializer:
    """Keys and values of equal number."""

    def __init__(self, keys, values, key_dtype=None, value_dtype=None, name=None):
        self.keys, self.values = _tenon.convert(keys, key_dtype), _tenon.convert(values, value_dtype)
        self.key_dtype, self.value_dtype = self.keys.dtype, self.values.dtype

    def initialize(self, table):
        raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=self.keys, values=self.values)


class TextFileIndex:
    WHOLE_LINE, LINE_NUMBER = -2, -1


class TextFileInitializer:
    """Keys and values are lines of a text file, columns of them, or their numbers from 0."""

    def __init__(self, filename, key_dtype, key_index, value_dtype, value_index, vocab_size=None, delimiter="\t", name=None,
                 value_index_offset=0):
        self.filename, self.vocab_size, self.delimiter, self.offset = filename, vocab_size, delimiter, value_index_offset
        self.key_dtype, self.key_index = _tenon.as_dtype(key_dtype), key_index
        self.value_dtype, self.value_index = _tenon.as_dtype(value_dtype), value_index

    def initialize(self, table):
        raw_ops.InitializeTableFromTextFileV2(
            table_handle=table.resource_handle, filename=self.filename, key_index=self.key_index,
            value_index=self.value_index, vocab_size=-1 if self.vocab_size is None else self.vocab_size,
            delimiter=self.delimiter, offset=self.offset)


class _Table(Trackable):
    """A table behind a handle, which it shares with whatever captured it."""

    def __init__(self, handle, key_dtype, value_dtype, default_value, name):
        self.resource_handle, self._key_dtype, self._value_dtype = handle, key_dtype, value_dtype
        self._default, self.name = _tenon.convert(default_value, value_dtype), name

    @property
    def default_value(self):
        return self._default

    @property
    def key_dtype(self):
        return self._key_dtype

    @property
    def value_dtype(self):
        return self._value_dtype

    def lookup(self, keys, name=None):
        """The values of `keys`, which may be ragged or sparse; the default where there is none."""
        if isinstance(keys, CompositeTensor):
            return _with_values(keys, self.lookup)
        keys = _tenon.convert(keys, None if isinstance(keys, _tenon.Tensor) else self._key_dtype)
        if keys.dtype != self._key_dtype:
            raise TypeError(f"Dtype of argument `keys` must be {self._key_dtype.name}, received: {keys.dtype.name}")
        handle = self._handle_of_file() if saving() and _tenon.tracing() else self.resource_handle
        found = raw_ops.LookupTableFindV2(table_handle=handle, keys=keys, default_value=self._default)
        if found.is_symbolic:
            found.set_shape(keys.shape + self._default.shape)
        return found

    def _handle_of_file(self):
        """The table as a graph has it that is written to a file: named by what it holds, and filled by whoever finds it
        empty."""
        from tenon.tf import control_flow
        with init_scope():
            keys, values = self.export()
            content = repr((keys.dtype.name, values.dtype.name, keys.numpy().tolist(), values.numpy().tolist()))
        name = "table_" + hashlib.sha256(content.encode()).hexdigest()[:24]
        handle = self._graph_op(key_dtype=self._key_dtype, value_dtype=self._value_dtype, shared_name=name)
        if keys.shape[0] == 0:
            keys, values = None, None

        def fill():
            if keys is not None:
                raw_ops.LookupTableImportV2(table_handle=handle, keys=keys, values=values)
            return True

        control_flow.cond(raw_ops.LookupTableSizeV2(table_handle=handle) == 0, fill, lambda: False)
        return handle

    def __getitem__(self, keys):
        return self.lookup(keys)

    def size(self, name=None):
        return raw_ops.LookupTableSizeV2(table_handle=self.resource_handle)

    def export(self, name=None):
        """(keys, values), in no order."""
        return tuple(raw_ops.LookupTableExportV2(table_handle=self.resource_handle, Tkeys=self._key_dtype,
                                                 Tvalues=self._value_dtype))


def _with_values(keys, lookup):
    """A ragged or sparse tensor with what its values are looked up to."""
    from tenon.tf.ragged_tensor import RaggedTensor
    if isinstance(keys, RaggedTensor):
        return keys.with_flat_values(lookup(keys.flat_values))
    return keys.with_values(lookup(keys.values))


class StaticHashTable(_Table):
    """A table that its initializer fills once."""

    _graph_op = raw_ops.HashTableV2

    def __init__(self, initializer, default_value, name=None, experimental_is_anonymous=False):
        key_dtype, value_dtype = initializer.key_dtype, initializer.value_dtype
        handle = raw_ops.AnonymousHashTable(key_dtype=key_dtype, value_dtype=value_dtype)
        super().__init__(handle, key_dtype, value_dtype, default_value, name or "hash_table")
        initializer.initialize(self)


class MutableHashTable(_Table):
    """A table that programs write."""

    _graph_op = raw_ops.MutableHashTableV2

    def __init__(self, key_dtype, value_dtype, default_value, name="MutableHashTable", checkpoint=True,
                 experimental_is_anonymous=False):
        key_dtype, value_dtype = _tenon.as_dtype(key_dtype), _tenon.as_dtype(value_dtype)
        super().__init__(raw_ops.AnonymousMutableHashTable(key_dtype=key_dtype, value_dtype=value_dtype), key_dtype,
                         value_dtype, default_value, name)

    def insert(self, keys, values, name=None):
        raw_ops.LookupTableInsertV2(table_handle=self.resource_handle, keys=_tenon.convert(keys, self._key_dtype),
                                    values=_tenon.convert(values, self._value_dtype))

    def remove(self, keys, name=None):
        raw_ops.LookupTableRemoveV2(table_handle=self.resource_handle, keys=_tenon.convert(keys, self._key_dtype))


class DenseHashTable(MutableHashTable):
    """A table that programs write, with a key for places that are empty and one for those that were."""

    def __init__(self, key_dtype, value_dtype, default_value, empty_key, deleted_key, initial_num_buckets=None,
                 name="MutableDenseHashTable", checkpoint=True, experimental_is_anonymous=False):
        key_dtype, value_dtype = _tenon.as_dtype(key_dtype), _tenon.as_dtype(value_dtype)
        default = _tenon.convert(default_value, value_dtype)
        handle = raw_ops.AnonymousMutableDenseHashTable(
            empty_key=_tenon.convert(empty_key, key_dtype), deleted_key=_tenon.convert(deleted_key, key_dtype),
            value_dtype=value_dtype, value_shape=default.shape, initial_num_buckets=initial_num_buckets or 1 << 17)
        _Table.__init__(self, handle, key_dtype, value_dtype, default, name)

    insert_or_assign = MutableHashTable.insert
    erase = MutableHashTable.remove


class StaticVocabularyTable:
    """A table of ids in which keys that it lacks get one of `num_oov_buckets` further ids, by their hash."""

    def __init__(self, initializer, num_oov_buckets, lookup_key_dtype=None, name=None, experimental_is_anonymous=False):
        if num_oov_buckets < 1:
            raise ValueError("oov_buckets must be > 0.")
        self._table = StaticHashTable(initializer, -1)
        self._buckets, self.name = num_oov_buckets, name or "static_vocabulary_table"

    @property
    def key_dtype(self):
        return self._table.key_dtype

    @property
    def value_dtype(self):
        return self._table.value_dtype

    def size(self, name=None):
        return self._table.size() + self._buckets

    def lookup(self, keys, name=None):
        if isinstance(keys, CompositeTensor):
            return _with_values(keys, self.lookup)
        keys = _tenon.convert(keys, None if isinstance(keys, _tenon.Tensor) else self.key_dtype)
        text = keys if keys.dtype == "string" else raw_ops.AsString(input=keys)
        hashed = raw_ops.StringToHashBucketFast(input=text, num_buckets=self._buckets) + self._table.size()
        found = self._table.lookup(keys)
        return raw_ops.SelectV2(condition=found != -1, t=found, e=hashed)

    def __getitem__(self, keys):
        return self.lookup(keys)


experimental = _missing.namespace("tf.lookup.experimental", MutableHashTable=MutableHashTable, DenseHashTable=DenseHashTable)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.lookup", name, globals()))
