"""Serves tenon.tf under the name `tensorflow`, with what lies in it: tensorflow.keras.layers and the like."""
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types

NAME = "tensorflow"


class _Same(importlib.abc.Loader):
    """A module that is known by another name too."""

    def __init__(self, module):
        self._module = module

    def create_module(self, spec):
        self._spec = getattr(self._module, "__spec__", None)
        return self._module

    def exec_module(self, module):
        module.__spec__ = self._spec


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname != NAME and not fullname.startswith(NAME + "."):
            return None
        module = _module(fullname[len(NAME) + 1:])
        if module is None:
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: {NAME} is Tenon's tenon.tf here, which has TensorFlow's public names.",
                name=fullname)
        return importlib.machinery.ModuleSpec(fullname, _Same(module), is_package=True)


def _module(path):
    """The module of tenon.tf that is found under these names; None where there is none."""
    module = importlib.import_module("tenon.tf")
    for name in filter(None, path.split(".")):
        child = getattr(module, name, None)
        if not isinstance(child, types.ModuleType) and getattr(module, "__path__", None):
            try:
                child = importlib.import_module(f"{module.__name__}.{name}")
            except ModuleNotFoundError:
                return None
        if not isinstance(child, types.ModuleType):
            return None
        module = child
    return module


def _is_served():
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def serve_submodules():
    """Finds tensorflow.A.B from now on, wherever `tensorflow` itself comes from."""
    if not _is_served():
        sys.meta_path.insert(0, _Finder())


def install():
    """Serves the name from now on, and Keras on Tenon. RuntimeError where TensorFlow itself is loaded already."""
    if _is_served():
        return
    if NAME in sys.modules:
        raise RuntimeError("TensorFlow is loaded in this process already: install_as_tensorflow() comes before it.")
    if os.environ.get("KERAS_BACKEND", NAME) == NAME:
        os.environ["KERAS_BACKEND"] = "tenon"
        from keras_tenon import hook
        hook.install()
    serve_submodules()
