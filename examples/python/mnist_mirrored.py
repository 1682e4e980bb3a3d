"""A digit classifier trained by tf.distribute.MirroredStrategy, written for TensorFlow.

    python -m tenon run examples/python/mnist_mirrored.py [--replicas 2] [--data FOLDER] [--epochs 3] [--out FOLDER]

Without --data the digits are those of tf.keras.datasets.mnist (~/.keras/datasets/mnist.npz). A folder has MNIST's own
files, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz, of which one image in five is kept for the test.
"""
import argparse
import gzip
import os
import tempfile

import numpy as np
import tensorflow as tf

BATCH_SIZE_PER_REPLICA = 64


def digits(folder):
    """((images, labels) to train with, (images, labels) to test with)."""
    if folder is None:
        return tf.keras.datasets.mnist.load_data()
    with gzip.open(os.path.join(folder, "t10k-images-idx3-ubyte.gz")) as file:
        images = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28)
    with gzip.open(os.path.join(folder, "t10k-labels-idx1-ubyte.gz")) as file:
        labels = np.frombuffer(file.read()[8:], np.uint8)
    test = np.arange(len(images)) % 5 == 0
    return (images[~test], labels[~test]), (images[test], labels[test])


def learning_rate(epoch):
    return 1e-3 if epoch < 3 else 1e-4


class PrintLearningRate(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print("Learning rate for epoch {} is {}".format(epoch + 1, float(self.model.optimizer.learning_rate)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", default=None)
    parser.add_argument("--replicas", type=int, default=0, help="logical devices to make of the processor")
    options = parser.parse_args()
    out = options.out or tempfile.mkdtemp()
    if options.replicas:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * options.replicas)

    strategy = tf.distribute.MirroredStrategy()
    print("Number of devices: {}".format(strategy.num_replicas_in_sync))
    (train_images, train_labels), (test_images, test_labels) = digits(options.data)
    batch_size = BATCH_SIZE_PER_REPLICA * strategy.num_replicas_in_sync

    def scale(image, label):
        return tf.cast(image, tf.float32)[..., tf.newaxis] / 255.0, label

    tf.keras.utils.set_random_seed(1)
    train_dataset = tf.data.Dataset.from_tensor_slices((train_images, train_labels)).map(scale).cache().shuffle(
        10000, seed=1).batch(batch_size)
    test_dataset = tf.data.Dataset.from_tensor_slices((test_images, test_labels)).map(scale).batch(batch_size)

    with strategy.scope():
        model = tf.keras.Sequential([
            tf.keras.layers.Input((28, 28, 1)),
            tf.keras.layers.Conv2D(32, 3, activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(64, activation="relu"),
            tf.keras.layers.Dropout(0.2),
            tf.keras.layers.Dense(10),
        ])
        model.compile(loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                      optimizer=tf.keras.optimizers.Adam(learning_rate=0.001), metrics=["accuracy"])

    callbacks = [
        tf.keras.callbacks.TensorBoard(log_dir=os.path.join(out, "logs"), histogram_freq=1),
        tf.keras.callbacks.ModelCheckpoint(os.path.join(out, "checkpoint_{epoch}.weights.h5"), save_weights_only=True),
        tf.keras.callbacks.LearningRateScheduler(learning_rate),
        PrintLearningRate(),
    ]
    model.fit(train_dataset, epochs=options.epochs, callbacks=callbacks, validation_data=test_dataset, verbose=2)

    last = os.path.join(out, "checkpoint_{}.weights.h5".format(options.epochs))
    model.load_weights(last)
    loss, accuracy = model.evaluate(test_dataset, verbose=0)
    print("Eval loss: {:.4f}, Eval accuracy: {:.4f}".format(loss, accuracy))

    path = os.path.join(out, "mnist.keras")
    model.save(path)
    model.export(os.path.join(out, "served"))
    with strategy.scope():
        replicated = tf.keras.models.load_model(path)
    print("Loaded in the scope: loss {:.4f}, accuracy {:.4f}".format(*replicated.evaluate(test_dataset, verbose=0)))
    alone = tf.keras.models.load_model(path)
    print("Loaded outside of it: loss {:.4f}, accuracy {:.4f}".format(*alone.evaluate(test_dataset, verbose=0)))


if __name__ == "__main__":
    main()
