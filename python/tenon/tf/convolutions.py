"""Convolutions and pools over one, two and three dimensions, by the ops for two and three."""
import functools
import inspect

from tenon import _tenon, raw_ops
from tenon.tensor_shape import is_number
from tenon.tf import arrays


def _numbers(value, count, default=1):
    """`count` numbers of one number, of some, or of some with those of batch and channels around them."""
    if value is None:
        return [default] * count
    value = [value] if is_number(value) else list(value)
    if len(value) == count + 2:
        return value
    return value * count if len(value) == 1 else value


def _channels_last(function):
    """The function for data with the channels last, for either: kernels have them last."""
    @functools.wraps(function)
    def either(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        input, data_format = _tenon.convert(bound.arguments["input"]), bound.arguments.get("data_format")  # noqa: A001
        rank = input.shape.rank
        if not (data_format and data_format.startswith("NC") and rank):
            bound.arguments["input"] = input
            return function(*bound.args, **bound.kwargs)
        last, first = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
        for name in ("strides", "dilations", "window_shape", "output_shape"):
            value = bound.arguments.get(name)
            if value is not None and not is_number(value) and len(value) == rank:
                value = list(value) if isinstance(value, (list, tuple)) else arrays.unstack(value)
                bound.arguments[name] = [value[i] for i in last]
        bound.arguments.update(input=arrays.transpose(input, last), data_format=None)
        return arrays.transpose(function(*bound.args, **bound.kwargs), first)

    signature = inspect.signature(function)
    return either


def _around(numbers, count):
    """Numbers of all dimensions of [batch, ..., channels]."""
    numbers = _numbers(numbers, count)
    return numbers if len(numbers) == count + 2 else [1, *numbers, 1]


def _wide(numbers):
    """Numbers of all dimensions of [N, W, C] as those of [N, 1, W, C]."""
    return numbers[:1] + [1] + numbers[1:]


def _convolution2d(input, filters, strides, padding, dilations):  # noqa: A002: TensorFlow's name
    explicit = [] if isinstance(padding, str) else [int(p) for pair in padding for p in pair]
    return raw_ops.Conv2D(input=input, filter=filters, strides=strides, dilations=dilations,
                          padding=padding if isinstance(padding, str) else "EXPLICIT", explicit_paddings=explicit)


@_channels_last
def convolution(input, filters, strides=None, padding="VALID", data_format=None, dilations=None, name=None):  # noqa: A002
    filters = _tenon.convert(filters)
    count = filters.shape.rank - 2
    strides, dilations = _around(strides, count), _around(dilations, count)
    if count == 1:
        out = _convolution2d(arrays.expand_dims(input, 1), arrays.expand_dims(filters, 0), _wide(strides), padding,
                             _wide(dilations))
        return arrays.squeeze(out, [1])
    if count == 2:
        return _convolution2d(input, filters, strides, padding, dilations)
    if count == 3:
        # The op knows no groups.
        groups = (input.shape[-1] or filters.shape[-2]) // filters.shape[-2]
        inputs, parts = ([x] if groups < 2 else raw_ops.Split(axis=4, value=x, num_split=groups) for x in (input, filters))
        return arrays.concat([raw_ops.Conv3D(input=i, filter=f, strides=strides, padding=padding, dilations=dilations)
                              for i, f in zip(inputs, parts)], 4)
    raise ValueError(f"`filters` must have 1, 2 or 3 spatial dimensions, not {count}")


def conv1d(input, filters, stride, padding, data_format="NWC", dilations=None, name=None):  # noqa: A002
    return convolution(input, filters, stride, padding, data_format=data_format, dilations=dilations)


def conv3d(input, filters, strides, padding, data_format="NDHWC", dilations=None, name=None):  # noqa: A002
    return convolution(input, filters, strides, padding, data_format=data_format, dilations=dilations)


@_channels_last
def conv_transpose(input, filters, output_shape, strides, padding="SAME", data_format=None, dilations=None,  # noqa: A002
                   name=None):
    """The gradient of a convolution for its input."""
    filters = _tenon.convert(filters)
    count = filters.shape.rank - 2
    strides, dilations = _around(strides, count), _around(dilations, count)
    sizes = arrays.shape_vector(output_shape)
    if count == 1:
        wide = raw_ops.ConcatV2(values=[sizes[:1], _tenon.convert([1], sizes.dtype), sizes[1:]], axis=0)
        out = raw_ops.Conv2DBackpropInput(
            input_sizes=wide, filter=arrays.expand_dims(filters, 0), out_backprop=arrays.expand_dims(input, 1),
            strides=_wide(strides), padding=padding, dilations=_wide(dilations))
        return arrays.with_shape_of(arrays.squeeze(out, [1]), sizes)
    op = raw_ops.Conv2DBackpropInput if count == 2 else raw_ops.Conv3DBackpropInputV2
    return arrays.with_shape_of(op(input_sizes=sizes, filter=filters, out_backprop=input, strides=strides,
                                   padding=padding, dilations=dilations), sizes)


conv1d_transpose = conv2d_transpose = conv3d_transpose = conv_transpose


@_channels_last
def depthwise_conv2d(input, filter, strides, padding, data_format=None, dilations=None, name=None):  # noqa: A002
    return raw_ops.DepthwiseConv2dNative(input=input, filter=_tenon.convert(filter), strides=_around(strides, 2),
                                         padding=padding, dilations=_around(dilations, 2))


def separable_conv2d(input, depthwise_filter, pointwise_filter, strides, padding, data_format=None,  # noqa: A002
                     dilations=None, name=None):
    each = depthwise_conv2d(input, depthwise_filter, strides, padding, data_format=data_format, dilations=dilations)
    return convolution(each, pointwise_filter, 1, "VALID", data_format=data_format)


@_channels_last
def pool(input, window_shape, pooling_type, strides=None, padding="VALID", data_format=None, dilations=None,  # noqa: A002
         name=None):
    count = input.shape.rank - 2
    if any(d != 1 for d in _numbers(dilations, count)):
        raise NotImplementedError("Pools with dilations are not supported by Tenon.")
    window, strides = _around(window_shape, count), _around(strides, count)
    if count == 1:
        return arrays.squeeze(_pool2d(arrays.expand_dims(input, 1), pooling_type, _wide(window), _wide(strides), padding),
                              [1])
    if count == 2:
        return _pool2d(input, pooling_type, window, strides, padding)
    op = raw_ops.AvgPool3D if pooling_type == "AVG" else raw_ops.MaxPool3D
    return op(input=input, ksize=window, strides=strides, padding=padding)


def _pool2d(input, pooling_type, window, strides, padding):  # noqa: A002
    if pooling_type == "AVG":
        return raw_ops.AvgPool(value=input, ksize=window, strides=strides, padding=padding)
    return raw_ops.MaxPool(input=input, ksize=window, strides=strides, padding=padding)


def avg_pool(input, ksize, strides, padding, data_format=None, name=None):  # noqa: A002
    return pool(input, ksize, "AVG", strides, padding, data_format=data_format)


def max_pool(input, ksize, strides, padding, data_format=None, name=None):  # noqa: A002
    return pool(input, ksize, "MAX", strides, padding, data_format=data_format)


avg_pool1d = avg_pool2d = avg_pool3d = avg_pool
max_pool1d = max_pool2d = max_pool3d = max_pool


def depth_to_space(input, block_size, data_format="NHWC", name=None):  # noqa: A002
    return raw_ops.DepthToSpace(input=_tenon.convert(input), block_size=block_size, data_format=data_format)


def space_to_depth(input, block_size, data_format="NHWC", name=None):  # noqa: A002
    return raw_ops.SpaceToDepth(input=_tenon.convert(input), block_size=block_size, data_format=data_format)


def required_space_to_batch_paddings(input_shape, block_shape, base_paddings=None, name=None):
    """(paddings that make each size a multiple of its block, crops that take away what they add beside `base_paddings`)."""
    sizes, blocks = _tenon.convert(input_shape, None if hasattr(input_shape, "dtype") else "int32"), _tenon.convert(
        block_shape, None if hasattr(block_shape, "dtype") else "int32")
    if base_paddings is None:
        before = after = raw_ops.ZerosLike(x=sizes)
    else:
        base = _tenon.convert(base_paddings, sizes.dtype)
        before, after = base[:, 0], base[:, 1]
    extra = raw_ops.FloorMod(x=blocks - raw_ops.FloorMod(x=sizes + before + after, y=blocks), y=blocks)
    return (raw_ops.Pack(values=[before, after + extra], axis=1),
            raw_ops.Pack(values=[raw_ops.ZerosLike(x=extra), extra], axis=1))
