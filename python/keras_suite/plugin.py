"""What pytest needs to run Keras' own tests on Tenon: `keras_suite/run.py` gives it to pytest in the process of one file.

Keras' wheel carries the tests but not the conftest.py beside them, whose names and marks are given here. Three more
things stand between the tests and a backend that they do not know:

- tests that ask for TensorFlow to make what Tenon makes in the same way (sparse and ragged tensors, datasets, trainers) are
  read as they are imported with "tenon" taken for it; elsewhere the question is about dtypes, and stays;
- `import tensorflow` gives tenon.tf;
- PyTorch is not installed: whatever a test wants of it ends the test as one that lacks a package.
"""
import ast
import fnmatch
import importlib.abc
import importlib.machinery
import json
import os
import re
import sys
import types
import warnings
import zlib

import pytest

EXCLUDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "excluded.txt")
# Whole files that ask for TensorFlow to know what a backend has, not which dtypes it prefers.
ALIKE = ("testing.test_case", "trainers.trainer_test", "backend.tensorflow.")


class _Tests(ast.NodeTransformer):
    """Takes Tenon for TensorFlow within tests of sparse and ragged tensors, or everywhere."""

    def __init__(self, everywhere):
        self._within = int(everywhere)

    def _named(self, node):
        parameters = [each.arg for each in node.args.args] if isinstance(node, ast.FunctionDef) else []
        named = re.search("sparse|ragged|indexed_slices", " ".join([node.name, *parameters]), re.IGNORECASE)
        self._within += bool(named)
        self.generic_visit(node)
        self._within -= bool(named)
        return node

    visit_FunctionDef = visit_ClassDef = _named

    def visit_Compare(self, node):
        last = node.comparators[-1]
        if self._within and isinstance(node.ops[0], (ast.Eq, ast.NotEq)) and getattr(last, "value", None) == "tensorflow":
            node.ops = [ast.In() if isinstance(node.ops[0], ast.Eq) else ast.NotIn()]
            node.comparators = [ast.copy_location(ast.Tuple([last, ast.Constant("tenon")], ast.Load()), last)]
        return node

    def visit_ImportFrom(self, node):
        if self._within and (node.module or "").startswith("keras.src.backend.tensorflow"):
            node.module = node.module.replace("backend.tensorflow", "backend.tenon")
        return node

    def visit_Dict(self, node):
        """A table of backends has one more."""
        self.generic_visit(node)
        for key, value in zip(list(node.keys), list(node.values)):
            if getattr(key, "value", None) == "tensorflow":
                node.keys.append(ast.copy_location(ast.Constant("tenon"), key))
                node.values.append(value)
        return node


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        everywhere = fullname.startswith(tuple("keras.src." + name for name in ALIKE))
        tree = _Tests(everywhere).visit(ast.parse(self.get_data(path), path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Serves Keras' tests, and what they stand on, as they have to be for Tenon."""

    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("keras.src.") or not fullname.endswith(("_test", ".test_case")):
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        if found is not None:
            found.loader = _Loader(fullname, found.origin)
        return found


def _conftest():
    module = types.ModuleType("conftest")
    module.skip_if_backend = lambda backend, reason: pytest.mark.skipif(
        os.environ["KERAS_BACKEND"] == backend, reason=reason)
    return module


def _absent(name, **names):
    """A module of a package that is not installed, whose names end the test that asks for them."""
    module = types.ModuleType(name)
    module.__path__ = []
    for key, value in names.items():
        setattr(module, key, value)

    def missing(attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise ModuleNotFoundError(f"No module named '{name.split('.')[0]}'", name=name)
    module.__getattr__ = missing
    return module


def prepare():
    """Makes this process one in which Keras' tests can be imported."""
    sys.modules["conftest"] = _conftest()
    if os.environ["KERAS_BACKEND"] == "tenon":
        import tenon.tf
        sys.modules["tensorflow"] = tenon.tf
        sys.meta_path.insert(0, _Finder())
    if importlib.util.find_spec("torch") is None:
        def missing(self, *_, **__):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

        data = _absent("torch.utils.data", **{name: type(name, (), {"__init__": missing}) for name in (
            "Dataset", "IterableDataset", "DataLoader")})
        utils = _absent("torch.utils", data=data)
        # SciPy looks whether an array is a Tensor of a torch that somebody has imported.
        torch = _absent("torch", utils=utils, Tensor=type("Tensor", (), {}))
        sys.modules.update({"torch": torch, "torch.utils": utils, "torch.utils.data": data})


def excluded():
    """[(pattern of a test's name, why it is not run)]"""
    with open(EXCLUDED, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return [tuple(part.strip() for part in line.split(" # ", 1)) for line in lines]


def _first_line(error):
    """What went wrong, in one line; an error in a layer's call is found behind Keras' own words."""
    text = str(error).strip() or "no message"
    lines = text.splitlines()
    at = 2 if "Exception encountered when calling" in lines[0] and len(lines) > 2 else 0
    return f"{type(error).__name__}: {lines[at]}"[:300]


class Plugin:
    """Writes one line of JSON for each test that is collected, and for each that ended: [name, outcome, why]."""

    def __init__(self, path, part):
        """`part`: "K/N", the Kth of N parts into which the tests' names divide them."""
        self._file = open(path, "w", encoding="utf-8")
        self._part, self._parts = map(int, part.split("/"))
        self._excluded = excluded() if os.environ["KERAS_BACKEND"] == "tenon" else []

    def _write(self, item, outcome, line=""):
        json.dump([item.nodeid.split("keras/src/")[-1], outcome, line], self._file)
        self._file.write("\n")
        self._file.flush()

    def pytest_configure(self, config):
        for mark in ("requires_trainable_backend", "multi_device"):
            config.addinivalue_line("markers", f"{mark}: Keras' own")

    def pytest_collection_modifyitems(self, items):
        kept = []
        for item in items:
            name = item.nodeid.split("keras/src/")[-1]
            if zlib.crc32(name.encode()) % self._parts != self._part - 1:
                continue
            why = [reason for pattern, reason in self._excluded if fnmatch.fnmatchcase(name, pattern)]
            self._write(item, "excluded" if why else "unfinished", why[0] if why else "")
            if not why:
                kept.append(item)
        items[:] = kept

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = (yield).get_result()
        if report.skipped:
            self._write(item, "pass" if hasattr(report, "wasxfail") else "skip", str(report.longrepr)[-300:])
        elif report.failed:
            error = call.excinfo.value if call.excinfo else "an expected failure passed"
            lacks = isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(("keras", "tenon")) or (
                isinstance(error, ImportError) and re.search("requires the '[^']+' package. You can install it", str(error)))
            self._write(item, "lack" if lacks else "fail", _first_line(error))
        elif call.when == "call":
            self._write(item, "pass")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector):
        report = (yield).get_result()
        if report.failed:
            lacks = re.search("ModuleNotFoundError: No module named '(?!keras|tenon)", str(report.longrepr))
            line = [line for line in str(report.longrepr).splitlines() if re.match(r"E  |\w*Error", line)] or ["import"]
            self._write(collector, "lack" if lacks else "fail", "import: " + line[-1].removeprefix("E").strip()[:300])
        elif report.skipped:
            self._write(collector, "skip", str(report.longrepr)[-300:])


def run_file(path, out, names, part):
    """Runs the tests of one file, or those that are named."""
    warnings.simplefilter("ignore")
    prepare()
    root = path[:path.index("/keras/src/")]
    return pytest.main(["-q", "--assert=plain", "--tb=short", "-p", "no:cacheprovider", "-p", "no:warnings", "-c", os.devnull,
                        f"--rootdir={root}", *([f"{path}::{name}" for name in names] or [path])], plugins=[Plugin(out, part)])
