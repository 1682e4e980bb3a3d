"""`tensorflow` in Tenon's container images: `import tensorflow as tf` is `import tenon.tf as tf`.

It is part of the images alone, as the distribution tenon-tensorflow-shim, which is nowhere
published. Submodules are tenon.tf's own objects, so that `from tensorflow.keras import layers` and
`import tensorflow.keras.layers` work. It refuses where a distribution of TensorFlow is installed
too: two of one name would overwrite each other's files.
"""
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


def _answer_to_the_name():
    _refuse_beside_tensorflow()
    import tenon.tf
    from tenon import as_tensorflow
    sys.modules[as_tensorflow.NAME] = tenon.tf
    as_tensorflow.serve_submodules()
    print(f"tensorflow: Tenon {tenon.__version__} answers to this name with tenon.tf (API of "
          f"{tenon.tf.__version__}); it is not TensorFlow.", file=sys.stderr)


_answer_to_the_name()
