"""tf.sets: sets along the last dimension of dense and sparse tensors."""
from tenon import _tenon, raw_ops
from tenon.tf import missing as _missing
from tenon.tf.sparse_tensor import SparseTensor


def _parts(prefix, sparse):
    return {f"{prefix}_indices": sparse.indices, f"{prefix}_values": sparse.values, f"{prefix}_shape": sparse.dense_shape}


def _operation(a, b, operation, validate_indices):
    flip = isinstance(a, SparseTensor) and not isinstance(b, SparseTensor)
    if flip:  # there are ops for a dense tensor first
        a, b = b, a
        operation = {"a-b": "b-a", "b-a": "a-b"}.get(operation, operation)
    options = {"set_operation": operation, "validate_indices": validate_indices}
    if isinstance(a, SparseTensor):
        found = raw_ops.SparseToSparseSetOperation(**_parts("set1", a), **_parts("set2", b), **options)
    elif isinstance(b, SparseTensor):
        found = raw_ops.DenseToSparseSetOperation(set1=_tenon.convert(a), **_parts("set2", b), **options)
    else:
        found = raw_ops.DenseToDenseSetOperation(set1=_tenon.convert(a), set2=_tenon.convert(b), **options)
    return SparseTensor(found.result_indices, found.result_values, found.result_shape)


def intersection(a, b, validate_indices=True):
    return _operation(a, b, "intersection", validate_indices)


def union(a, b, validate_indices=True):
    return _operation(a, b, "union", validate_indices)


def difference(a, b, aminusb=True, validate_indices=True):
    return _operation(a, b, "a-b" if aminusb else "b-a", validate_indices)


def size(a, validate_indices=True):
    return raw_ops.SetSize(**_parts("set", a), validate_indices=validate_indices)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.sets", name, globals()))
