"""What the functions of tf.image that cut, turn and colour do, as functions of `tf` that give plain Python values."""
import numpy as np

from data_cases import error_of, plain


def _images(tf):
    real = np.random.default_rng(0).uniform(0, 1, (3, 4, 3)).astype(np.float32)
    return tf.constant(real), tf.constant((real * 255).astype(np.uint8)), tf.constant(np.stack([real, real[::-1]]))


def colours(tf):
    real, bytes_, batch = _images(tf)
    edits = [lambda x: tf.image.adjust_brightness(x, .1), lambda x: tf.image.adjust_contrast(x, 1.5),
             lambda x: tf.image.adjust_gamma(x, 2., .9), lambda x: tf.image.adjust_hue(x, .2),
             lambda x: tf.image.adjust_saturation(x, .5)]
    return [plain(edit(x)) for edit in edits for x in (real, bytes_, batch)] + [
        plain(tf.image.per_image_standardization(x)) for x in (real, batch)] + [
        plain(tf.image.psnr(batch, batch * .9, 1.)), plain(tf.image.psnr(bytes_, bytes_ // 2, 255))]


def cuts(tf):
    real, bytes_, batch = _images(tf)
    i = tf.image
    made = [edit(x) for x in (real, bytes_, batch) for edit in (
        lambda x: i.crop_to_bounding_box(x, 1, 1, 2, 3), lambda x: i.central_crop(x, .5), lambda x: i.central_crop(x, .7),
        lambda x: i.pad_to_bounding_box(x, 1, 0, 4, 5), lambda x: i.resize_with_crop_or_pad(x, 2, 5), lambda x: i.rot90(x),
        lambda x: i.rot90(x, 2), lambda x: i.rot90(x, 3), lambda x: i.rot90(x, -4), lambda x: i.transpose(x))]
    unknown = tf.function(lambda x: (i.central_crop(x, .5), i.pad_to_bounding_box(x, 1, 1, 5, 6)),
                          input_signature=[tf.TensorSpec([None, None, 3])])
    boxes = [[0., 0., .5, .5], [.25, .25, 1., 1.]]
    return [plain(x) for x in made] + [plain(unknown(real)), i.random_crop(real, [2, 3, 3]).shape.as_list(),
                                       plain(i.crop_and_resize(batch, boxes, [0, 1], [2, 2])),
                                       plain(i.non_max_suppression([[0., 0., 1., 1.], [0., 0., 1., .9], [2., 2., 3., 3.]],
                                                                   [.9, .8, .7], 3)),
                                       plain(i.draw_bounding_boxes(batch, [boxes, boxes], [[1., 0., 0.]]))] + [
        error_of(f) for f in (lambda: i.central_crop(real, 0.), lambda: i.crop_to_bounding_box(real, 2, 0, 2, 2),
                              lambda: i.pad_to_bounding_box(real, 0, 0, 2, 2), lambda: i.adjust_gamma(real, -1.),
                              lambda: i.random_hue(real, .7), lambda: i.random_contrast(real, 2., 1.))]


def draws(tf):
    real, bytes_, batch = _images(tf)
    i = tf.image
    out = []
    for edit in (lambda x: i.random_brightness(x, .3, seed=1), lambda x: i.random_contrast(x, .5, 1.5, seed=2),
                 lambda x: i.random_hue(x, .3, seed=3), lambda x: i.random_saturation(x, .5, 1.5, seed=4),
                 lambda x: i.random_flip_left_right(x, seed=5), lambda x: i.random_flip_up_down(x, seed=6),
                 lambda x: i.random_crop(x, [2, 2, 3], seed=7)):
        tf.random.set_seed(9)
        out.append(plain(edit(real)))
    tf.random.set_seed(1)
    return out + [plain(i.random_flip_left_right(batch, seed=1)), plain(i.random_brightness(bytes_, .2, seed=2))]


def quality(tf):
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 1, (2, 40, 44, 3)).astype(np.float32)
    y = np.clip(x + rng.normal(0, .1, x.shape), 0, 1).astype(np.float32)
    whole = (x * 255).astype(np.uint8), (y * 255).astype(np.uint8)
    i = tf.image
    return [plain(i.ssim(x, y, 1.)), plain(i.ssim(x[0], y[0], 1.)), plain(i.ssim(*whole, 255)),
            plain(i.ssim(x, y, 1., filter_size=7, filter_sigma=1., k1=.02, k2=.05)),
            plain(i.ssim_multiscale(tf.constant(x), tf.constant(y), 1., power_factors=(.4, .3, .3), filter_size=5)),
            plain(i.ssim_multiscale(tf.constant(x[:, :37, :39]), tf.constant(y[:, :37, :39]), 1., power_factors=(.5, .5), filter_size=5)),
            plain(tf.function(lambda a, b: i.ssim(a, b, 1.))(x, y)), plain(i.total_variation(tf.constant(x))), plain(i.total_variation(tf.constant(x[0]))),
            plain(i.image_gradients(tf.constant(x[:, :3, :2]))), plain(tf.pad([True, False], [[1, 1]])),
            error_of(lambda: i.ssim(x[:, :5], y[:, :5], 1.)), error_of(lambda: i.total_variation(tf.constant([1., 2.])))]


def stateless(tf):
    i = tf.image
    x = tf.reshape(tf.range(72, dtype=tf.float32) / 72, [2, 4, 3, 3])
    return [plain([i.stateless_random_brightness(x[0], .4, seed)[0, 0], i.stateless_random_contrast(x[0], .2, .9, seed)[0, 0],
                   i.stateless_random_hue(x[0], .2, seed)[0, 0], i.stateless_random_saturation(x[0], .3, .8, seed)[0, 0],
                   i.stateless_random_flip_left_right(x[0], seed)[0, 0], i.stateless_random_flip_up_down(x, seed)[:, 0, 0],
                   i.stateless_random_flip_left_right(x, seed)[:, 0, 0], i.stateless_random_crop(x, [1, 2, 2, 3], seed)])
            for seed in ((1, 2), (5, 9))]


CASES = [colours, cuts, draws, quality, stateless]
