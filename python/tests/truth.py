"""Compares what Tenon answers to the cases with what TensorFlow did (make_truth.py)."""
import json
import os


def load(name):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "truth", name + ".json")) as file:
        return json.load(file)


def differences(got, want, at=""):
    """Where the two differ: numbers by more than 1e-5 of their size."""
    if isinstance(want, list) and isinstance(got, (list, tuple)) and len(got) == len(want):
        return [d for i, (g, w) in enumerate(zip(got, want)) for d in differences(g, w, f"{at}[{i}]")]
    if isinstance(want, dict) and isinstance(got, dict) and set(got) == set(want):
        return [d for key in want for d in differences(got[key], want[key], f"{at}[{key!r}]")]
    if isinstance(want, float) and isinstance(got, float):
        same = abs(got - want) <= 1e-6 + 1e-5 * abs(want) or got == want or (got != got and want != want)
    else:
        same = got == want and isinstance(got, bool) == isinstance(want, bool)
    return [] if same else [f"{at}: {got!r}, TensorFlow: {want!r}"]


def add_tests(test_class, cases, name, tf):
    """A test of `test_class` for each case."""
    truth = load(name)
    for case in cases:
        def test(self, case=case):
            found = differences(json.loads(json.dumps(case(tf))), truth[case.__name__])
            self.assertFalse(found, "\n" + "\n".join(found))

        setattr(test_class, f"test_{case.__name__}", test)
    assert set(truth) == {case.__name__ for case in cases}
