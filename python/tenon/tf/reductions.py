"""Sums, means and the like over axes; sorting and searching."""
from tenon import _tenon, raw_ops
from tenon.tf import elementwise


def _axes(x, axis):
    """All axes where None is asked for."""
    if axis is not None:
        return axis
    rank = x.shape.rank
    if rank is not None:
        return _tenon.convert(list(range(rank)), "int32")
    return raw_ops.Range(start=0, limit=raw_ops.Rank(input=x), delta=1)


def _reduction(name, op):
    def reduce(input_tensor, axis=None, keepdims=False, name=None):
        x = _tenon.convert(input_tensor)
        reduced = getattr(raw_ops, op)(input=x, axis=_axes(x, axis), keep_dims=keepdims, name=name)
        if axis is None and not keepdims and x.shape.rank is None:
            reduced.set_shape([])
        return reduced

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = f"The op {op} over `axis`, over everything where it is None."
    return reduce


reduce_sum = _reduction("reduce_sum", "Sum")
reduce_mean = _reduction("reduce_mean", "Mean")
reduce_max = _reduction("reduce_max", "Max")
reduce_min = _reduction("reduce_min", "Min")
reduce_prod = _reduction("reduce_prod", "Prod")
reduce_any = _reduction("reduce_any", "Any")
reduce_all = _reduction("reduce_all", "All")
reduce_euclidean_norm = _reduction("reduce_euclidean_norm", "EuclideanNorm")


def reduce_variance(input_tensor, axis=None, keepdims=False, name=None):
    x = _tenon.convert(input_tensor)
    if x.dtype.is_integer:
        raise TypeError(f"Input must be either real or complex. Received integer type {x.dtype}.")
    mean = reduce_mean(x, axis, True)
    return reduce_mean(raw_ops.SquaredDifference(x=x, y=mean), axis, keepdims)


def reduce_std(input_tensor, axis=None, keepdims=False, name=None):
    return raw_ops.Sqrt(x=reduce_variance(input_tensor, axis, keepdims))


def reduce_logsumexp(input_tensor, axis=None, keepdims=False, name=None):
    """log(sum(exp(x))), from which the largest value is taken out first."""
    x = _tenon.convert(input_tensor)
    top = raw_ops.StopGradient(input=reduce_max(x, axis, True))
    top = raw_ops.SelectV2(condition=raw_ops.IsFinite(x=top), t=top, e=raw_ops.ZerosLike(x=top))
    total = raw_ops.Log(x=reduce_sum(raw_ops.Exp(x=x - top), axis, True)) + top
    if keepdims:
        return total
    return reduce_sum(total, axis)


def count_nonzero(input, axis=None, keepdims=None, dtype="int64", name=None):  # noqa: A002: TensorFlow's name
    x = _tenon.convert(input)
    zero = raw_ops.ZerosLike(x=x)
    return elementwise.cast(reduce_sum(elementwise.cast(raw_ops.NotEqual(x=x, y=zero), "int64"), axis, bool(keepdims)),
                            dtype)


def argmax(input, axis=None, output_type="int64", name=None):  # noqa: A002
    return raw_ops.ArgMax(input=input, dimension=0 if axis is None else axis, output_type=output_type, name=name)


def argmin(input, axis=None, output_type="int64", name=None):  # noqa: A002
    return raw_ops.ArgMin(input=input, dimension=0 if axis is None else axis, output_type=output_type, name=name)


def cumsum(x, axis=0, exclusive=False, reverse=False, name=None):
    return raw_ops.Cumsum(x=x, axis=axis, exclusive=exclusive, reverse=reverse, name=name)


def cumprod(x, axis=0, exclusive=False, reverse=False, name=None):
    return raw_ops.Cumprod(x=x, axis=axis, exclusive=exclusive, reverse=reverse, name=name)


def top_k(input, k=1, sorted=True, index_type="int32", name=None):  # noqa: A002
    return raw_ops.TopKV2(input=input, k=k, sorted=sorted, index_type=index_type, name=name)


def in_top_k(targets, predictions, k, name=None):
    return raw_ops.InTopKV2(predictions=predictions, targets=targets, k=k, name=name)


def _segments(name):
    def segment(data, segment_ids, name=None):
        return getattr(raw_ops, op)(data=data, segment_ids=segment_ids, name=name)

    def unsorted_segment(data, segment_ids, num_segments, name=None):
        return getattr(raw_ops, "Unsorted" + op)(data=data, segment_ids=segment_ids, num_segments=num_segments,
                                                 name=name)

    op = "Segment" + name.capitalize()
    segment.__name__ = segment.__qualname__ = f"segment_{name}"
    unsorted_segment.__name__ = unsorted_segment.__qualname__ = f"unsorted_segment_{name}"
    return segment, unsorted_segment


segment_sum, unsorted_segment_sum = _segments("sum")
segment_prod, unsorted_segment_prod = _segments("prod")
segment_max, unsorted_segment_max = _segments("max")
segment_min, unsorted_segment_min = _segments("min")


def segment_mean(data, segment_ids, name=None):
    return raw_ops.SegmentMean(data=data, segment_ids=segment_ids, name=name)


def bincount(arr, weights=None, minlength=None, maxlength=None, dtype="int32", name=None, axis=None,
             binary_output=False):
    """How often each number is in `arr`, or the sum of its weights; along the last axis where axis is -1."""
    arr = _tenon.convert(arr)
    if not (axis == -1 and arr.dtype == "int64"):
        arr = elementwise.cast(arr, "int32")
    size = counting_size(arr, minlength, maxlength)
    if axis is None:
        arr = raw_ops.Reshape(tensor=arr, shape=[-1])
        weights = None if weights is None else raw_ops.Reshape(tensor=_tenon.convert(weights), shape=[-1])
    empty = raw_ops.Fill(dims=[0], value=_tenon.convert(0, dtype))
    return raw_ops.DenseBincount(input=arr, size=size, weights=empty if weights is None else weights,
                                 binary_output=binary_output)


def counting_size(values, minlength, maxlength):
    """How many bins bincount() has."""
    zero = _tenon.convert([0], values.dtype)
    size = reduce_max(raw_ops.ConcatV2(values=[raw_ops.Reshape(tensor=values + 1, shape=[-1]), zero], axis=0))
    if minlength is not None:
        size = raw_ops.Maximum(x=size, y=elementwise.cast(minlength, values.dtype))
    if maxlength is not None:
        size = raw_ops.Minimum(x=size, y=elementwise.cast(maxlength, values.dtype))
    return size


def histogram_fixed_width_bins(values, value_range, nbins=100, dtype="int32", name=None):
    values = _tenon.convert(values)
    value_range = _tenon.convert(value_range, None if hasattr(value_range, "dtype") else values.dtype)
    low, high = value_range[0], value_range[1]
    scaled = (values - low) / (high - low)
    bins = raw_ops.Floor(x=elementwise.cast(nbins, values.dtype) * scaled)
    return elementwise.cast(elementwise.clip_by_value(bins, _tenon.convert(0, bins.dtype), elementwise.cast(
        nbins - 1, bins.dtype)), dtype)


def histogram_fixed_width(values, value_range, nbins=100, dtype="int32", name=None):
    values = _tenon.convert(values)
    return raw_ops.HistogramFixedWidth(values=values, value_range=_tenon.convert(
        value_range, None if hasattr(value_range, "dtype") else values.dtype), nbins=nbins, dtype=dtype)


def approx_max_k(operand, k, reduction_dimension=-1, recall_target=0.95, reduction_input_size_override=-1,
                 aggregate_to_topk=True, name=None):
    return raw_ops.ApproxTopK(input=operand, k=k, reduction_dimension=reduction_dimension, recall_target=recall_target,
                              is_max_k=True, reduction_input_size_override=reduction_input_size_override,
                              aggregate_to_topk=aggregate_to_topk)


def confusion_matrix(labels, predictions, num_classes=None, weights=None, dtype="int32", name=None):
    """How often each class (row) was taken for each (column)."""
    labels, predictions = (elementwise.cast(x, "int64") for x in (labels, predictions))
    if num_classes is None:
        num_classes = raw_ops.Maximum(x=reduce_max(labels), y=reduce_max(predictions)) + 1
    size = elementwise.cast(num_classes, "int64")
    values = raw_ops.OnesLike(x=elementwise.cast(predictions, dtype)) if weights is None else elementwise.cast(
        weights, dtype)
    indices = raw_ops.Pack(values=[labels, predictions], axis=1)
    return raw_ops.ScatterNd(indices=indices, updates=values, shape=raw_ops.Pack(values=[size, size]))
