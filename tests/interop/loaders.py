"""A model trained and exported by Tenon gives the same outputs in TensorFlow's three loaders."""
import os
import tempfile

from common import Checks, digits, run_saved_model, train_digits

import numpy as np
import tensorflow as tf
from keras.layers import TFSMLayer


def by_object_graph(folder, x):
    model = tf.saved_model.load(folder)
    return model, {name: value.numpy() for name, value in model.signatures["serving_default"](tf.constant(x)).items()}


def by_session(folder, x):
    """TensorFlow Serving's way: a version 1 session, by tag and signature."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        signature = meta.signature_def["serving_default"]
        (entry,) = signature.inputs.values()
        names = {key: info.name for key, info in signature.outputs.items()}
        return session.run(names, {entry.name: x})


def without_default_attributes(folder):
    """Whether no node of the graph carries an attribute with its default value, as exports strip them."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.framework import op_def_registry
    saved = saved_model_pb2.SavedModel()
    with open(os.path.join(folder, "saved_model.pb"), "rb") as f:
        saved.ParseFromString(f.read())
    graph = saved.meta_graphs[0].graph_def
    for node in [*graph.node, *(node for function in graph.library.function for node in function.node_def)]:
        op = op_def_registry.get(node.op)
        for attribute in op.attr if op else ():
            if attribute.HasField("default_value") and node.attr.get(attribute.name) == attribute.default_value:
                return f"{node.name} ({node.op}) carries {attribute.name}"
    return ""


def main():
    check = Checks()
    x, labels = digits("test")
    with tempfile.TemporaryDirectory() as base:
        train_digits(base)
        folder = os.path.join(base, "1")
        (want,) = run_saved_model(folder, pixels=x).values()
        check.that(np.mean(want.argmax(1) == labels) > 0.7, "two epochs learn the digits", want.argmax(1)[:10])
        model, outputs = by_object_graph(folder, x)
        check.close(next(iter(outputs.values())), want, "tf.saved_model.load, serving_default", 1e-5)
        check.close(model.serve(tf.constant(x)), want, "tf.saved_model.load, attribute serve", 1e-5)
        check.close(next(iter(by_session(folder, x).values())), want, "TensorFlow 1 session", 1e-5)
        layer = TFSMLayer(folder, call_endpoint="serve")
        check.close(layer(tf.constant(x)), want, "TFSMLayer, serve", 1e-5)
        layer = TFSMLayer(folder, call_endpoint="serving_default")
        check.close(next(iter(layer(tf.constant(x)).values())), want, "TFSMLayer, serving_default", 1e-5)
        found = without_default_attributes(folder)
        check.that(not found, "default-valued attributes are stripped", found)
        for rows in (0, 1, 3):
            (few,) = run_saved_model(folder, pixels=x[:rows]).values()
            check.close(few, want[:rows], f"a batch of {rows}", 1e-6)
    check.done()


if __name__ == "__main__":
    main()
