"""`tensorflow` in Tenon's container images: `import tensorflow as tf` is `import tenon.tf as tf`.

It is part of the images alone, as the distribution tenon-tensorflow-shim, which is nowhere
published. Submodules are tenon.tf's own objects, so that `from tensorflow.keras import layers` and
`import tensorflow.keras.layers` work. It refuses where a distribution of TensorFlow is installed
too: two of one name would overwrite each other's files.
"""
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys

TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-rocm",
              "tensorflow-macos", "tensorflow-aarch64", "tf-nightly", "tf-nightly-cpu",
              "tf-nightly-gpu")


def _refuse_beside_tensorflow():
    for name in TENSORFLOW:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        raise ImportError(f"{name} {version} is installed beside Tenon's package of the name "
                          f"tensorflow. Remove one of them: `pip uninstall {name}`, or take an "
                          "image without Tenon. `import tenon.tf as tf` works in any case.")


def _child(name):
    """What `tensorflow.A.B` is in tenon.tf, or None."""
    parent_name, _, child = name.rpartition(".")
    parent = sys.modules.get(parent_name)
    found = getattr(parent, child, None)
    if found is None and hasattr(parent, "__path__"):
        try:
            found = importlib.import_module(f"{parent.__name__}.{child}")
        except ModuleNotFoundError:
            return None
    return None if callable(found) else found


class _Names(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the submodules of `tensorflow`, which are objects that exist already."""

    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("tensorflow."):
            return None
        if _child(fullname) is None:
            raise ModuleNotFoundError(f"Tenon has no module '{fullname}'", name=fullname)
        return importlib.machinery.ModuleSpec(fullname, self, origin="tenon.tf")

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        # The import system takes what stands in sys.modules afterwards.
        sys.modules[module.__name__] = _child(module.__name__)


def _answer_to_the_name():
    _refuse_beside_tensorflow()
    import tenon.tf
    sys.modules["tensorflow"] = tenon.tf
    sys.meta_path.insert(0, _Names())
    print(f"tensorflow: Tenon {tenon.__version__} answers to this name with tenon.tf (API of "
          f"{tenon.tf.__version__}); it is not TensorFlow.", file=sys.stderr)


_answer_to_the_name()
