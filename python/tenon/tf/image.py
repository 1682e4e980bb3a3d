"""tf.image: sizes, colours, patches, edges."""
import math as _math

from tenon import _tenon, raw_ops
from tenon.tf import arrays, convolutions, elementwise, linalg, missing


class ResizeMethod:
    BILINEAR, NEAREST_NEIGHBOR, BICUBIC, AREA = "bilinear", "nearest", "bicubic", "area"
    LANCZOS3, LANCZOS5, GAUSSIAN, MITCHELLCUBIC = "lanczos3", "lanczos5", "gaussian", "mitchellcubic"


_SCALED = {"lanczos3": "lanczos3", "lanczos5": "lanczos5", "gaussian": "gaussian", "mitchellcubic": "mitchellcubic"}


def resize(images, size, method="bilinear", preserve_aspect_ratio=False, antialias=False, name=None):
    """[batch, height, width, channels], or without batch, in another size."""
    images = _tenon.convert(images)
    single = images.shape.rank == 3
    if single:
        images = arrays.expand_dims(images, 0)
    size = _tenon.convert(size, "int32") if not hasattr(size, "dtype") else elementwise.cast(size, "int32")
    height, width = images.shape[1], images.shape[2]
    if preserve_aspect_ratio:
        target = arrays.static_value(size)
        ratio = min(int(target[0]) / height, int(target[1]) / width)
        size = _tenon.convert([_math.floor(height * ratio + 0.5), _math.floor(width * ratio + 0.5)], "int32")
    known = arrays.static_value(size)
    if known is not None and known.tolist() == [height, width]:
        return arrays.squeeze(images, [0]) if single else images
    if method == "nearest":
        out = raw_ops.ResizeNearestNeighbor(images=images, size=size, half_pixel_centers=True)
    elif method == "area":
        out = raw_ops.ResizeArea(images=images, size=size)
    elif method in _SCALED or (antialias and method in ("bilinear", "bicubic")):
        kernel = {"bilinear": "triangle", "bicubic": "keyscubic"}.get(method, method)
        now = elementwise.cast(arrays.shape(images)[1:3], "float32")
        scale = elementwise.cast(size, "float32") / now
        out = raw_ops.ScaleAndTranslate(images=elementwise.cast(images, "float32"), size=size, scale=scale,
                                        translation=_tenon.convert([0., 0.]), kernel_type=kernel, antialias=antialias)
    elif method == "bilinear":
        out = raw_ops.ResizeBilinear(images=images, size=size, half_pixel_centers=True)
    elif method == "bicubic":
        out = raw_ops.ResizeBicubic(images=images, size=size, half_pixel_centers=True)
    else:
        raise ValueError(f"Resize method is not implemented: {method}")
    return arrays.squeeze(out, [0]) if single else out


def rgb_to_hsv(images, name=None):
    return raw_ops.RGBToHSV(images=_tenon.convert(images))


def hsv_to_rgb(images, name=None):
    return raw_ops.HSVToRGB(images=_tenon.convert(images))


def convert_image_dtype(image, dtype, saturate=False, name=None):
    """Numbers of [0, 1] and integers from 0 to their largest, into each other."""
    image, dtype = _tenon.convert(image), _tenon.as_dtype(dtype)
    if image.dtype == dtype:
        return image
    cast = elementwise.saturate_cast if saturate else elementwise.cast
    if image.dtype.is_integer and dtype.is_integer:
        if image.dtype.max > dtype.max:
            return cast(image // ((image.dtype.max + 1) // (dtype.max + 1)), dtype)
        return cast(image, dtype) * ((dtype.max + 1) // (image.dtype.max + 1))
    if image.dtype.is_floating and dtype.is_floating:
        return elementwise.cast(image, dtype)
    if image.dtype.is_integer:
        return elementwise.cast(image, dtype) * (1. / image.dtype.max)
    return cast(image * (dtype.max + 0.5), dtype)


def rgb_to_grayscale(images, name=None):
    images = _tenon.convert(images)
    real = convert_image_dtype(images, "float32" if images.dtype.is_integer else images.dtype)
    gray = linalg.tensordot(real, _tenon.convert([0.2989, 0.5870, 0.1140], real.dtype), [[-1], [-1]])
    return convert_image_dtype(arrays.expand_dims(gray, -1), images.dtype)


def grayscale_to_rgb(images, name=None):
    images = _tenon.convert(images)
    return arrays.tile(images, [1] * (images.shape.rank - 1) + [3])


def extract_patches(images, sizes, strides, rates, padding, name=None):
    return raw_ops.ExtractImagePatches(images=_tenon.convert(images), ksizes=list(sizes), strides=list(strides),
                                       rates=list(rates), padding=padding)


def sobel_edges(image):
    """Derivatives down and across: [batch, height, width, channels, 2]."""
    image = _tenon.convert(image)
    channels = image.shape[3]
    down = [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]
    across = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    kernels = [[[[down[i][j], across[i][j]]] * channels for j in range(3)] for i in range(3)]
    padded = arrays.pad(image, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT")
    out = convolutions.depthwise_conv2d(padded, _tenon.convert(kernels, image.dtype), [1, 1, 1, 1], "VALID")
    return arrays.reshape(out, raw_ops.ConcatV2(values=[arrays.shape(image), [2]], axis=0))


def flip_left_right(image):
    return arrays.reverse(_tenon.convert(image), [-2])


def flip_up_down(image):
    return arrays.reverse(_tenon.convert(image), [-3])


image = missing.namespace("tf.image", {k: v for k, v in globals().items() if not k.startswith("_") and getattr(
    v, "__module__", "") == __name__})
