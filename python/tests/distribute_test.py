"""tf.distribute with two logical CPUs, beside TensorFlow's answers; what is asked of it in other ways."""
import os
import tempfile
import unittest

os.environ["KERAS_BACKEND"] = "tenon"
os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())

import numpy as np  # noqa: E402

import tenon.tf as tf  # noqa: E402
import distribute_cases as cases  # noqa: E402
from truth import add_tests  # noqa: E402

cases.begin(tf)


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, cases.CASES, "distribute", tf)


class ReplicasTest(unittest.TestCase):
    def setUp(self):
        self.strategy = tf.distribute.MirroredStrategy()

    def test_a_replica_without_rows_takes_no_part(self):
        x, y = cases.X[:17], cases.Y[:17]
        tf.keras.utils.set_random_seed(1)
        with self.strategy.scope():
            model = cases._model(tf, tf.keras.layers.BatchNormalization())
            model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"]
        self.assertTrue(np.isfinite(history).all())
        for variable in model.variables:
            found = [tf.convert_to_tensor(v).numpy() for v in self.strategy.experimental_local_results(variable.value)]
            if variable.trainable or variable.path.startswith("adam"):
                np.testing.assert_array_equal(found[0], found[1], variable.path)
        self.assertEqual(int(model.optimizer.iterations), 6)
        self.assertTrue(np.isfinite(model.predict(x, batch_size=1, verbose=0)).all())

    def test_an_error_of_a_replica_ends_all(self):
        def replica():
            context = tf.distribute.get_replica_context()
            context.all_reduce("SUM", tf.constant(1.0))
            if int(context.replica_id_in_sync_group) == 1:
                raise KeyError("here")
            context.all_reduce("SUM", tf.constant(1.0))

        for call in (replica, tf.function(replica)):
            with self.assertRaisesRegex(KeyError, "here"):
                self.strategy.run(call)
        self.assertFalse(tf.distribute.has_strategy())

    def test_replicas_that_do_not_meet_are_told(self):
        def replica():
            context = tf.distribute.get_replica_context()
            if int(context.replica_id_in_sync_group) == 1:
                context.all_reduce("SUM", tf.constant(1.0))

        with self.assertRaisesRegex(RuntimeError, "all replicas have to make the same"):
            self.strategy.run(replica)

    def test_scopes_of_two_strategies_do_not_mix(self):
        with self.strategy.scope(), self.assertRaisesRegex(RuntimeError, "Mixing different"):
            tf.distribute.MirroredStrategy().scope().__enter__()

    def test_a_layer_that_is_built_by_the_first_replica(self):
        with self.strategy.scope():
            model = tf.keras.Sequential([tf.keras.layers.Dense(2), tf.keras.layers.Dense(1)])
            optimizer = tf.keras.optimizers.SGD(0.1)

        @tf.function
        def step(x):
            def replica(x):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_sum(model(x))
                variables = model.trainable_variables
                optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
                return loss

            return self.strategy.reduce("SUM", self.strategy.run(replica, args=(x,)), axis=None)

        data = self.strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(tf.ones([4, 3])))
        losses = [float(step(x)) for _ in range(3) for x in data]
        self.assertEqual(len(model.variables), 4)
        self.assertLess(losses[2], losses[0])

    def test_several_workers_are_refused_in_a_sentence(self):
        os.environ["TF_CONFIG"] = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
        try:
            with self.assertRaisesRegex(NotImplementedError, "2 workers"):
                tf.distribute.MultiWorkerMirroredStrategy()
        finally:
            del os.environ["TF_CONFIG"]
        with self.assertRaisesRegex(NotImplementedError, "Near it: tf.distribute.MirroredStrategy"):
            tf.distribute.TPUStrategy()
        with self.assertRaisesRegex(AttributeError, "Near it: MirroredStrategy"):
            tf.distribute.MiroredStrategy


if __name__ == "__main__":
    unittest.main()
