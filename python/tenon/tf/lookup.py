"""tf.lookup: tables from keys to values."""
from tenon import _tenon, raw_ops
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

    def __init__(self, handle, key_dtype, value_dtype, default_value):
        self.resource_handle, self._key_dtype, self._value_dtype = handle, key_dtype, value_dtype
        self._default = _tenon.convert(default_value, value_dtype)

    @property
    def key_dtype(self):
        return self._key_dtype

    @property
    def value_dtype(self):
        return self._value_dtype

    def lookup(self, keys, name=None):
        """The values of `keys`; the default where there is none."""
        keys = _tenon.convert(keys, None if isinstance(keys, _tenon.Tensor) else self._key_dtype)
        if keys.dtype != self._key_dtype:
            raise TypeError(f"Dtype of argument `keys` must be {self._key_dtype.name}, received: {keys.dtype.name}")
        found = raw_ops.LookupTableFindV2(table_handle=self.resource_handle, keys=keys, default_value=self._default)
        if found.is_symbolic:
            found.set_shape(keys.shape + self._default.shape)
        return found

    def __getitem__(self, keys):
        return self.lookup(keys)

    def size(self, name=None):
        return raw_ops.LookupTableSizeV2(table_handle=self.resource_handle)

    def export(self, name=None):
        """(keys, values), in no order."""
        return tuple(raw_ops.LookupTableExportV2(table_handle=self.resource_handle, Tkeys=self._key_dtype,
                                                 Tvalues=self._value_dtype))


class StaticHashTable(_Table):
    """A table that its initializer fills once."""

    def __init__(self, initializer, default_value, name=None, experimental_is_anonymous=False):
        key_dtype, value_dtype = initializer.key_dtype, initializer.value_dtype
        handle = raw_ops.AnonymousHashTable(key_dtype=key_dtype, value_dtype=value_dtype)
        super().__init__(handle, key_dtype, value_dtype, default_value)
        initializer.initialize(self)


class MutableHashTable(_Table):
    """A table that programs write."""

    def __init__(self, key_dtype, value_dtype, default_value, name="MutableHashTable", checkpoint=True,
                 experimental_is_anonymous=False):
        key_dtype, value_dtype = _tenon.as_dtype(key_dtype), _tenon.as_dtype(value_dtype)
        super().__init__(raw_ops.AnonymousMutableHashTable(key_dtype=key_dtype, value_dtype=value_dtype), key_dtype,
                         value_dtype, default_value)

    def insert(self, keys, values, name=None):
        raw_ops.LookupTableInsertV2(table_handle=self.resource_handle, keys=_tenon.convert(keys, self._key_dtype),
                                    values=_tenon.convert(values, self._value_dtype))

    def remove(self, keys, name=None):
        raw_ops.LookupTableRemoveV2(table_handle=self.resource_handle, keys=_tenon.convert(keys, self._key_dtype))


class StaticVocabularyTable:
    """A table of ids in which keys that it lacks get one of `num_oov_buckets` further ids, by their hash."""

    def __init__(self, initializer, num_oov_buckets, lookup_key_dtype=None, name=None, experimental_is_anonymous=False):
        if num_oov_buckets < 1:
            raise ValueError("oov_buckets must be > 0.")
        self._table = StaticHashTable(initializer, -1)
        self._buckets = num_oov_buckets

    @property
    def key_dtype(self):
        return self._table.key_dtype

    @property
    def value_dtype(self):
        return self._table.value_dtype

    def size(self, name=None):
        return self._table.size() + self._buckets

    def lookup(self, keys, name=None):
        keys = _tenon.convert(keys, None if isinstance(keys, _tenon.Tensor) else self.key_dtype)
        text = keys if keys.dtype == "string" else raw_ops.AsString(input=keys)
        hashed = raw_ops.StringToHashBucketFast(input=text, num_buckets=self._buckets) + self._table.size()
        found = self._table.lookup(keys)
        return raw_ops.SelectV2(condition=found != -1, t=found, e=hashed)

    def __getitem__(self, keys):
        return self.lookup(keys)


experimental = _missing.namespace("tf.lookup.experimental", MutableHashTable=MutableHashTable)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.lookup", name, globals()))
