"""tf.Module and tf.train: TensorFlow's names, files and statuses; a checkpoint that TensorFlow wrote."""
import os
import tempfile
import unittest

import tenon.tf as tf
from checkpoint_cases import CASES, make_model, zeroed
from tenon.tf.train import object_graph
from truth import add_tests

WRITTEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "truth", "checkpoint", "tf-1")


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, CASES, "checkpoint", tf)


class FilesTest(unittest.TestCase):
    def test_reads_what_tensorflow_wrote(self):
        model = make_model(tf)()
        model.build()
        want = [v.numpy().tolist() for v in model.variables]
        step = tf.Variable(0, dtype=tf.int64)
        tf.train.Checkpoint(model=zeroed(model), step=step).restore(WRITTEN).assert_consumed()
        self.assertEqual([v.numpy().tolist() for v in model.variables], want)
        self.assertEqual(int(step), 42)

    def test_damaged_files_are_errors(self):
        with open(WRITTEN + ".index", "rb") as file:
            index = file.read()
        folder = tempfile.mkdtemp()
        for cut in (0, 7, len(index) // 2, len(index) - 1):
            with open(os.path.join(folder, "x.index"), "wb") as file:
                file.write(index[:cut])
            with self.assertRaises(tf.errors.OpError):
                tf.train.load_checkpoint(os.path.join(folder, "x"))

    def test_object_graphs_of_any_bytes(self):
        graph = tf.train.load_checkpoint(WRITTEN).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
        for at in range(len(graph)):
            for changed in (graph[:at], graph[:at] + bytes([graph[at] ^ 0x91]) + graph[at + 1:]):
                try:
                    object_graph.parse(changed)
                except ValueError:
                    pass

    def test_no_partial_file_is_left(self):
        folder = tempfile.mkdtemp()
        os.mkdir(os.path.join(folder, "ck-1.index"))
        with self.assertRaises(tf.errors.OpError):
            tf.train.Checkpoint(v=tf.Variable(1.)).save(os.path.join(folder, "ck"))
        self.assertIsNone(tf.train.latest_checkpoint(folder))


if __name__ == "__main__":
    unittest.main()
