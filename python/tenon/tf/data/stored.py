"""Datasets kept in files: save, load and snapshot.

A folder holds dataset_spec.json, what elements look like, and for each shard a file of records N.tfrecord: the tensors of its
elements, one after the other, as serialized by tf.io.serialize_tensor. It is written under another name beside it and gets its own
when it is whole. TensorFlow's own folders are of another kind, which neither reads of the other.
"""
import json
import os
import shutil
import tempfile

from tenon import _tenon, errors, nest
from tenon.composite import CompositeSpec
from tenon.tensor_spec import TensorSpec
from tenon.tf.data import structure
from tenon.tf.data.dataset import Dataset
from tenon.tf.data.files import TFRecordDataset

_SPEC = "dataset_spec.json"


def _described(spec):
    """A spec as JSON's values."""
    from tenon.tf.ragged_spec import RaggedTensorSpec
    from tenon.tf.sparse_tensor import SparseTensorSpec
    if isinstance(spec, dict):
        return {"dict": [[key, _described(spec[key])] for key in spec]}
    if isinstance(spec, tuple):
        if hasattr(spec, "_fields"):
            raise TypeError("Elements that are named tuples can not be saved: map them to dictionaries or tuples first.")
        return {"tuple": [_described(part) for part in spec]}
    if isinstance(spec, structure.NoneTensorSpec):
        return {"none": True}
    known = next((name for kind, name in ((TensorSpec, "tensor"), (RaggedTensorSpec, "ragged"), (SparseTensorSpec, "sparse"))
                  if type(spec) is kind), None)
    if known is None:
        raise TypeError(f"Elements with a {type(spec).__name__} can not be saved.")
    found = {"dtype": spec.dtype.name, "shape": None if spec.shape.rank is None else spec.shape.as_list()}
    if known == "ragged":
        found |= {"ragged_rank": spec.ragged_rank, "row_splits_dtype": spec.row_splits_dtype.name}
    return {known: found}


def _spec_of(described):
    from tenon.tf.ragged_spec import RaggedTensorSpec
    from tenon.tf.sparse_tensor import SparseTensorSpec
    (kind, value), = described.items()
    if kind == "dict":
        return {key: _spec_of(part) for key, part in value}
    if kind == "tuple":
        return tuple(map(_spec_of, value))
    if kind == "none":
        return structure.NoneTensorSpec()
    if kind == "ragged":
        return RaggedTensorSpec(value["shape"], value["dtype"], value["ragged_rank"], value["row_splits_dtype"])
    return {"tensor": TensorSpec, "sparse": SparseTensorSpec}[kind](value["shape"], value["dtype"])


def _is_part(spec):
    return not isinstance(spec, structure.NoneTensorSpec)


class _Writer:
    """Writes elements of `spec` to a folder that appears when all are there."""

    def __init__(self, path, spec, compression, shard_func):
        self._path, self._spec, self._compression = os.fspath(path), spec, compression or ""
        self._shard_func = shard_func
        # What is replaced is a dataset, and no folder of somebody's that has this name by mistake.
        if os.path.exists(self._path) and not os.path.exists(os.path.join(self._path, _SPEC)) and (
                not os.path.isdir(self._path) or os.listdir(self._path)):
            raise errors.AlreadyExistsError(None, None, f"'{self._path}' is there and holds no dataset of Tenon's: name another folder.")
        described = _described(spec)
        parent = os.path.dirname(os.path.abspath(self._path))
        os.makedirs(parent, exist_ok=True)
        self._folder = tempfile.mkdtemp(prefix=os.path.basename(self._path) + ".", dir=parent)
        with open(os.path.join(self._folder, _SPEC), "w", encoding="utf-8") as file:
            json.dump(described, file)
        self._shards = {}

    def _writer(self, shard):
        from tenon.tf import io
        if shard not in self._shards:
            self._shards[shard] = io.TFRecordWriter(os.path.join(self._folder, f"{shard:08}.tfrecord"), self._compression)
        return self._shards[shard]

    def write(self, element):
        from tenon.tf import io
        shard = 0
        if self._shard_func is not None:
            shard = int(self._shard_func(*element) if type(element) is tuple else self._shard_func(element))
        if shard < 0:
            raise ValueError(f"`shard_func` must return a number that is not negative, not {shard}.")
        writer = self._writer(shard)
        for part, spec in zip(nest.flatten(element, True), nest.flatten(self._spec, True)):
            if _is_part(spec):
                writer.write(io.serialize_tensor(part).numpy())

    def done(self):
        self._writer(0)
        for writer in self._shards.values():
            writer.close()
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(self._folder, 0o777 & ~umask)
        shutil.rmtree(self._path, ignore_errors=True)
        os.rename(self._folder, self._path)

    def drop(self):
        for writer in self._shards.values():
            writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def save(dataset, path, compression=None, shard_func=None):
    if _tenon.tracing():
        raise NotImplementedError("A dataset is saved by Python, not within a function that is being traced.")
    for _ in _written(dataset, path, compression, shard_func):
        pass


def _written(dataset, path, compression, shard_func):
    """The elements, which are in the folder when the last has been asked for."""
    writer = _Writer(path, dataset.element_spec, compression, shard_func)
    try:
        for element in dataset:
            writer.write(element)
            yield element
    except BaseException:
        writer.drop()
        raise
    writer.done()


def _shard(path, spec):
    """The dataset of one file."""
    from tenon.tf import io
    parts = [leaf for leaf in nest.flatten(spec, True) if _is_part(leaf)]

    def element(records):
        tensors = [io.parse_tensor(records[i], part.dtype) for i, part in enumerate(parts)]
        for tensor, part in zip(tensors, parts):
            tensor.set_shape(part.shape)
        left = iter(tensors)

        def value(leaf):
            if isinstance(leaf, structure.NoneTensorSpec):
                return None
            own = [next(left) for _ in nest.flatten(leaf, True)]
            if not isinstance(leaf, CompositeSpec):
                return own[0]
            return structure.Row(own[0], leaf) if getattr(leaf, "ragged_rank", None) == 0 else leaf._packed(own)

        return structure.map_leaves(value, spec)

    return TFRecordDataset(path).batch(len(parts), drop_remainder=True).map(element)


class _Shards:
    """What a `reader_func` gets: the dataset of the shards, each of which is a dataset."""

    def __init__(self, names, spec):
        self._names, self._spec = names, spec

    def flat_map(self, map_func, name=None):
        return self._names.flat_map(lambda path: map_func(_shard(path, self._spec)))

    def interleave(self, map_func, *args, **options):
        return self._names.interleave(lambda path: map_func(_shard(path, self._spec)), *args, **options)

    def __getattr__(self, name):
        if name not in ("shuffle", "take", "skip", "shard", "repeat", "prefetch", "cache", "with_options"):
            raise AttributeError(f"The shards of a saved dataset have no '{name}': flat_map() or interleave() reads them.")
        return lambda *args, **options: _Shards(getattr(self._names, name)(*args, **options), self._spec)


def load(path, element_spec=None, compression=None, reader_func=None):
    path = os.fspath(path)
    try:
        with open(os.path.join(path, _SPEC), encoding="utf-8") as file:
            spec = _spec_of(json.load(file))
    except FileNotFoundError:
        raise errors.NotFoundError(None, None, f"Could not find {os.path.join(path, _SPEC)}: no dataset of Tenon's was saved "
                                   "there.") from None
    if element_spec is not None and not structure.compatible(element_spec, spec):
        raise ValueError(f"The saved dataset has elements {spec}, not {element_spec}.")
    files = sorted(name for name in os.listdir(path) if name.endswith(".tfrecord"))
    shards = _Shards(Dataset.from_tensor_slices([os.path.join(path, name) for name in files]), spec)
    return reader_func(shards) if reader_func is not None else shards.flat_map(lambda shard: shard)


def snapshot(dataset, path, compression=None, reader_func=None, shard_func=None):
    """Elements pass through and are written; once all have been, they come from the files."""
    spec = dataset.element_spec

    def elements():
        if os.path.exists(os.path.join(path, _SPEC)):
            yield from load(path, spec, compression, reader_func)
        else:
            yield from _written(dataset, path, compression, shard_func)

    made = Dataset.from_generator(elements, output_signature=spec)
    return Dataset(made.pipeline, spec, dataset._cardinality, [dataset, made], keeps=made, kind="Snapshot")
