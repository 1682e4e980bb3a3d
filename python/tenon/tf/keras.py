"""tf.keras: Keras on Tenon, loaded when it is first asked for. RuntimeError where Keras runs on another backend already."""
import importlib
import os
import sys

os.environ["KERAS_BACKEND"] = "tenon"

from keras_tenon import hook  # noqa: E402

hook.install()
sys.modules[__name__] = importlib.import_module("keras._tf_keras.keras")
