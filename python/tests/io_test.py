"""tf.io, tf.train.Example, tf.strings, tf.lookup, tf.summary: TensorFlow's answers and bytes."""
import glob
import os
import struct
import tempfile
import unittest

import tenon.tf as tf
from io_cases import CASES, _examples
from tenon import wire
from truth import add_tests


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, CASES, "io", tf)


class ExampleTest(unittest.TestCase):
    def test_damaged_bytes_are_value_errors(self):
        for example in _examples(tf):
            data = example.SerializeToString()
            for at in range(len(data)):
                for changed in (data[:at], data[:at] + bytes([data[at] ^ 0x85]) + data[at + 1:]):
                    try:
                        tf.train.Example.FromString(changed)
                    except ValueError:
                        pass

    def test_values_that_are_not_packed(self):
        floats = b"".join(wire.varint(1 << 3 | wire.FIXED32) + struct.pack("<f", x) for x in (1.5, -2))
        self.assertEqual(tf.train.FloatList.FromString(floats).value, [1.5, -2])
        integers = wire.varint_field(1, 7) + wire.varint_field(1, -7)
        self.assertEqual(tf.train.Int64List.FromString(integers).value, [7, -7])


class SummaryTest(unittest.TestCase):
    def test_scalars(self):
        folder = os.path.join(tempfile.mkdtemp(), "logs")
        self.assertFalse(tf.summary.scalar("loss", 1., step=0))
        with tf.summary.create_file_writer(folder).as_default():
            for step in range(3):
                self.assertTrue(tf.summary.scalar("loss", tf.constant(step / 2), step=step))
            with tf.summary.record_if(False):
                self.assertFalse(tf.summary.scalar("loss", 9., step=9))
            with self.assertRaisesRegex(ValueError, "No step set"):
                tf.summary.scalar("loss", 1.)
        events = [e.numpy() for e in tf.data.TFRecordDataset(glob.glob(folder + "/events*"))]
        points = [{n: v for n, _, v in wire.fields(e)} for e in events]
        self.assertEqual([p[2] for p in points if 5 in p and 2 in p], [1, 2])
        self.assertEqual(len(points), 4)

    def test_a_traced_function_writes_when_it_runs(self):
        folder = tempfile.mkdtemp()
        writer = tf.summary.create_file_writer(folder)

        @tf.function
        def write(x, step):
            with writer.as_default():
                tf.summary.scalar("sum", tf.reduce_sum(x), step=step)
                tf.summary.histogram("all", x, step=step)

        for step in range(2):
            write(tf.ones([3]) * step, tf.constant(step, tf.int64))
        writer.close()
        events = [e.numpy() for e in tf.data.TFRecordDataset(glob.glob(folder + "/events*"))]
        points = [{n: v for n, _, v in wire.fields(e)} for e in events]
        self.assertEqual([(p.get(2, 0), name) for p in points for name in (b"sum", b"all") if name in p.get(5, b"")],
                         [(0, b"sum"), (0, b"all"), (1, b"sum"), (1, b"all")])

    def test_names_that_are_missing_say_so(self):
        for module, name in ((tf.io, "decode_protos"), (tf.strings, "lowers"), (tf.lookup, "StaticHashTables"),
                             (tf.train, "Checkpoints"),
                             (tf.data, "Datasets"), (tf.summary, "scalars"), (tf.data.experimental, "cardinalities")):
            with self.assertRaisesRegex(AttributeError, f"Tenon has no 'tf.*{name}'"):
                getattr(module, name)


if __name__ == "__main__":
    unittest.main()
