"""tf.image: cutting, turning and colouring images; boxes."""
from tenon import _tenon, raw_ops
from tenon.tf import arrays, elementwise, image_quality, io, missing, random, reductions
from tenon.tf.rare import image_colors_and_boxes


def _edited(images, edit):
    """`edit` of the images in numbers of [0, 1], in the dtype that they have."""
    images = _tenon.convert(images)
    dtype = images.dtype
    if dtype == "float16" or dtype == "float32":
        return edit(images)
    if dtype.is_floating:
        return elementwise.cast(edit(elementwise.cast(images, "float32")), dtype)
    edited = edit(elementwise.cast(images, "float32") * (1. / _largest(dtype)))
    return elementwise.saturate_cast(edited * (_largest(dtype) + 0.5), dtype)


def _largest(dtype):
    import numpy as np
    return int(np.iinfo(dtype.as_numpy_dtype).max)


def _number(value, dtype="float32"):
    return elementwise.cast(_tenon.convert(value), dtype)


def adjust_brightness(image, delta):
    """Adds `delta`."""
    return _edited(image, lambda x: x + _number(delta, x.dtype))


def adjust_contrast(images, contrast_factor):
    """Moves values from each channel's mean by the factor."""
    return _edited(images, lambda x: raw_ops.AdjustContrastv2(images=x, contrast_factor=_number(contrast_factor)))


def adjust_gamma(image, gamma=1, gain=1):
    """gain * image ** gamma."""
    if isinstance(gamma, (int, float)) and gamma < 0:
        raise ValueError("Gamma should be a non-negative real number.")
    return _edited(image, lambda x: x ** _number(gamma, x.dtype) * _number(gain, x.dtype))


def adjust_hue(image, delta, name=None):
    """Turns the hue by `delta` of [-1, 1] of its circle."""
    return _edited(image, lambda x: raw_ops.AdjustHue(images=x, delta=_number(delta)))


def adjust_saturation(image, saturation_factor, name=None):
    return _edited(image, lambda x: raw_ops.AdjustSaturation(images=x, scale=_number(saturation_factor)))


class _Pair:
    """A seed of two numbers, from which the same is drawn each time."""

    def __init__(self, seed):
        self.seed = seed


def _uniform(shape, low, high, seed, dtype="float32"):
    if isinstance(seed, _Pair):
        return random.stateless_uniform(shape, seed.seed, low, high, dtype)
    return random.uniform(shape, low, high, dtype, seed)


def random_brightness(image, max_delta, seed=None):
    if max_delta < 0:
        raise ValueError("max_delta must be non-negative.")
    return adjust_brightness(image, _uniform([], -max_delta, max_delta, seed))


def random_contrast(image, lower, upper, seed=None):
    if upper <= lower or lower < 0:
        raise ValueError("upper must be > lower, and lower non-negative.")
    return adjust_contrast(image, _uniform([], lower, upper, seed))


def random_hue(image, max_delta, seed=None):
    if not 0 <= max_delta <= 0.5:
        raise ValueError("max_delta must be between 0 and 0.5.")
    return adjust_hue(image, _uniform([], -max_delta, max_delta, seed))


def random_saturation(image, lower, upper, seed=None):
    if upper <= lower or lower < 0:
        raise ValueError("upper must be > lower, and lower non-negative.")
    return adjust_saturation(image, _uniform([], lower, upper, seed))


def _random_flip(image, axis, seed):
    image = _tenon.convert(image)
    flipped = arrays.reverse(image, [axis])
    if image.shape.rank == 3:
        return arrays.where(_uniform([], 0, 1., seed) < .5, flipped, image)
    draws = _uniform(arrays.shape(image)[:1], 0, 1., seed)
    return arrays.where(arrays.reshape(draws, [-1, 1, 1, 1]) < .5, image, flipped)


def random_flip_left_right(image, seed=None):
    return _random_flip(image, -2, seed)


def random_flip_up_down(image, seed=None):
    return _random_flip(image, -3, seed)


def random_crop(value, size, seed=None, name=None):
    """A part of `size` at a place drawn at random."""
    value, size = _tenon.convert(value), _tenon.convert(size, "int32")
    limit = arrays.shape(value) - size + 1
    offset = _uniform(arrays.shape(size), 0, 2 ** 31 - 1, seed, "int32") % limit
    part = raw_ops.Slice(input=value, begin=offset, size=size)
    if part.is_symbolic and not size.is_symbolic:
        part.set_shape(size.tolist())
    return part


def stateless_random_brightness(image, max_delta, seed):
    return random_brightness(image, max_delta, _Pair(seed))


def stateless_random_contrast(image, lower, upper, seed):
    return random_contrast(image, lower, upper, _Pair(seed))


def stateless_random_hue(image, max_delta, seed):
    return random_hue(image, max_delta, _Pair(seed))


def stateless_random_saturation(image, lower, upper, seed=None):
    return random_saturation(image, lower, upper, _Pair(seed))


def stateless_random_flip_left_right(image, seed):
    return random_flip_left_right(image, _Pair(seed))


def stateless_random_flip_up_down(image, seed):
    return random_flip_up_down(image, _Pair(seed))


def stateless_random_crop(value, size, seed, name=None):
    return random_crop(value, size, _Pair(seed))


def crop_to_bounding_box(image, offset_height, offset_width, target_height, target_width):
    """The part of that size at that offset."""
    image = _tenon.convert(image)
    numbers = (offset_height, offset_width, target_height, target_width)
    if all(isinstance(n, int) for n in numbers):
        if min(offset_height, offset_width) < 0:
            raise ValueError("offset_height and offset_width must be >= 0.")
        if min(target_height, target_width) <= 0:
            raise ValueError("target_height and target_width must be > 0.")
        height, width = image.shape[-3], image.shape[-2]
        if (height is not None and offset_height + target_height > height) or (
                width is not None and offset_width + target_width > width):
            raise ValueError("The box does not lie within the image.")
    return image[..., offset_height:offset_height + target_height, offset_width:offset_width + target_width, :]


def central_crop(image, central_fraction):
    """The middle, of that share of each side."""
    if not 0 < central_fraction <= 1:
        raise ValueError("central_fraction must be within (0, 1]")
    image = _tenon.convert(image)
    height, width = image.shape[-3], image.shape[-2]
    if height is None or width is None:
        height, width = (elementwise.cast(arrays.shape(image)[axis], "float64") for axis in (-3, -2))
        begins = [elementwise.cast((side - side * central_fraction) / 2, "int32") for side in (height, width)]
        ends = [elementwise.cast(side, "int32") - begin for side, begin in zip((height, width), begins)]
        return image[..., begins[0]:ends[0], begins[1]:ends[1], :]
    top, left = int((height - height * central_fraction) / 2), int((width - width * central_fraction) / 2)
    return image[..., top:height - top, left:width - left, :]


def pad_to_bounding_box(image, offset_height, offset_width, target_height, target_width):
    """The image at that offset within zeros of that size."""
    image = _tenon.convert(image)
    sides = [n if n is not None else arrays.shape(image)[axis] for axis, n in ((-3, image.shape[-3]), (-2, image.shape[-2]))]
    after = [target_height - offset_height - sides[0], target_width - offset_width - sides[1]]
    for n in (offset_height, offset_width, *after):
        if isinstance(n, int) and n < 0:
            raise ValueError("The padded size must hold the image at its offset.")
    pads = [[0, 0]] * (image.shape.rank - 3) + [[offset_height, after[0]], [offset_width, after[1]], [0, 0]]
    return arrays.pad(image, pads)


def resize_with_crop_or_pad(image, target_height, target_width):
    """Cut and padded evenly on both sides to that size."""
    image = _tenon.convert(image)
    height, width = image.shape[-3], image.shape[-2]
    if height is None or width is None:
        raise ValueError("resize_with_crop_or_pad needs an image of known height and width.")
    image = crop_to_bounding_box(image, max(height - target_height, 0) // 2, max(width - target_width, 0) // 2,
                                 min(target_height, height), min(target_width, width))
    return pad_to_bounding_box(image, max(target_height - height, 0) // 2, max(target_width - width, 0) // 2, target_height,
                               target_width)


def resize_with_pad(image, target_height, target_width, method="bilinear", antialias=False):
    """As large as it fits into that size without another ratio of its sides, with zeros around it."""
    from tenon.tf.image import resize
    image = _tenon.convert(image)
    rank = image.shape.rank
    if rank not in (3, 4):
        raise ValueError("'image' must have either 3 or 4 dimensions.")
    shape = raw_ops.Shape(input=image)
    sides = raw_ops.Cast(x=shape[rank - 3:rank - 1], DstT="float64")
    target = _tenon.convert([float(target_height), float(target_width)], "float64")
    ratio = raw_ops.Max(input=sides / target, axis=[0], keep_dims=False)
    fitting = raw_ops.Floor(x=sides / ratio)
    size = raw_ops.Cast(x=fitting, DstT="int32")
    before = raw_ops.Maximum(x=raw_ops.Cast(x=raw_ops.Floor(x=(target - fitting) / 2.), DstT="int32"), y=0)
    after = raw_ops.Cast(x=target, DstT="int32") - before - size
    image = resize(image, size, method=method, antialias=antialias)
    around = raw_ops.Pack(values=[before, after], axis=1)
    zero = _tenon.convert([[0, 0]], "int32")
    made = raw_ops.Pad(input=image, paddings=raw_ops.ConcatV2(values=[zero] * (rank - 3) + [around, zero], axis=0))
    if made.is_symbolic:
        made.set_shape(image.shape.as_list()[:rank - 3] + [target_height, target_width, image.shape[-1]])
    return made


def rot90(image, k=1, name=None):
    """Turned by 90 degrees `k` times, against the clock."""
    image = _tenon.convert(image)
    turns = k % 4
    lead = list(range(image.shape.rank - 3))
    if turns == 2:
        return arrays.reverse(image, [-3, -2])
    if turns == 0:
        return image
    swapped = lead + [len(lead) + 1, len(lead), len(lead) + 2]
    if turns == 1:
        return arrays.transpose(arrays.reverse(image, [-2]), swapped)
    return arrays.reverse(arrays.transpose(image, swapped), [-2])


def transpose(image, name=None):
    image = _tenon.convert(image)
    lead = list(range(image.shape.rank - 3))
    return arrays.transpose(image, lead + [len(lead) + 1, len(lead), len(lead) + 2])


def per_image_standardization(image):
    """Mean 0 and variance 1, which is kept from nearly 0 by the number of values."""
    image = _tenon.convert(image)
    image = image if image.dtype.is_floating else elementwise.cast(image, "float32")
    count = elementwise.cast(reductions.reduce_prod(arrays.shape(image)[-3:]), image.dtype)
    mean = reductions.reduce_mean(image, axis=[-1, -2, -3], keepdims=True)
    deviation = reductions.reduce_std(image, axis=[-1, -2, -3], keepdims=True)
    return (image - mean) / raw_ops.Maximum(x=deviation, y=raw_ops.Rsqrt(x=count))


def psnr(a, b, max_val, name=None):
    """Peak signal-to-noise ratio of each image, in decibels."""
    a, b = _tenon.convert(a), _tenon.convert(b)
    unit = 1. / _largest(a.dtype) if a.dtype.is_integer else 1.
    difference = (elementwise.cast(a, "float32") - elementwise.cast(b, "float32")) * unit
    error = reductions.reduce_mean(difference * difference, axis=[-3, -2, -1])
    decibels = 10. / 2.302585092994046
    return (2 * decibels) * raw_ops.Log(x=_number(max_val) * unit) - decibels * raw_ops.Log(x=error)


def crop_and_resize(image, boxes, box_indices, crop_size, method="bilinear", extrapolation_value=0., name=None):
    return raw_ops.CropAndResize(image=_tenon.convert(image), boxes=boxes, box_ind=_tenon.convert(box_indices, "int32"),
                                 crop_size=_tenon.convert(crop_size, "int32"), method=method,
                                 extrapolation_value=extrapolation_value)


def non_max_suppression(boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=float("-inf"), name=None):
    """The indices of the boxes that are left, the best first."""
    return raw_ops.NonMaxSuppressionV3(boxes=_tenon.convert(boxes), scores=_tenon.convert(scores),
                                       max_output_size=_tenon.convert(max_output_size, "int32"),
                                       iou_threshold=_number(iou_threshold), score_threshold=_number(score_threshold))


def draw_bounding_boxes(images, boxes, colors, name=None):
    if colors is None:
        return raw_ops.DrawBoundingBoxes(images=_tenon.convert(images), boxes=_tenon.convert(boxes))
    return raw_ops.DrawBoundingBoxesV2(images=_tenon.convert(images), boxes=_tenon.convert(boxes), colors=_tenon.convert(colors))


def add_to(image):
    """The names of this module, and those that `image` has, as tf.image."""
    own = {name: value for name, value in globals().items() if getattr(value, "__module__", None) == __name__
           and not name.startswith("_") and name != "add_to"}
    coded = {name: getattr(io, name) for name in ("decode_jpeg", "decode_png", "decode_bmp", "decode_gif", "decode_image",
                                                  "decode_and_crop_jpeg", "encode_jpeg", "encode_png", "extract_jpeg_shape",
                                                  "is_jpeg")}
    more = {name: value for name, value in vars(image_colors_and_boxes).items() if not name.startswith("_") and getattr(
        value, "__module__", None) == image_colors_and_boxes.__name__}
    return missing.namespace("tf.image", coded, own, more, image_quality.FUNCTIONS, vars(image) if image is not None else {})
