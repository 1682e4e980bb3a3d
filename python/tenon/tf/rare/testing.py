"""tf.test: a TestCase with assertions on tensors, and gradients by differences."""
import tempfile
import unittest

from tenon import _tenon, nest
from tenon.gradient_tape import GradientTape


def _array(value):
    import numpy as np
    if isinstance(value, (list, tuple)):
        return np.array([_array(v) for v in value])
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


class TestCase(unittest.TestCase):
    """Assertions on tensors, arrays and structures of them."""

    def evaluate(self, tensors):
        return nest.map_structure(lambda x: x.numpy() if hasattr(x, "numpy") else x, tensors)

    def get_temp_dir(self):
        if not hasattr(self, "_folder"):
            self._folder = tempfile.mkdtemp(prefix=type(self).__name__)
        return self._folder

    create_tempdir = get_temp_dir

    def assertAllEqual(self, a, b, msg=None):  # noqa: N802: TensorFlow's names
        import numpy as np
        a, b = _array(a), _array(b)
        self.assertEqual(a.shape, b.shape, msg)
        np.testing.assert_array_equal(a, b, err_msg=msg or "")

    def assertNotAllEqual(self, a, b, msg=None):  # noqa: N802
        with self.assertRaises(AssertionError, msg=msg):
            self.assertAllEqual(a, b)

    def assertAllClose(self, a, b, rtol=1e-6, atol=1e-6, msg=None):  # noqa: N802
        import numpy as np
        if isinstance(a, dict):
            self.assertEqual(set(a), set(b), msg)
            for key in a:
                self.assertAllClose(a[key], b[key], rtol, atol, msg or key)
            return
        if isinstance(a, (list, tuple)) and len({_array(x).shape for x in a}) > 1:
            self.assertEqual(len(a), len(b), msg)
            for x, y in zip(a, b):
                self.assertAllClose(x, y, rtol, atol, msg)
            return
        a, b = _array(a), _array(b)
        self.assertEqual(a.shape, b.shape, msg)
        half = {"float16": 1e-3, "bfloat16": 1e-2}
        least = max(half.get(x.dtype.name, 0) for x in (a, b))
        np.testing.assert_allclose(a.astype("float64") if least else a, b.astype("float64") if least else b, max(rtol, least),
                                   max(atol, least), err_msg=msg or "")

    def assertNotAllClose(self, a, b, rtol=1e-6, atol=1e-6, msg=None):  # noqa: N802
        with self.assertRaises(AssertionError, msg=msg):
            self.assertAllClose(a, b, rtol, atol)

    def assertAllCloseAccordingToType(self, a, b, rtol=1e-6, atol=1e-6, float_rtol=1e-6, float_atol=1e-6,  # noqa: N802
                                      half_rtol=1e-3, half_atol=1e-3, bfloat16_rtol=1e-2, bfloat16_atol=1e-2, msg=None):
        names = {_array(x).dtype.name for x in (a, b)}
        for name, relative, absolute in (("float32", float_rtol, float_atol), ("float16", half_rtol, half_atol),
                                         ("bfloat16", bfloat16_rtol, bfloat16_atol)):
            if name in names:
                rtol, atol = max(rtol, relative), max(atol, absolute)
        self.assertAllClose(a, b, rtol, atol, msg)

    def assertNear(self, f1, f2, err, msg=None):  # noqa: N802
        self.assertLessEqual(abs(float(f1) - float(f2)), err, msg)

    def assertArrayNear(self, farray1, farray2, err, msg=None):  # noqa: N802
        self.assertEqual(len(farray1), len(farray2), msg)
        for x, y in zip(farray1, farray2):
            self.assertNear(x, y, err, msg)

    def assertShapeEqual(self, a, b, msg=None):  # noqa: N802
        self.assertEqual(list(a.shape), list(b.shape), msg)

    def assertDTypeEqual(self, target, expected_dtype):  # noqa: N802
        self.assertEqual(_array(target).dtype, _tenon.as_dtype(expected_dtype).as_numpy_dtype)

    def assertEmpty(self, container, msg=None):  # noqa: N802
        self.assertEqual(len(container), 0, msg)

    def assertNotEmpty(self, container, msg=None):  # noqa: N802
        self.assertNotEqual(len(container), 0, msg)

    def assertAllInSet(self, target, expected_set):  # noqa: N802
        self.assertLessEqual(set(_array(target).ravel().tolist()), set(expected_set))

    def assertAllInRange(self, target, lower_bound, upper_bound, open_lower_bound=False, open_upper_bound=False):  # noqa: N802
        target = _array(target)
        low = target > lower_bound if open_lower_bound else target >= lower_bound
        high = target < upper_bound if open_upper_bound else target <= upper_bound
        self.assertTrue((low & high).all(), f"not all of {target} are from {lower_bound} to {upper_bound}")

    def cached_session(self, *_, **__):
        import contextlib
        return contextlib.nullcontext(self)

    session = cached_session


def _compare(name, test):
    def check(self, a, comparison_target):
        a = _array(a)
        self.assertTrue(test(a, _array(comparison_target)).all(), f"not all of {a} are {name} {comparison_target}")
    return check


for _name, _test in (("Greater", lambda a, b: a > b), ("Less", lambda a, b: a < b), ("GreaterEqual", lambda a, b: a >= b),
                     ("LessEqual", lambda a, b: a <= b)):
    setattr(TestCase, f"assertAll{_name}", _compare(_name, _test))


def main(argv=None):
    unittest.main(argv=argv)


def compute_gradient(f, x, delta=None):
    """(Jacobians by the tape, Jacobians by differences), one for each of the arguments `x`."""
    import numpy as np
    arguments = [_tenon.convert(each) for each in x]
    with GradientTape(persistent=True) as tape:
        tape.watch(arguments)
        value = f(*arguments)
    size = value.shape.num_elements()
    by_tape, by_difference = [], []
    for at, argument in enumerate(arguments):
        found = tape.jacobian(value, argument)
        count = argument.shape.num_elements()
        by_tape.append(np.zeros((size, count)) if found is None else found.numpy().reshape(size, count))
        step = delta or (1.0 / 1024)
        columns = np.zeros((size, count), argument.dtype.as_numpy_dtype)
        for i in range(count):
            ends = []
            for sign in (1, -1):
                moved = argument.numpy()
                moved.reshape(-1)[i] += sign * step
                ends.append(f(*(arguments[:at] + [_tenon.convert(moved)] + arguments[at + 1:])).numpy().reshape(-1))
            columns[:, i] = (ends[0] - ends[1]) / (2 * step)
        by_difference.append(columns)
    return tuple(by_tape), tuple(by_difference)


def assert_equal_graph_def(expected, actual):
    if expected.SerializeToString() != actual.SerializeToString():
        raise AssertionError("The graphs differ.")
