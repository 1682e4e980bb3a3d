"""Keras on Tenon with tf.data and tf.train: datasets given to fit, checkpoints of models."""
import os
import tempfile
import unittest

os.environ["KERAS_BACKEND"] = "tenon"
os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())

import numpy as np  # noqa: E402

import tenon.tf as tf  # noqa: E402
import keras  # noqa: E402

X = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
Y = X.sum(1, keepdims=True)
D = tf.data.Dataset


def make():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8, activation="relu"),
                              keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


class DatasetTest(unittest.TestCase):
    def test_fit_is_that_of_arrays(self):
        want = make().fit(X, Y, batch_size=32, epochs=2, shuffle=False, verbose=0).history["loss"]
        # Keras on TensorFlow, from the same dataset.
        np.testing.assert_allclose(want, [8.692026138305664, 8.484842300415039], rtol=1e-5)
        batches = D.from_tensor_slices((X, Y)).batch(32)
        for dataset, options in ((batches, {}), (batches.prefetch(2), {"validation_data": batches.take(2)}),
                                 (batches.repeat(), {"steps_per_epoch": 4}),
                                 (D.from_tensor_slices((X, Y, np.ones(100, np.float32))).batch(32), {}),
                                 (D.from_generator(lambda: zip(X, Y), output_signature=(
                                     tf.TensorSpec([4]), tf.TensorSpec([1]))).batch(32), {})):
            got = make().fit(dataset, epochs=2, verbose=0, **options).history["loss"]
            np.testing.assert_allclose(got, want, rtol=1e-5)

    def test_evaluate_and_predict(self):
        model, batches = make(), D.from_tensor_slices((X, Y)).batch(32)
        np.testing.assert_allclose(model.evaluate(batches, verbose=0), model.evaluate(X, Y, verbose=0), rtol=1e-5)
        np.testing.assert_allclose(model.predict(batches.map(lambda x, y: x), verbose=0), model.predict(X, verbose=0), rtol=1e-5)


class CheckpointTest(unittest.TestCase):
    def test_models_and_optimizers(self):
        model = make()
        model.fit(X, Y, verbose=0)
        path = tf.train.Checkpoint(model=model).save(os.path.join(tempfile.mkdtemp(), "ck"))
        names = [name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for name, _ in tf.train.list_variables(path)]
        # Those that Keras on TensorFlow writes.
        for name in ("model/_functional/_operations/2/moving_mean", "model/optimizer/_trainable_variables/0",
                     "model/optimizer/_iterations", "model/optimizer/_variables/13", "save_counter"):
            self.assertIn(name, names)
        self.assertEqual(len(names), 24)
        again = make()
        again.optimizer.build(again.trainable_variables)
        status = tf.train.Checkpoint(model=again).restore(path)
        status.assert_existing_objects_matched()
        status.assert_consumed()
        for got, want in zip(again.get_weights(), model.get_weights()):
            np.testing.assert_array_equal(got, want)
        self.assertEqual(int(again.optimizer.iterations), 4)


if __name__ == "__main__":
    unittest.main()
