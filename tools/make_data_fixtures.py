#!/usr/bin/env python3
"""Makes tenon/data/testdata with real TensorFlow and Keras: records, images, and the images as Keras reads them.

    python tools/make_data_fixtures.py tenon/data/testdata

Made with keras 3.15.1 and tensorflow-cpu 2.21.0.
"""

import os
import struct
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

OUT = sys.argv[1]
RNG = np.random.default_rng(7)


def example(i):
    features = {
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[i % 3])),
        "x": tf.train.Feature(float_list=tf.train.FloatList(value=[i, i + 0.5])),
        "tags": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"t%d" % j for j in range(i % 3)])),
        "name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"n%d" % i])),
    }
    if i == 2:
        features["rare"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def records():
    for name, compression in (("examples.tfrecord", ""), ("examples.tfrecord.gz", "GZIP")):
        with tf.io.TFRecordWriter(os.path.join(OUT, name), compression) as writer:
            for i in range(5):
                writer.write(example(i))


def bmp(pixels):
    """24 bits a pixel, rows from the bottom, blue first, each filled up to four bytes."""
    height, width, _ = pixels.shape
    rows = b"".join(row[:, ::-1].tobytes() + b"\0" * (-3 * width % 4) for row in pixels[::-1])
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + info + rows


def images():
    folder = os.path.join(OUT, "images")
    files = {"cat/b.png": (5, 4, 3), "cat/a.PNG": (8, 6, 1), "dog/one.png": (5, 4, 4), "dog/two.bmp": (3, 7, 3)}
    for name, shape in files.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        pixels = RNG.integers(0, 256, shape).astype(np.uint8)
        data = bmp(pixels) if name.endswith(".bmp") else tf.io.encode_png(pixels).numpy()
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    with open(os.path.join(folder, "cat", "notes.txt"), "w", encoding="utf-8") as f:
        f.write("no image\n")
    read = keras.utils.image_dataset_from_directory(folder, image_size=(4, 5), batch_size=None, shuffle=False)
    np.save(os.path.join(OUT, "images_rgb.npy"), np.stack([x.numpy() for x, _ in read]))


os.makedirs(OUT, exist_ok=True)
records()
images()
