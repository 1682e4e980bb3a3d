"""Tensors: conversions, operators, raw ops, errors. What is expected is NumPy's, or what TensorFlow 2.21 answers."""
import gc
import pickle
import threading
import unittest

import ml_dtypes
import numpy as np

import tenon as tf

ALL = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
       "bool", "complex64", "complex128"]


class ConversionTest(unittest.TestCase):
    def test_python_values(self):
        for value, dtype in [(1, "int32"), (2 ** 40, "int64"), (1.5, "float32"), (True, "bool"), (1j, "complex128"),
                             ("a", "string"), (b"a", "string"), ([1, 2.5], "float32"), ([], "float32"),
                             ([1, True], "int32"), ([1.0, True], "float32"), ([np.float64(1), 2], "float64"),
                             ([[1], [2]], "int32"), (np.float32(2), "float32"), (np.int64(2), "int64"),
                             ((1, 2), "int32"), ([np.ones(2), np.zeros(2)], "float64"), (range(3), "int64")]:
            if isinstance(value, range):
                value = list(value)
                dtype = "int32"
            with self.subTest(value=value):
                tensor = tf.constant(value)
                self.assertEqual(tensor.dtype, dtype)
                if dtype != "string":
                    np.testing.assert_array_equal(tensor.numpy(), np.array(value).astype(dtype))

    def test_wanted_dtypes(self):
        self.assertEqual(tf.constant(True, tf.float32).numpy(), 1.0)
        self.assertEqual(tf.constant(-5, tf.uint8).numpy(), 251)
        self.assertEqual(tf.constant(300, tf.uint8).numpy(), 44)
        self.assertEqual(tf.constant(np.array([1.5]), tf.int32).tolist(), [1])
        self.assertEqual(tf.convert_to_tensor(np.array([1.5]), "float32").dtype, tf.float32)
        self.assertEqual(tf.constant(2.5, tf.bfloat16).numpy(), ml_dtypes.bfloat16(2.5))

    def test_refusals(self):
        for value, dtype, error, text in [
                (1.5, tf.int32, TypeError, "Cannot convert 1.5 to EagerTensor of dtype int32"),
                (1, tf.string, TypeError, "Cannot convert 1 to EagerTensor of dtype string"),
                ([[1], [2, 3]], None, ValueError, "non-rectangular"), ([[1], 2], None, ValueError, "non-rectangular"),
                ([True, 1], None, ValueError, "mixed types"), (["a", 1], None, ValueError, "mixed types"),
                (None, None, ValueError, "unsupported type"), ([None], None, ValueError, "unsupported type"),
                (2 ** 70, None, ValueError, "out-of-range integer"), (object(), None, ValueError, "unsupported type"),
                (tf.constant(1), tf.float32, ValueError, "requested dtype float32 for Tensor with dtype int32"),
                (np.array([object()]), None, ValueError, "Unsupported object type"),
                (np.zeros(2, "M8[D]"), None, ValueError, "Unsupported numpy type"),
                (np.zeros(2, [("a", "i4")]), None, ValueError, "Unsupported numpy type")]:
            with self.subTest(value=value), self.assertRaisesRegex(error, text):
                tf.convert_to_tensor(value, dtype)
        nested = []
        for _ in range(100):
            nested = [nested]
        with self.assertRaisesRegex(ValueError, "nest more than"):
            tf.constant(nested)

    def test_numpy_arrays_of_every_dtype_and_layout(self):
        for dtype in ALL + [ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn]:
            base = np.arange(24).reshape(2, 3, 4).astype(dtype)
            for array in [base, base.T, base[:, ::-1], base[1:, 0], base[:0], base[0, 0, 0:1].reshape(())]:
                with self.subTest(dtype=dtype, shape=array.shape):
                    tensor = tf.constant(array)
                    self.assertEqual(tensor.shape, array.shape)
                    back = tensor.numpy()
                    self.assertEqual(back.dtype, np.dtype(dtype))
                    np.testing.assert_array_equal(back, array)
        np.testing.assert_array_equal(tf.constant(np.arange(3, dtype=">i4")).numpy(), np.arange(3))

    def test_dtypes_by_any_name(self):
        for name in ["float32", "float", "DT_FLOAT", np.float32, np.dtype("float32"), float, tf.float32, 1]:
            self.assertIs(tf.as_dtype(name), tf.float32)
            self.assertEqual(tf.float32, name)
        self.assertEqual([tf.as_dtype(t) for t in (bool, np.bool_, ml_dtypes.bfloat16, np.dtype("S3"))],
                         [tf.bool, tf.bool, tf.bfloat16, tf.string])
        for name in [int, str, "float33", 2 ** 40, -1, 99, object(), 1.5]:
            with self.subTest(name=name), self.assertRaisesRegex(TypeError, "to a TensorFlow DType"):
                tf.as_dtype(name)
        self.assertTrue(tf.float32 != None)  # noqa: E711
        for shape in [[1.5], "x", [-2]]:
            with self.subTest(shape=shape), self.assertRaises((TypeError, ValueError)):
                tf.raw_ops.Placeholder(dtype=tf.float32, shape=shape)

    def test_strings(self):
        self.assertEqual(tf.constant("ä").numpy(), "ä".encode())
        for array in [np.array(["a", "bc"]), np.array([b"a", b"bc"]), np.array(["a", b"bc"], object), ["a", b"bc"]]:
            tensor = tf.constant(array)
            self.assertEqual(tensor.tolist(), [b"a", b"bc"])
            self.assertEqual(tensor.numpy().dtype, object)
        self.assertEqual(tf.constant([["a"], ["b"]]).numpy().shape, (2, 1))

    def test_sequences_with_tensors_are_packed(self):
        packed = tf.convert_to_tensor([tf.constant(1), 2])
        self.assertEqual((packed.dtype, packed.tolist()), (tf.int32, [1, 2]))
        with self.assertRaisesRegex(TypeError, "Cannot convert 2.5"):
            tf.convert_to_tensor([tf.constant(1), 2.5])

    def test_constant_takes_a_shape(self):
        self.assertEqual(tf.constant(1, shape=[2, 2]).tolist(), [[1, 1], [1, 1]])
        self.assertEqual(tf.constant([1, 2, 3, 4], shape=[2, 2]).tolist(), [[1, 2], [3, 4]])
        with self.assertRaisesRegex(TypeError, "has 3 elements"):
            tf.constant([1, 2, 3], shape=[2, 2])


class SharingTest(unittest.TestCase):
    def test_numpy_is_a_copy_to_write_to(self):
        tensor = tf.constant([1., 2.])
        for array in [tensor.numpy(), np.array(tensor), tensor.__array__()]:
            self.assertTrue(array.flags.writeable)
            array[0] = 9
        self.assertEqual(tensor.tolist(), [1, 2])
        source = np.ones(2)
        tensor = tf.constant(source)
        source[0] = 5
        self.assertEqual(tensor.tolist(), [1, 1])

    def test_memory_is_lent_to_be_read(self):
        tensor = tf.constant(np.arange(6, dtype=np.int64).reshape(2, 3))
        view = memoryview(tensor)
        self.assertTrue(view.readonly)
        self.assertEqual((view.shape, view.tolist()), ((2, 3), [[0, 1, 2], [3, 4, 5]]))
        lent = np.from_dlpack(tensor)
        self.assertFalse(lent.flags.writeable)
        np.testing.assert_array_equal(lent, tensor.numpy())
        self.assertEqual(lent.__array_interface__["data"][0], np.frombuffer(tensor, np.int64).__array_interface__["data"][0])
        del tensor
        gc.collect()
        self.assertEqual(lent.tolist(), view.tolist())

    def test_what_is_lent_of_a_variable_does_not_change(self):
        variable = tf.Variable([1., 2.])
        view = memoryview(variable.read_value())
        variable.assign_add([1., 1.])
        self.assertEqual(view.tolist(), [1, 2])
        self.assertEqual(variable.numpy().tolist(), [2, 3])

    def test_dlpack_comes_in(self):
        for array in [np.arange(6.).reshape(2, 3), np.arange(6).reshape(2, 3).T, np.array([True]), np.zeros((0, 2))]:
            tensor = tf.from_dlpack(array)
            np.testing.assert_array_equal(tensor.numpy(), array)
        np.testing.assert_array_equal(tf.from_dlpack(tf.constant([1, 2])).numpy(), [1, 2])

    def test_pickles(self):
        for value in [tf.constant([1.5, 2]), tf.constant("a"), tf.float32, tf.TensorShape([1, None]),
                      tf.TensorSpec([None], tf.int32, "x"), tf.errors.InvalidArgumentError(None, None, "text")]:
            again = pickle.loads(pickle.dumps(value))
            self.assertIs(type(again), type(value))
            self.assertEqual(str(again), str(value))


class OperatorTest(unittest.TestCase):
    def test_arithmetic_is_numpys(self):
        rng = np.random.default_rng(0)
        for dtype in ["float32", "float64", "int32", "int64"]:
            a = rng.integers(1, 9, (2, 3)).astype(dtype)
            b = rng.integers(1, 5, (3,)).astype(dtype)
            x, y = tf.constant(a), tf.constant(b)
            for f in [lambda p, q: p + q, lambda p, q: p - q, lambda p, q: p * q, lambda p, q: p // q,
                      lambda p, q: p % q, lambda p, q: p ** q, lambda p, q: -p, lambda p, q: abs(-p),
                      lambda p, q: p < q, lambda p, q: p <= q, lambda p, q: p > q, lambda p, q: p >= q,
                      lambda p, q: p == q, lambda p, q: p != q, lambda p, q: p @ q[:, None], lambda p, q: +p,
                      lambda p, q: 2 * p + 3, lambda p, q: 7 - p, lambda p, q: 9 // p, lambda p, q: 9 % p]:
                got, want = f(x, y).numpy(), f(a, b)
                np.testing.assert_allclose(got, want, rtol=1e-6)
                self.assertEqual(got.dtype, want.dtype)
        self.assertEqual((tf.constant(-7) % 3).numpy(), 2)

    def test_true_division_of_integers(self):
        for dtype, wide in [("int32", "float64"), ("int64", "float64"), ("uint8", "float32"), ("int16", "float32")]:
            quotient = tf.constant(7, dtype) / 2
            self.assertEqual((quotient.dtype, quotient.numpy()), (wide, 3.5))

    def test_logic(self):
        t, f = tf.constant(True), tf.constant(False)
        self.assertEqual([bool(x) for x in (t & f, t | f, t ^ f, t ^ t, ~t)], [False, True, True, False, False])
        self.assertEqual([int(x) for x in (tf.constant(6) & 3, tf.constant(6) | 1, tf.constant(6) ^ 3, ~tf.constant(6))],
                         [2, 7, 5, -7])

    def test_numbers_and_arrays_take_the_tensors_dtype(self):
        self.assertEqual((tf.constant(1.0) + np.array([1.0])).dtype, tf.float32)
        self.assertEqual((np.ones(2, np.float32) * tf.constant([1., 2.])).tolist(), [1, 2])
        self.assertEqual((tf.constant(1) + np.array([1.5])).tolist(), [2])
        self.assertEqual((np.float32(2) * tf.constant([1., 2.])).tolist(), [2, 4])

    def test_nothing_is_promoted(self):
        for f in [lambda: tf.constant(1) + tf.constant(1.5), lambda: tf.constant(1) + 1.5]:
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError,
                                        r"cannot compute AddV2 as input #1\(zero-based\) was expected to be a int32 "
                                        r"tensor but is a float tensor \[Op:AddV2\]"):
                f()
        for f in [lambda: 1.5 + tf.constant(1), lambda: tf.constant(3) == 3.5, lambda: tf.constant(3) < 3.5]:
            with self.assertRaisesRegex(TypeError, "Cannot convert .* to EagerTensor of dtype int32"):
                f()

    def test_equality(self):
        self.assertTrue(tf.constant(3) != None)  # noqa: E711
        self.assertFalse(tf.constant(3) == None)  # noqa: E711
        self.assertFalse(bool(tf.constant([1, 2]) == tf.constant([1, 2, 3])))
        with self.assertRaises(TypeError):
            hash(tf.constant(1))
        t = tf.constant(1)
        self.assertEqual({t.ref(): 1}[t.ref()], 1)

    def test_python_numbers(self):
        self.assertEqual((int(tf.constant(1.5)), float(tf.constant(2)), list(range(tf.constant(3)))), (1, 2.0, [0, 1, 2]))
        self.assertEqual([bool(tf.constant(v)) for v in (0., 1, "a", "", [1])], [False, True, True, False, True])
        for f, error in [(lambda: bool(tf.constant([1, 2])), ValueError), (lambda: int(tf.constant([1])), TypeError),
                         (lambda: len(tf.constant(3)), TypeError), (lambda: list(tf.constant(3)), TypeError),
                         (lambda: range(tf.constant(1.)), TypeError)]:
            self.assertRaises(error, f)
        self.assertEqual(len(tf.constant([3, 4])), 2)
        self.assertEqual([int(x) for x in tf.constant([3, 4])], [3, 4])

    def test_indexing_is_numpys(self):
        array = np.arange(60).reshape(3, 4, 5)
        tensor = tf.constant(array)
        for key in [1, -1, (1, 2, 3), slice(None, None, -1), (slice(1, 3), 2), (Ellipsis, 1), None, (None, 1, None),
                    (slice(None), slice(0, 4, 2), slice(4, 0, -2)), (0, Ellipsis, 0), slice(1, 100)]:
            np.testing.assert_array_equal(tensor[key].numpy(), array[key])
        self.assertEqual(tf.constant([1, 2, 3])[tf.constant(1)].numpy(), 2)
        self.assertEqual(tf.constant([1, 2, 3])[1:tf.constant(2)].tolist(), [2])
        self.assertEqual(tf.constant([1, 2, 3])[tf.constant([True, False, True])].tolist(), [1, 3])
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "slice index 5 of dimension 0 out of bounds"):
            tf.constant([1, 2, 3])[5]
        with self.assertRaisesRegex(TypeError, "Only integers, slices"):
            tf.constant([1, 2, 3])[1.5]

    def test_printing(self):
        self.assertEqual(repr(tf.constant([1., 2.])),
                         "<tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>")
        self.assertEqual(str(tf.constant([1., 2.])), "tf.Tensor([1. 2.], shape=(2,), dtype=float32)")
        self.assertEqual(str(tf.constant(2.2)), "tf.Tensor(2.2, shape=(), dtype=float32)")
        self.assertEqual(repr(tf.constant(1.5)), "<tf.Tensor: shape=(), dtype=float32, numpy=1.5>")
        self.assertEqual(str(tf.constant([[1], [2]])), "tf.Tensor(\n[[1]\n [2]], shape=(2, 1), dtype=int32)")
        self.assertEqual((repr(tf.float32), str(tf.float32)), ("tf.float32", "<dtype: 'float32'>"))
        self.assertEqual(repr(tf.constant([1]).shape), "TensorShape([1])")


class RawOpTest(unittest.TestCase):
    def test_several_lists(self):
        """Each output list has the length that its attribute says."""
        logits = np.log(np.array([[[.6, .3, .1]], [[.2, .7, .1]]], np.float32))
        found = tf.raw_ops.CTCBeamSearchDecoder(inputs=logits, sequence_length=[2], beam_width=4, top_paths=2,
                                             merge_repeated=False)
        self.assertEqual([len(part) for part in found[:3]], [2, 2, 2])
        self.assertEqual(found.log_probability.shape, [1, 2])
        self.assertEqual(found.decoded_values[0].numpy().tolist(), [0, 1])  # by hand: .6 * .7 is the most likely path

    def test_results(self):
        raw = tf.raw_ops
        self.assertEqual(raw.AddV2(x=1, y=2).numpy(), 3)
        self.assertEqual(raw.Sum(input=[1., 2.], axis=0).numpy(), 3)
        self.assertEqual([p.tolist() for p in raw.Split(axis=0, value=[1, 2], num_split=2)], [[1], [2]])
        unique = raw.Unique(x=[1, 1, 2])
        self.assertEqual((type(unique).__name__, unique.y.tolist(), unique.idx.tolist()), ("Unique", [1, 2], [0, 0, 1]))
        self.assertEqual(raw.Cast(x=1, DstT=tf.float32).dtype, tf.float32)
        self.assertIsNone(raw.NoOp())
        self.assertEqual(raw.ConcatV2(values=[[1], [2]], axis=0).tolist(), [1, 2])
        self.assertEqual([p.dtype for p in raw.IdentityN(input=[1, 2.])], ["int32", "float32"])
        self.assertEqual(raw.Max(input=[1, 2], axis=[0], keep_dims=True, name="x").tolist(), [2])
        self.assertEqual(raw.StringLower(input="A").numpy(), b"a")
        self.assertEqual(raw.DecodeRaw(bytes="abc", out_type=tf.uint8).tolist(), [97, 98, 99])

    def test_small_host_inputs_and_shapes_change(self):
        x = np.arange(24.).reshape(2, 3, 4)
        for axis in [0, 1, 2, (0, 1), (0, 1, 2)]:
            np.testing.assert_allclose(tf.raw_ops.Sum(input=x, axis=axis).numpy(), x.sum(axis))
        for n in range(1, 40):
            np.testing.assert_allclose((tf.constant(np.ones(n)) + 1).numpy(), np.full(n, 2.))

    def test_errors(self):
        raw = tf.raw_ops
        for f, error, text in [
                (lambda: raw.AddV2(1, 2), TypeError, r"add_v2 only takes keyword args \(possible keys: \['x', 'y', "),
                (lambda: raw.AddV2(x=1), TypeError, r"add_v2\(\) missing 1 required positional argument: 'y'"),
                (lambda: raw.AddV2(x=1, y=2, z=3), TypeError, r"add_v2\(\) got an unexpected keyword argument 'z'"),
                (lambda: raw.AddV2(x=tf.constant(1), y=2.5), TypeError, "Cannot convert 2.5 to EagerTensor of dtype int32"),
                (lambda: raw.MatMul(a=[[1.]], b=[[1.], [2.]]), tf.errors.InvalidArgumentError, "MatMul"),
                (lambda: raw.AdV2, AttributeError, "near it: AddV2"),
                (lambda: raw.Conv2D(input=np.zeros((1, 3, 3, 1)), filter=np.zeros((1, 1, 1, 1)), strides=1,
                                    padding="SAME"), TypeError, "Expected list for 'strides' argument"),
                (lambda: raw.Conv2D(input=np.zeros((1, 3, 3, 1)), filter=np.zeros((1, 1, 1, 1)),
                                    strides=[1, 1, 1, 1], padding="FOO"), tf.errors.InvalidArgumentError, "FOO")]:
            with self.subTest(text=text), self.assertRaisesRegex(error, text):
                f()
        caught = tf.errors.InvalidArgumentError(None, None, "text")
        self.assertEqual((caught.error_code, caught.message, isinstance(caught, tf.errors.OpError)), (3, "text", True))

    def test_threads(self):
        def work(seed, failures):
            rng = np.random.default_rng(seed)
            for _ in range(50):
                a = rng.normal(size=(rng.integers(1, 80), 70)).astype(np.float32)
                got = (tf.constant(a) @ tf.constant(a.T)).numpy()
                if not np.allclose(got, a @ a.T, rtol=1e-3, atol=1e-3):
                    failures.append(seed)
        failures = []
        threads = [threading.Thread(target=work, args=(seed, failures)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_memory_stays_flat(self):
        def resident():
            with open("/proc/self/statm", encoding="ascii") as f:
                return int(f.read().split()[1]) * 4096
        x = tf.constant(np.ones((64, 64), np.float32))

        def loop(count):
            for _ in range(count):
                _ = x * 2. + x
        loop(2000)
        before = resident()
        loop(10000)
        self.assertLess(resident() - before, 2 << 20)


if __name__ == "__main__":
    unittest.main()
