"""How alike images are, and how much they vary.

The structural similarity is that of Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
structural similarity", 2004; at several scales that of Wang, Simoncelli and Bovik, 2003.
"""
from tenon import _tenon, errors, raw_ops
from tenon.tf import arrays, elementwise, nn, reductions
from tenon.tf.image import convert_image_dtype

_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # the weights of that article


def _window(size, sigma, channels):
    """A Gaussian of `size` by `size`, for each channel."""
    at = elementwise.cast(arrays.range(size), "float32") - (size - 1) / 2
    weights = at * at * (-0.5 / (sigma * sigma))
    both = arrays.reshape(weights, [1, -1]) + arrays.reshape(weights, [-1, 1])
    both = arrays.reshape(nn.softmax(arrays.reshape(both, [1, -1])), [size, size, 1, 1])
    return arrays.tile(both, [1, 1, channels, 1])


def _similarities(x, y, max_val, size, sigma, k1, k2):
    """Of each image and channel the mean similarity, and that of contrast and structure alone."""
    channels = x.shape[-1]
    window = _window(size, sigma, channels)

    def smooth(image):
        shape = arrays.shape(image)
        flat = arrays.reshape(image, arrays.concat([[-1], shape[-3:]], 0))
        made = raw_ops.DepthwiseConv2dNative(input=flat, filter=window, strides=[1, 1, 1, 1], padding="VALID")
        return arrays.reshape(made, arrays.concat([shape[:-3], arrays.shape(made)[1:]], 0))

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mean_x, mean_y = smooth(x), smooth(y)
    product, squares = mean_x * mean_y * 2., elementwise.square(mean_x) + elementwise.square(mean_y)
    structure = ((smooth(x * y) * 2. - product + c2) / (smooth(elementwise.square(x) + elementwise.square(y)) - squares + c2))
    whole = (product + c1) / (squares + c1) * structure
    return reductions.reduce_mean(whole, [-3, -2]), reductions.reduce_mean(structure, [-3, -2])


def _as_floats(img1, img2, max_val):
    """Both images and the largest value as float32, between 0 and 1 where they were whole numbers."""
    img1, img2 = _tenon.convert(img1), _tenon.convert(img2)
    largest = convert_image_dtype(elementwise.cast(max_val, img1.dtype), "float32")
    return convert_image_dtype(img1, "float32"), convert_image_dtype(img2, "float32"), largest


def _check(x, y, size):
    for image in (x, y):
        if image.shape.rank is not None and image.shape.rank < 3:
            raise ValueError(f"Image shapes must have at least rank 3, not {image.shape}.")
        known = None if image.shape.rank is None else image.shape[-3:-1].as_list()
        if known and None not in known and min(known) < size:
            raise errors.InvalidArgumentError(None, None, f"Images of shape {image.shape} are smaller than the filter, {size} by {size}.")


def ssim(img1, img2, max_val, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03, return_index_map=False):
    """The structural similarity of the images of two batches: 1 where they are equal."""
    if return_index_map:
        raise NotImplementedError("tf.image.ssim(return_index_map=True) is not supported by Tenon.")
    x, y, largest = _as_floats(img1, img2, max_val)
    _check(x, y, filter_size)
    return reductions.reduce_mean(_similarities(x, y, largest, filter_size, filter_sigma, k1, k2)[0], -1)


def ssim_multiscale(img1, img2, max_val, power_factors=_SCALES, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03):
    """The structural similarity at several scales, each half as large as the one before."""
    x, y, largest = _as_floats(img1, img2, max_val)
    found = []
    for scale, power in enumerate(power_factors):
        if scale:
            x, y = (nn.avg_pool2d(_even(image), 2, 2, "VALID") for image in (x, y))
        _check(x, y, filter_size)
        whole, structure = _similarities(x, y, largest, filter_size, filter_sigma, k1, k2)
        last = scale == len(power_factors) - 1
        found.append(elementwise.pow(nn.relu(whole if last else structure), power))
    total = found[0]
    for each in found[1:]:
        total = total * each
    return reductions.reduce_mean(total, -1)


def _even(image):
    """The image with its last row and column twice where their number is odd."""
    height, width = image.shape[-3], image.shape[-2]
    if height % 2 or width % 2:
        before = [[0, 0]] * (image.shape.rank - 3)
        image = arrays.pad(image, before + [[0, height % 2], [0, width % 2], [0, 0]], "SYMMETRIC")
    return image


def total_variation(images, name=None):
    """The sum of the differences between neighbours, of each image."""
    images = _tenon.convert(images)
    if images.shape.rank not in (3, 4):
        raise ValueError("'images' must be either 3 or 4-dimensional.")
    down = elementwise.abs(images[..., 1:, :, :] - images[..., :-1, :, :])
    across = elementwise.abs(images[..., :, 1:, :] - images[..., :, :-1, :])
    axes = [-3, -2, -1]
    return reductions.reduce_sum(down, axes) + reductions.reduce_sum(across, axes)


def image_gradients(image):
    """(dy, dx) of a batch of images: the differences to the next row and column, 0 in the last."""
    image = _tenon.convert(image)
    if image.shape.rank != 4:
        raise ValueError(f"image_gradients expects a 4D tensor [batch_size, h, w, d], not {image.shape}.")
    down, across = image[:, 1:] - image[:, :-1], image[:, :, 1:] - image[:, :, :-1]
    return arrays.pad(down, [[0, 0], [0, 1], [0, 0], [0, 0]]), arrays.pad(across, [[0, 0], [0, 0], [0, 1], [0, 0]])


FUNCTIONS = {each.__name__: each for each in (ssim, ssim_multiscale, total_variation, image_gradients)}
