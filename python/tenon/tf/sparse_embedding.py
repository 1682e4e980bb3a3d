"""tf.nn.embedding_lookup_sparse: rows of a table, summed by what a sparse tensor of ids has in each row."""
from tenon import _tenon, raw_ops


def embedding_lookup_sparse(params, sp_ids, sp_weights=None, combiner=None, max_norm=None, name=None,
                            allow_fast_lookup=False):
    combiner = "mean" if combiner is None else combiner
    if combiner not in ("mean", "sqrtn", "sum"):
        raise ValueError(f"combiner must be one of 'mean', 'sqrtn' or 'sum', got {combiner}")
    params = _tenon.convert(params[0] if isinstance(params, (list, tuple)) and len(params) == 1 else params)
    rows = raw_ops.Cast(x=sp_ids.indices[:, 0], DstT="int32")
    if sp_weights is None and max_norm is None:
        op = {"sum": "SparseSegmentSum", "mean": "SparseSegmentMean", "sqrtn": "SparseSegmentSqrtN"}[combiner]
        return getattr(raw_ops, op)(data=params, indices=sp_ids.values, segment_ids=rows)
    found = raw_ops.GatherV2(params=params, indices=sp_ids.values, axis=0)
    if max_norm is not None:
        from tenon.tf.elementwise import clip_by_norm
        found = clip_by_norm(found, max_norm, axes=list(range(1, found.shape.rank)))
    if sp_weights is None:
        weights = raw_ops.OnesLike(x=raw_ops.Cast(x=sp_ids.values, DstT=params.dtype))
    else:
        weights = raw_ops.Cast(x=sp_weights.values, DstT=params.dtype)
    column = raw_ops.Reshape(tensor=weights, shape=_tenon.convert([-1] + [1] * (found.shape.rank - 1), "int32"))
    total = raw_ops.SegmentSum(data=found * column, segment_ids=rows)
    if combiner == "sum":
        return total
    norm = raw_ops.SegmentSum(data=column if combiner == "mean" else column * column, segment_ids=rows)
    return raw_ops.DivNoNan(x=total, y=norm if combiner == "mean" else raw_ops.Sqrt(x=norm))


def safe_embedding_lookup_sparse(embedding_weights, sparse_ids, sparse_weights=None, combiner="mean", default_id=None,
                                 max_norm=None, name=None, allow_fast_lookup=False):
    """Rows without ids, or with ids below 0 or weights of 0 alone, get the vector of `default_id`, or zeros."""
    from tenon.tf import sparse
    rank, whole = sparse_ids.shape.rank, sparse_ids.dense_shape
    if rank is not None and rank > 2:  # rows of rows are rows
        sparse_ids = sparse.reshape(sparse_ids, _rows(whole))
        if sparse_weights is not None:
            sparse_weights = sparse.reshape(sparse_weights, _rows(whole))
        found = safe_embedding_lookup_sparse(embedding_weights, sparse_ids, sparse_weights, combiner, default_id, max_norm)
        return raw_ops.Reshape(tensor=found, shape=raw_ops.ConcatV2(values=[
            whole[:-1], raw_ops.Shape(input=found, out_type="int64")[1:]], axis=0))
    kept = sparse_ids.values >= 0
    if sparse_weights is not None:
        kept = raw_ops.LogicalAnd(x=kept, y=sparse_weights.values > 0)
        sparse_weights = sparse.retain(sparse_weights, kept)
    ids = sparse.retain(sparse_ids, kept)
    ids, empty = sparse.fill_empty_rows(ids, 0 if default_id is None else default_id)
    if sparse_weights is not None:
        sparse_weights, _ = sparse.fill_empty_rows(sparse_weights, 1)
    found = embedding_lookup_sparse(embedding_weights, ids, sparse_weights, combiner, max_norm)
    if default_id is not None:
        return found
    empty = raw_ops.Reshape(tensor=empty, shape=_tenon.convert([-1] + [1] * (found.shape.rank - 1), "int32"))
    return raw_ops.SelectV2(condition=empty, t=raw_ops.ZerosLike(x=found), e=found)


def _rows(shape):
    rows = raw_ops.Prod(input=shape[:-1], axis=[0], keep_dims=False)
    return raw_ops.Pack(values=[rows, shape[-1]])
