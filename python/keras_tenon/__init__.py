"""Keras 3 on Tenon: `import keras_tenon` (or `import tenon`) before `import keras`, with KERAS_BACKEND=tenon."""
import os

from keras_tenon import hook

os.environ.setdefault("KERAS_BACKEND", "tenon")
hook.install()
