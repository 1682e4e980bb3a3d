"""Writing TFRecord files."""
import os

from tenon import _tenon


class TFRecordOptions:
    """How records are compressed: by "GZIP", "ZLIB" or not."""

    def __init__(self, compression_type=None, flush_mode=None, input_buffer_size=None, output_buffer_size=None,
                 window_bits=None, compression_level=None, compression_method=None, mem_level=None,
                 compression_strategy=None):
        self.compression_type = compression_type or ""


class TFRecordWriter:
    """Writes a file record by record."""

    def __init__(self, path, options=None):
        options = options if isinstance(options, TFRecordOptions) else TFRecordOptions(options)
        self._native = _tenon.RecordWriter(os.fspath(path), options.compression_type)

    def write(self, record):
        self._native.append(record)

    def flush(self):
        self._native.flush()

    def close(self):
        self._native.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
