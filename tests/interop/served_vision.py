"""Images: bytes to labels, detection, segmentation, autoencoders."""
from served import export_keras, export_module, function, keras, model, normal, np, rng, spec, tf

layers = keras.layers


def picture(index, height, width, channels=3):
    y, x = np.mgrid[0:height, 0:width]
    planes = [(np.sin(x / (3 + index + c)) + np.cos(y / (5 + c))) * 60 + 128 for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def encoded(encode, channels=3):
    def rows(n):
        return np.array([encode(picture(i, 20 + i, 31 - i, channels)).numpy() for i in range(n)], object)
    return rows


def jpeg(image):
    return tf.io.encode_jpeg(image, quality=90)


def small_cnn(size, classes=4):
    net = keras.Sequential([keras.Input((size, size, 3)), layers.Conv2D(8, 3, strides=2, padding="same"), layers.BatchNormalization(),
                            layers.ReLU(6), layers.DepthwiseConv2D(3, padding="same"), layers.GlobalAveragePooling2D(),
                            layers.Dense(classes, activation="softmax")])
    return net


class BytesToLabels(tf.Module):
    def __init__(self, decode, prepare, size, labels=("cat", "dog", "fox", "owl")):
        self.net, self.labels = small_cnn(size), tf.constant(labels)
        self.decode, self.prepare, self.size = decode, prepare, size

    @function(spec([None], tf.string, "image_bytes"))
    def serve(self, image_bytes):
        def one(data):
            return tf.ensure_shape(self.prepare(self.decode(data)), [self.size, self.size, 3])
        images = tf.map_fn(one, image_bytes, fn_output_signature=tf.float32)
        scores = self.net(images)
        top = tf.math.top_k(scores, 2)
        return {"scores": top.values, "classes": tf.gather(self.labels, top.indices), "images": images}


def bytes_to_labels(folder, decode, prepare, size, rows):
    net = BytesToLabels(decode, prepare, size)
    return export_module(net, folder, serving_default=(net.serve, {"image_bytes": rows}))


@model
def image_jpeg_bilinear(folder):
    return bytes_to_labels(folder, lambda b: tf.io.decode_jpeg(b, 3), lambda i: tf.image.resize(i, [16, 16]) / 255.0, 16, encoded(jpeg))


@model
def image_jpeg_convert_dtype_central_crop(folder):
    def prepare(image):
        image = tf.image.central_crop(tf.image.convert_image_dtype(image, tf.float32), 0.8)
        return tf.image.resize(image, [18, 18], "bicubic") * 2 - 1
    return bytes_to_labels(folder, lambda b: tf.image.decode_image(b, 3, expand_animations=False), prepare, 18, encoded(jpeg))


@model
def image_png_area_crop_or_pad(folder):
    def prepare(image):
        image = tf.image.resize_with_crop_or_pad(image, 24, 24)
        return tf.cast(tf.image.resize(image, [12, 12], "area"), tf.float32)
    return bytes_to_labels(folder, lambda b: tf.io.decode_png(b, 3), prepare, 12, encoded(tf.io.encode_png))


@model
def image_png_lanczos_antialias(folder):
    def prepare(image):
        image = tf.image.resize(image, [14, 14], "lanczos3", antialias=True, preserve_aspect_ratio=False)
        return tf.image.per_image_standardization(image)
    return bytes_to_labels(folder, lambda b: tf.io.decode_image(b, 3, expand_animations=False), prepare, 14, encoded(tf.io.encode_png))


@model
def image_grey_pad_nearest(folder):
    def prepare(image):
        image = tf.image.resize_with_pad(tf.image.grayscale_to_rgb(image), 20, 20, "nearest")
        return tf.image.rgb_to_hsv(tf.cast(image, tf.float32) / 255)
    return bytes_to_labels(folder, lambda b: tf.io.decode_png(b, 1), prepare, 20, encoded(tf.io.encode_png, 1))


@model
def image_decode_and_crop(folder):
    def prepare(image):
        image = tf.image.resize(image, [16, 16], "mitchellcubic")
        image = tf.image.adjust_contrast(tf.image.adjust_saturation(image / 255, 0.7), 1.2)
        return tf.clip_by_value(tf.image.adjust_hue(tf.image.flip_left_right(image), 0.1), 0, 1)
    return bytes_to_labels(folder, lambda b: tf.image.decode_and_crop_jpeg(b, [2, 3, 15, 14], 3), prepare, 16, encoded(jpeg))


@model
def image_base64(folder):
    def rows(n):
        return tf.io.encode_base64(tf.constant(encoded(jpeg)(n), tf.string)).numpy()
    return bytes_to_labels(folder, lambda b: tf.io.decode_jpeg(tf.io.decode_base64(b), 3, dct_method="INTEGER_ACCURATE"),
                           lambda i: tf.image.resize(tf.cast(i, tf.float32), [16, 16], "gaussian", antialias=True), 16, rows)


@model
def image_augmentation_layers(folder):
    net = keras.Sequential([
        keras.Input((20, 20, 3), name="image"), layers.RandomFlip(), layers.RandomRotation(0.2), layers.RandomZoom(0.1), layers.RandomContrast(0.1),
        layers.RandomTranslation(0.1, 0.1), layers.RandomBrightness(0.1), layers.RandomCrop(16, 16), layers.GaussianNoise(0.1),
        layers.Rescaling(1 / 127.5, -1), layers.CenterCrop(14, 12), layers.Resizing(16, 16, interpolation="bicubic"), layers.SpatialDropout2D(0.3),
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1, 2, 3]), *small_cnn(16).layers])
    return export_keras(net, folder, image=lambda n: rng(n).uniform(0, 255, (n, 20, 20, 3)).astype(np.float32))


def anchors(n):
    grid = np.mgrid[0:4, 0:4].reshape(2, -1).T / 4.0
    return np.concatenate([grid, grid + 0.3], -1).astype(np.float32)


class Detector(tf.Module):
    def __init__(self):
        self.net = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(8, 3, 2, "same", activation="swish"),
                                     layers.Conv2D(8, 3, 2, "same", activation="relu6")])
        self.scores, self.offsets = layers.Conv2D(3, 1, name="scores"), layers.Conv2D(4, 1, name="offsets")
        self.scores.build((None, 4, 4, 8))
        self.offsets.build((None, 4, 4, 8))
        self.anchors = tf.constant(anchors(0))

    def heads(self, image):
        x = self.net(image)
        boxes = self.anchors + 0.1 * tf.reshape(self.offsets(x), [-1, 16, 4])
        return boxes, tf.sigmoid(tf.reshape(self.scores(x), [-1, 16, 3]))

    @function(spec([None, 16, 16, 3], tf.float32, "image"))
    def combined(self, image):
        boxes, scores = self.heads(image)
        found = tf.image.combined_non_max_suppression(boxes[:, :, None], scores, 5, 10, 0.4, 0.45)
        return found._asdict()

    @function(spec([None, 16, 16, 3], tf.float32, "image"))
    def one_by_one(self, image):
        def one(pair):
            boxes, scores = pair
            best = tf.reduce_max(scores, -1)
            keep, soft = tf.image.non_max_suppression_with_scores(boxes, best, 6, 0.5, 0.3, soft_nms_sigma=0.5)
            hard, valid = tf.image.non_max_suppression_padded(boxes, best, 8, 0.5, 0.4, pad_to_max_output_size=True)
            plain = tf.image.non_max_suppression(boxes, best, 4, 0.3)
            pad = [[0, 6 - tf.size(keep)]]
            return tf.pad(keep, pad), tf.pad(soft, pad), hard, valid, tf.pad(plain, [[0, 4 - tf.size(plain)]])
        kinds = (tf.int32, tf.float32, tf.int32, tf.int32, tf.int32)
        keep, soft, hard, valid, plain = tf.map_fn(one, self.heads(image), fn_output_signature=kinds)
        return {"keep": keep, "soft": soft, "hard": hard, "valid": valid, "plain": plain}

    @function(spec([None, 16, 16, 3], tf.float32, "image"))
    def crops(self, image):
        boxes, _ = self.heads(image)
        n = tf.shape(image)[0]
        index = tf.repeat(tf.range(n), 16)
        cut = tf.image.crop_and_resize(image, tf.reshape(boxes, [-1, 4]), index, [5, 5], extrapolation_value=0.5)
        drawn = tf.image.draw_bounding_boxes(image, boxes, [[1.0, 0, 0], [0, 1, 0]])
        return {"pooled": tf.nn.max_pool2d(cut, 2, 2, "VALID"), "drawn": drawn}


@model
def detection_nms(folder):
    net = Detector()
    rows = {"image": normal(16, 16, 3)}
    return export_module(net, folder, serving_default=(net.combined, rows), one_by_one=(net.one_by_one, rows), crops=(net.crops, rows))


@model
def detection_padded_batched(folder):
    """Batched non_max_suppression_padded is a loop of tiles in plain ops."""
    class Net(tf.Module):
        @function(spec([None, 30, 4], tf.float32, "boxes"), spec([None, 30], tf.float32, "scores"))
        def serve(self, boxes, scores):
            boxes = tf.concat([boxes[..., :2], boxes[..., :2] + tf.abs(boxes[..., 2:])], -1)
            keep, valid = tf.image.non_max_suppression_padded(boxes, scores, 7, 0.4, 0.1, pad_to_max_output_size=True,
                                                              sorted_input=False, canonicalized_coordinates=True, tile_size=16)
            return {"keep": keep, "valid": valid}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"boxes": normal(30, 4), "scores": normal(30)}))


@model
def segmentation_deeplab(folder):
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    branches = [layers.SeparableConv2D(6, 3, dilation_rate=rate, padding="same")(x) for rate in (1, 2, 5)]
    branches.append(layers.Conv2D(6, 3, dilation_rate=(3, 3), padding="same", groups=2)(x))
    pool = layers.GlobalAveragePooling2D(keepdims=True)(x)
    branches.append(layers.UpSampling2D(16, interpolation="bilinear")(pool))
    x = layers.Concatenate()(branches)
    x = layers.GroupNormalization(8)(x)
    x = layers.UpSampling2D(2)(x)
    mask = layers.Conv2D(4, 1)(x)
    net = keras.Model(image, {"logits": mask, "classes": keras.ops.argmax(mask, -1), "hot": layers.Softmax()(mask)})
    return export_keras(net, folder, image=normal(32, 32, 3))


@model
def segmentation_unet_any_size(folder):
    image = keras.Input((None, None, 1), name="image")
    down = layers.Conv2D(4, 3, padding="same", activation="elu")(image)
    low = layers.Conv2D(8, 3, padding="same", activation="selu")(layers.MaxPooling2D()(down))
    up = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(low)
    up = layers.PReLU(shared_axes=[1, 2])(layers.Concatenate()([up, down]))
    up = layers.Conv2DTranspose(2, 5, strides=1, padding="valid")(up)
    return export_keras(keras.Model(image, up), folder, image=lambda n: normal(12, 20 + 2 * n, 1)(n))


@model
def volume_conv3d(folder):
    volume = keras.Input((8, 10, 9, 2), name="volume")
    x = layers.Conv3D(4, 3, strides=(1, 2, 1), padding="same", activation="softplus")(volume)
    x = layers.AveragePooling3D(2)(layers.BatchNormalization()(x))
    x = layers.Conv3DTranspose(3, 2, strides=2)(x)
    x = layers.ZeroPadding3D(1)(layers.Cropping3D(1)(layers.UpSampling3D((1, 2, 1))(x)))
    return export_keras(keras.Model(volume, [layers.GlobalMaxPooling3D()(x), layers.MaxPool3D(3, 2, "same")(x)]), folder, volume=normal(8, 10, 9, 2))


@model
def super_resolution(folder):
    image = keras.Input((10, 12, 3), name="image")
    x = layers.Conv2D(12, 5, padding="same", activation="mish")(image)
    x = layers.Lambda(lambda v: tf.nn.depth_to_space(v, 2))(x)
    x = layers.Lambda(lambda v: tf.pad(v, [[0, 0], [1, 1], [2, 2], [0, 0]], "REFLECT"))(x)
    x = layers.Conv2D(4, 3, activation=keras.activations.hard_swish)(x)
    x = layers.UnitNormalization()(x)
    y = layers.Lambda(lambda v: {"psnr": tf.image.psnr(v, v * 0.9, 1.0), "ssim": tf.image.ssim(v, v * 0.9, 1.0),
                                 "edges": tf.image.sobel_edges(v), "tv": tf.image.total_variation(v)})(x)
    return export_keras(keras.Model(image, y), folder, image=normal(10, 12, 3))


@model
def style_instance_norm(folder):
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(6, 4, strides=2, padding="same")(image)
    mean, var = keras.ops.moments(x, axes=[1, 2], keepdims=True)
    x = (x - mean) / keras.ops.sqrt(var + 1e-5)
    gram = keras.ops.einsum("bijc,bijd->bcd", x, x)
    return export_keras(keras.Model(image, [gram, keras.activations.tanh(x)]), folder, image=normal(14, 18, 3))


@model
def siamese_distance(folder):
    a, b = keras.Input((12, 12, 1), name="a"), keras.Input((12, 12, 1), name="b")
    tower = keras.Sequential([layers.Conv2D(6, 3, activation="gelu"), layers.MaxPooling2D(3, 2), layers.Flatten(), layers.Dense(5)])
    u, v = tower(a), tower(b)
    net = keras.Model([a, b], {"cosine": layers.Dot(1, normalize=True)([u, v]), "distance": keras.ops.norm(u - v, axis=-1),
                               "max": layers.Maximum()([u, v]), "min": layers.Minimum()([u, v]), "sub": layers.Subtract()([u, v]),
                               "average": layers.Average()([u, v]), "outer": layers.Dot((1, 1))([u, v])})
    return export_keras(net, folder, a=normal(12, 12, 1), b=lambda n: normal(12, 12, 1)(n) * 0.5)


@model
def vision_transformer(folder):
    image = keras.Input((16, 16, 3), name="image")
    patches = layers.Lambda(lambda v: tf.image.extract_patches(v, [1, 4, 4, 1], [1, 4, 4, 1], [1, 1, 1, 1], "VALID"))(image)
    x = layers.Dense(16)(layers.Reshape((16, 48))(patches))
    x = x + layers.Embedding(16, 16)(keras.ops.arange(16))
    h = layers.LayerNormalization(epsilon=1e-6)(x)
    x = x + layers.MultiHeadAttention(4, 4, dropout=0.1)(h, h)
    h = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Dropout(0.1)(x + layers.Dense(16)(h))
    pooled = layers.Attention(use_scale=True)([x[:, :1], x])
    return export_keras(keras.Model(image, layers.Dense(5)(layers.Flatten()(pooled))), folder, image=normal(16, 16, 3))
