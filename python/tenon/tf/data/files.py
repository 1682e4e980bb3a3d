"""Datasets of what files hold."""
import os

from tenon import _tenon
from tenon.tensor_spec import TensorSpec
from tenon.tf.data import structure
from tenon.tf.data.dataset import UNKNOWN_CARDINALITY, Dataset, symbolic


def _files(filenames, compression_type, kind, make):
    """What `make` reads in files, given as names or as a dataset of names; compression is found by content."""
    if compression_type not in (None, "", "GZIP", "ZLIB"):
        raise ValueError(f"compression_type is '', 'GZIP' or 'ZLIB', not {compression_type!r}.")
    if isinstance(filenames, Dataset):
        return filenames.flat_map(lambda names: _files(names, compression_type, kind, make))
    names = [os.fspath(f) if hasattr(f, "__fspath__") else f for f in filenames] if isinstance(filenames, (list, tuple)) else (
        os.fspath(filenames) if hasattr(filenames, "__fspath__") else filenames)
    if not isinstance(names, _tenon.Tensor):
        names = structure.constant(names, "string")
    return Dataset(make(names), TensorSpec([], "string"), UNKNOWN_CARDINALITY, symbols=symbolic([names]), kind=kind)


class FileDataset(Dataset):
    """A dataset of the elements of another."""

    def _read(self, of):
        Dataset.__init__(self, of.pipeline, of.element_spec, of._cardinality, of._inputs, of.symbols, of._keeps)


class TextLineDataset(FileDataset):
    """The lines of text files."""

    def __init__(self, filenames, compression_type=None, buffer_size=None, num_parallel_reads=None, name=None):
        self._read(_files(filenames, compression_type, "TextLine", _tenon.Pipeline.text_lines))


class TFRecordDataset(FileDataset):
    """The records of TFRecord files."""

    def __init__(self, filenames, compression_type=None, buffer_size=None, num_parallel_reads=None, name=None):
        self._read(_files(filenames, compression_type, "TFRecord", _tenon.Pipeline.records))
