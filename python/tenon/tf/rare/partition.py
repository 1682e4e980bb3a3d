"""Parting tensors, putting them together again, and the rarer of TensorFlow's functions of arrays."""
from tenon import _tenon, nest, raw_ops
from tenon.tensor_shape import TensorShape, as_shape, broadcast, is_number
from tenon.tf import arrays, elementwise


def dynamic_partition(data, partitions, num_partitions, name=None):
    return list(raw_ops.DynamicPartition(data=_tenon.convert(data), partitions=partitions, num_partitions=num_partitions,
                                         name=name))


def dynamic_stitch(indices, data, name=None):
    return raw_ops.DynamicStitch(indices=[_tenon.convert(x, "int32") for x in indices], data=[_tenon.convert(x) for x in data],
                                 name=name)


def edit_distance(hypothesis, truth, normalize=True, name=None):
    """Levenshtein's distance of sequences, which are sparse tensors."""
    return raw_ops.EditDistance(
        hypothesis_indices=hypothesis.indices, hypothesis_values=hypothesis.values, hypothesis_shape=hypothesis.dense_shape,
        truth_indices=truth.indices, truth_values=truth.values, truth_shape=truth.dense_shape, normalize=normalize, name=name)


def unravel_index(indices, dims, name=None):
    indices = _tenon.convert(indices)
    return raw_ops.UnravelIndex(indices=indices, dims=_tenon.convert(dims, indices.dtype), name=name)


def _block(block_shape):
    return [block_shape, block_shape] if is_number(block_shape) else block_shape


def space_to_batch(input, block_shape, paddings, name=None):  # noqa: A002: TensorFlow's name
    return raw_ops.SpaceToBatchND(input=_tenon.convert(input), block_shape=_block(block_shape), paddings=paddings, name=name)


space_to_batch_nd = space_to_batch


def batch_to_space(input, block_shape, crops, name=None):  # noqa: A002
    return raw_ops.BatchToSpaceND(input=_tenon.convert(input), block_shape=_block(block_shape), crops=crops, name=name)


def identity_n(input, name=None):  # noqa: A002
    return list(raw_ops.IdentityN(input=[_tenon.convert(x) for x in input]))


def shape_n(input, out_type="int32", name=None):  # noqa: A002
    return [arrays.shape(x, out_type) for x in input]


def parallel_stack(values, name="parallel_stack"):
    return arrays.stack(values)


def fingerprint(data, method="farmhash64", name=None):
    return raw_ops.Fingerprint(data=_tenon.convert(data), method=method, name=name)


def extract_volume_patches(input, ksizes, strides, padding, name=None):  # noqa: A002
    return raw_ops.ExtractVolumePatches(input=_tenon.convert(input), ksizes=list(ksizes), strides=list(strides), padding=padding)


def tuple(tensors, control_inputs=None, name=None):  # noqa: A001
    """The tensors as a list: what has effects runs in Python's order."""
    return list(tensors)


def no_op(name=None):
    """Nothing, to be returned where an operation is expected."""
    return None


def timestamp(name=None):
    """The time in seconds since 1970, when the graph runs."""
    return raw_ops.Timestamp()


def guarantee_const(input, name=None):  # noqa: A002
    return arrays.identity(input)


def foldr(fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False, name=None):
    """foldl() from the last row to the first."""
    from tenon.tf import functional
    turned = nest.map_structure(lambda x: arrays.reverse(_tenon.convert(x), [0]), elems)
    return functional.foldl(fn, turned, initializer)


def random_index_shuffle(index, seed, max_index, rounds=4, name=None):
    """Where `index` goes in a permutation of the numbers to `max_index` that `seed` says."""
    index = _tenon.convert(index)
    return raw_ops.RandomIndexShuffle(index=index, seed=elementwise.cast(seed, "uint32"),
                                      max_index=_tenon.convert(max_index, index.dtype), rounds=rounds)


def broadcast_static_shape(shape_x, shape_y):
    """The shape of what an element-by-element op makes of two shapes."""
    a, b = as_shape(shape_x), as_shape(shape_y)
    dims = broadcast(a, b)
    if dims is None and None not in (a.rank, b.rank):
        raise ValueError(f"Incompatible shapes for broadcasting: {a} and {b}")
    return TensorShape(dims)


def broadcast_dynamic_shape(shape_x, shape_y):
    return raw_ops.BroadcastArgs(s0=arrays.shape_vector(shape_x), s1=arrays.shape_vector(shape_y))
