"""tf.nn: what goes over windows of images apart from convolutions and plain pools, and the like."""
from tenon import _tenon, raw_ops
from tenon.tf import random
from tenon.tf.convolutions import _numbers, convolution


def local_response_normalization(input, depth_radius=5, bias=1, alpha=1, beta=0.5, name=None):  # noqa: A002: TensorFlow's name
    return raw_ops.LRN(input=_tenon.convert(input), depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta)


lrn = local_response_normalization


def _window(value):
    return [1, *_numbers(value, 2), 1]


def max_pool_with_argmax(input, ksize, strides, padding, data_format="NHWC", output_dtype="int64",  # noqa: A002
                         include_batch_in_index=False, name=None):
    """The largest of each window, and where it is among all elements."""
    if data_format != "NHWC":
        raise ValueError("Attr data_format is 'NHWC' here.")
    return raw_ops.MaxPoolWithArgmax(input=_tenon.convert(input), ksize=_window(ksize), strides=_window(strides), padding=padding,
                                     Targmax=_tenon.as_dtype(output_dtype), include_batch_in_index=include_batch_in_index)


def atrous_conv2d(value, filters, rate, padding, name=None):
    return convolution(value, filters, 1, padding, dilations=[rate, rate])


def dilation2d(input, filters, strides, padding, data_format, dilations, name=None):  # noqa: A002
    """The largest sum of a window and the filter."""
    if data_format != "NHWC":
        raise ValueError("The data format is NHWC here.")
    return raw_ops.Dilation2D(input=_tenon.convert(input), filter=filters, strides=list(strides), rates=list(dilations),
                              padding=padding)


def erosion2d(value, filters, strides, padding, data_format, dilations, name=None):
    """The smallest difference of a window and the filter."""
    from tenon.tf import arrays
    turned = arrays.reverse(_tenon.convert(filters), [0, 1])
    return -dilation2d(-_tenon.convert(value), turned, strides, padding, data_format, dilations)


def _fractional(op):
    def pool(value, pooling_ratio, pseudo_random=False, overlapping=False, seed=0, name=None):
        ratio = pooling_ratio if isinstance(pooling_ratio, (list, tuple)) and len(pooling_ratio) == 4 else _ratio(pooling_ratio)
        first, second = random._seeds(seed) if seed else (0, 0)
        return getattr(raw_ops, op)(value=_tenon.convert(value), pooling_ratio=list(map(float, ratio)),
                                    pseudo_random=pseudo_random, overlapping=overlapping, deterministic=bool(seed), seed=first,
                                    seed2=second)
    return pool


def _ratio(value):
    return _window(list(value) if isinstance(value, (list, tuple)) else value)


fractional_max_pool = _fractional("FractionalMaxPool")
fractional_avg_pool = _fractional("FractionalAvgPool")


def isotonic_regression(inputs, decreasing=True, axis=-1):
    """(the closest monotone numbers along an axis, of which stretch each is)"""
    from tenon.tf import arrays
    inputs = _tenon.convert(inputs)
    rank = inputs.shape.rank
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    out = inputs.dtype if inputs.dtype.is_floating else "float32"
    turned = arrays.transpose(inputs, order)
    found = raw_ops.IsotonicRegression(input=turned if decreasing else -turned, output_dtype=out)
    output, segments = found.output, found.segments
    return arrays.transpose(output if decreasing else -output, order), arrays.transpose(segments, order)
