#!/usr/bin/env python3
"""Runs Keras' own tests, which its wheel carries, on Tenon: "N of M pass, S skip".

    PYTHONPATH=build/python .venv/bin/python python/keras_tests.py [-j N] [-v] [--backend tenon] [MODULE ...]

MODULE is a folder or a file of keras/src without its ending (`losses`, `ops/nn`); without one CHOSEN runs. Every file has
a process of its own. A file that cannot be imported is one test that fails. Tests that compare with a package that is
not installed (JAX, SciPy, PyTorch, scikit-learn) are counted on their own: they were not run to their end. pytest is used where it is installed;
otherwise its marks, which are all that these tests use of it, are understood here.
"""
import argparse
import ast
import collections
import concurrent.futures
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import types
import unittest
import warnings

# The sources of the package lie beside this script, without their extension module.
sys.path[:] = [p for p in sys.path if os.path.abspath(p) != os.path.dirname(os.path.abspath(__file__))]
CHOSEN = ["activations", "constraints", "initializers", "losses", "metrics", "optimizers", "regularizers", "models",
          "backend/common", "layers/activations", "layers/core", "layers/merging", "layers/normalization",
          "layers/convolutional", "layers/pooling", "layers/regularization", "layers/reshaping", "layers/rnn",
          "layers/attention", "layers/preprocessing", "ops/core", "ops/math", "ops/nn", "ops/numpy", "ops/linalg", "random", "saving"]
# A file that takes longer has failed.
SECONDS = 1500


class Warns(warnings.catch_warnings):
    """pytest.warns: the list of the warnings, one of which at least is of the class and matches."""

    def __init__(self, expected=Warning, match=""):
        super().__init__(record=True)
        self._expected, self._match = expected, match

    def __enter__(self):
        self._found = super().__enter__()
        warnings.simplefilter("always")
        return self._found

    def __exit__(self, *error):
        super().__exit__(*error)
        if error[0] is None and not any(issubclass(each.category, self._expected) and re.search(self._match, str(each.message))
                                        for each in self._found):
            raise AssertionError(f"no {self._expected.__name__} that matches {self._match!r} was given")


def import_or_skip(name, **_):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise unittest.SkipTest(f"could not import '{name}'") from None


def marks():
    """A stand-in for pytest: marks that skip, and those that say something only to Keras' conftest."""
    class Marks:
        def __getattr__(self, name):
            return lambda *args, **_: args[0] if args and callable(args[0]) else (lambda test: test)

        @staticmethod
        def skip(reason=""):
            return unittest.skip(reason)

        @staticmethod
        def skipif(condition, reason=""):
            return unittest.skipIf(condition, reason)

    module = types.ModuleType("pytest")
    module.mark = Marks()
    module.skip = lambda reason="", **_: (_ for _ in ()).throw(unittest.SkipTest(reason))
    module.fixture = lambda *args, **_: args[0] if args else (lambda function: function)
    module.param = lambda *args, **_: args
    module.warns, module.importorskip = Warns, import_or_skip
    module.raises = lambda error, match=None: unittest.TestCase().assertRaisesRegex(error, match or "")
    return module


class SparseTests(ast.NodeTransformer):
    """Tests of sparse and ragged tensors ask whether the backend is TensorFlow, to make some: Tenon makes them in the same way.
    Elsewhere the question is left as it is: it is about dtypes."""

    within = 0

    def visit_named(self, node):
        named = re.search("sparse|ragged|indexed_slices", node.name, re.IGNORECASE)
        self.within += bool(named)
        self.generic_visit(node)
        self.within -= bool(named)
        return node

    visit_FunctionDef = visit_ClassDef = visit_named

    def visit_Compare(self, node):
        last = node.comparators[-1]
        if self.within and isinstance(node.ops[0], ast.Eq) and getattr(last, "value", None) == "tensorflow":
            node.ops = [ast.In()]
            node.comparators = [ast.copy_location(ast.Tuple([last, ast.Constant("tenon")], ast.Load()), last)]
        return ast.fix_missing_locations(node)


class TestLoader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        changed = SparseTests()
        changed.within = fullname.endswith(".test_case")  # all that it asks is how to make and to know such tensors
        return compile(changed.visit(ast.parse(self.get_data(path), path)), path, "exec", dont_inherit=True)


class TestFinder(importlib.abc.MetaPathFinder):
    """Serves Keras' tests, and what they stand on, as they have to be for Tenon."""

    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("keras.src.") or not fullname.endswith(("_test", ".test_case")):
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        if found is not None:
            found.loader = TestLoader(fullname, found.origin)
        return found


def conftest():
    """What tests take from Keras' conftest, which is not in the wheel."""
    module = types.ModuleType("conftest")
    module.skip_if_backend = lambda backend, reason: unittest.skipIf(os.environ["KERAS_BACKEND"] == backend, reason)
    return module


class Result(unittest.TestResult):
    """What became of each test, and the last line of what went wrong."""

    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def _note(self, test, outcome, error=None):
        line = ""
        if error is not None:
            text = str(error[1]).strip() or "no message"
            line = f"{error[0].__name__}: {text.splitlines()[0]}"
            if "Exception encountered when calling" in line and len(text.splitlines()) > 2:
                line = f"{error[0].__name__}: {text.splitlines()[2]}"
        if error is not None and isinstance(error[1], ModuleNotFoundError):
            outcome = "lack"
        before = self.outcomes.get(test.id(), ("pass",))
        if before[0] in ("pass", "skip"):
            self.outcomes[test.id()] = (outcome, line[:300])

    def addSuccess(self, test):
        self._note(test, "pass")

    def addError(self, test, err):
        self._note(test, "fail", err)

    addFailure = addError

    def addSkip(self, test, reason):
        self.outcomes[test.id()] = ("skip", reason)

    def addExpectedFailure(self, test, err):
        self._note(test, "pass")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._note(test, "fail", err)


def run_file(module):
    """In the process of one file: writes what became of its tests to the file named by KERAS_TESTS_OUT."""
    try:
        import pytest  # noqa: F401
    except ImportError:
        sys.modules["pytest"] = marks()
    sys.modules["conftest"] = conftest()
    if os.environ["KERAS_BACKEND"] == "tenon":
        import tenon.tf
        sys.modules["tensorflow"] = tenon.tf  # what tests take from TensorFlow
        sys.meta_path.insert(0, TestFinder())
    try:
        suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(module))
    except Exception as error:  # noqa: BLE001: any error of the import counts
        lacks = isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(("keras", "tenon"))
        outcomes = {module: ("lack" if lacks else "fail", f"import: {type(error).__name__}: {error}")}
    else:
        result = Result()
        suite.run(result)
        outcomes = result.outcomes
    with open(os.environ["KERAS_TESTS_OUT"], "w") as file:
        json.dump(outcomes, file)


def files_of(names):
    """The modules of the tests in folders and files of keras/src."""
    root = os.path.join(os.path.dirname(importlib.util.find_spec("keras").origin), "src")
    found = []
    for name in names:
        path = os.path.join(root, name)
        if os.path.isdir(path):
            found += [os.path.join(folder, f) for folder, _, files in os.walk(path) for f in files
                      if f.endswith("_test.py")]
        else:
            found.append(path.removesuffix(".py").removesuffix("_test") + "_test.py")
    return ["keras.src." + os.path.relpath(f, root)[:-3].replace(os.sep, ".") for f in sorted(set(found))]


def outcomes_of(module, backend):
    with tempfile.TemporaryDirectory() as home:
        out = os.path.join(home, "out.json")
        environment = {**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": home, "KERAS_TESTS_OUT": out,
                       "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(
                           os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)}
        try:
            done = subprocess.run([sys.executable, "-W", "ignore", os.path.abspath(__file__), "--file", module],
                                  env=environment, cwd=home, capture_output=True, text=True, timeout=SECONDS)
            with open(out) as file:
                return json.load(file)
        except subprocess.TimeoutExpired:
            return {module: ("fail", f"more than {SECONDS} s")}
        except OSError:
            tail = done.stderr.strip().splitlines()[-1:] or [""]
            return {module: ("fail", f"the process ended with {done.returncode}: {tail[0]}")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-j", type=int, default=1, help="files at once")
    parser.add_argument("-v", action="store_true", help="name each test that fails")
    parser.add_argument("--backend", default="tenon")
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    options = parser.parse_args()
    if options.file:
        return run_file(options.file)
    modules = files_of(options.modules or CHOSEN)
    total, reasons = collections.Counter(), collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        for module, outcomes in zip(modules, pool.map(lambda m: outcomes_of(m, options.backend), modules)):
            count = collections.Counter(outcome for outcome, _ in outcomes.values())
            total += count
            print(f"{module.removeprefix('keras.src.')}: {count['pass']} of {count['pass'] + count['fail']} pass, "
                  f"{count['skip']} skip, {count['lack']} lack a package", flush=True)
            for test, (outcome, line) in outcomes.items():
                if outcome in ("fail", "lack"):
                    reasons[line] += 1
                if outcome == "fail":
                    if options.v:
                        print(f"    {test.removeprefix(module + '.')}: {line}", flush=True)
    print("\nWhat fails most:")
    for line, count in reasons.most_common(40):
        print(f"{count:5} {line}")
    print(f"\n{total['pass']} of {total['pass'] + total['fail']} pass, {total['skip']} skip, {total['lack']} lack a package")
    return None


if __name__ == "__main__":
    sys.exit(main())
