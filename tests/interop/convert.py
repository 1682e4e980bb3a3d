"""`tenon convert` on what TensorFlow and Keras write: frozen graphs of TensorFlow 1 and 2, a checkpoint with its .meta, a .keras file. The
SavedModel answers as TensorFlow did, in Tenon and in TensorFlow; `tenon inspect` shows each file."""
import json
import os
import re
import tempfile

from common import Checks, attempt, run_saved_model, tenon

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

v1 = tf.compat.v1


def answers(folder, x):
    """What TensorFlow says of the converted model."""
    outputs = tf.saved_model.load(folder).signatures["serving_default"](tf.constant(x))
    return {name: value.numpy() for name, value in outputs.items()}


def compare(check, what, folder, x, want, input_name):
    for who, got in (("TensorFlow", answers(folder, x)), ("Tenon", run_saved_model(folder, **{input_name: x}))):
        check.that(len(got) == 1, f"{what}, {who}: one output", list(got))
        check.close(list(got.values())[0], want, f"{what}, {who}", 1e-5)


def graph_of_v1(session):
    x = v1.placeholder(tf.float32, [None, 4], "input")
    w = v1.get_variable("w", initializer=np.linspace(-1, 1, 12).reshape(4, 3).astype(np.float32))
    b = v1.get_variable("b", initializer=np.float32([0.5, 0, -0.5]), use_resource=True)
    probabilities = tf.nn.softmax(tf.matmul(x, w) + b, name="probabilities")
    session.run(v1.global_variables_initializer())
    return x, probabilities


def tensorflow_1(check, work, x):
    with v1.Graph().as_default(), v1.Session() as session:
        placeholder, probabilities = graph_of_v1(session)
        want = session.run(probabilities, {placeholder: x})
        frozen = v1.graph_util.convert_variables_to_constants(session, session.graph_def, ["probabilities"])
        prefix = v1.train.Saver().save(session, os.path.join(work, "model.ckpt"))
        unfrozen = session.graph_def
    binary, text = os.path.join(work, "frozen.pb"), os.path.join(work, "frozen.pbtxt")
    tf.io.write_graph(frozen, work, "frozen.pb", as_text=False)
    tf.io.write_graph(frozen, work, "frozen.pbtxt", as_text=True)
    tf.io.write_graph(unfrozen, work, "unfrozen.pb", as_text=False)
    for path in (binary, text):
        folder = os.path.join(work, os.path.basename(path) + ".converted", "1")
        tenon("convert", path, "--export_dir", folder)
        compare(check, os.path.basename(path), folder, x, want, "input")
    folder = os.path.join(work, "from_checkpoint", "1")
    tenon("convert", prefix + ".meta", "--inputs", "x=input", "--outputs", "y=probabilities:0", "--export_dir", folder)
    compare(check, "checkpoint with .meta", folder, x, want, "x")
    check.that(set(answers(folder, x)) == {"y"}, "names of --outputs")
    shown = json.loads(tenon("inspect", binary, "--json"))
    check.that(shown["inputs"] == ["input:0"] and shown["outputs"] == ["probabilities:0"] and shown["ops"]["MatMul"] == 1 and
               not shown["missing"]["ops"], "inspect of a frozen graph", shown)
    variables = {row["name"]: row for row in json.loads(tenon("inspect", prefix, "--json"))["tensors"]}
    check.that({name: row["shape"] for name, row in variables.items()} == {"w": [4, 3], "b": [3]}, "inspect of a checkpoint", variables)
    check.that(tenon("inspect", prefix) == tenon("inspect", prefix + ".index"), "a checkpoint by its prefix or its index")
    for path, more, code in ((os.path.join(work, "unfrozen.pb"), ["--outputs=probabilities"], "FAILED_PRECONDITION"),
                             (binary, ["--outputs=nothing"], "NOT_FOUND"), (prefix + ".index", [], "UNIMPLEMENTED"),
                             (os.path.join(work, "none.pb"), [], "NOT_FOUND"), (work, [], "INVALID_ARGUMENT")):
        done = attempt("convert", path, *more, "--export_dir", os.path.join(work, "no", "1"))
        check.that(done.returncode == 1 and re.match(rf"error: {code}: .*\n$", done.stderr), f"convert {os.path.basename(path)} {code}", done.stderr)
    with open(binary, "rb") as f:
        bytes_ = f.read()
    cut = os.path.join(work, "cut.pb")
    for length in (0, 1, len(bytes_) // 2, len(bytes_) - 1):
        with open(cut, "wb") as f:
            f.write(bytes_[:length])
        for words in (["convert", cut, "--export_dir", os.path.join(work, "no", "1")], ["inspect", cut]):
            done = attempt(*words)
            check.that(done.returncode == 1 and re.match(r"error: [A-Z_]+: .*\n$", done.stderr), f"{words[0]}: cut to {length}", done.stderr)


def tensorflow_2(check, work, x):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, activation="gelu"), keras.layers.LayerNormalization()])
    want = model(x).numpy()
    function = tf.function(model.call, input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")]).get_concrete_function()
    tf.io.write_graph(convert_variables_to_constants_v2(function).graph.as_graph_def(), work, "frozen2.pb", as_text=False)
    folder = os.path.join(work, "frozen2", "1")
    tenon("convert", os.path.join(work, "frozen2.pb"), "--export_dir", folder)
    compare(check, "frozen by TensorFlow 2", folder, x, want, "x")
    path, folder = os.path.join(work, "model.keras"), os.path.join(work, "keras", "1")
    model.save(path)
    tenon("convert", "--model", path, "--export_dir", folder)
    name = list(json.loads(tenon("inspect", folder, "--json"))["signatures"]["serving_default"]["inputs"])[0]
    compare(check, ".keras", folder, x, want, name)
    model.save(os.path.join(work, "model.h5"))
    folder = os.path.join(work, "h5", "1")
    tenon("convert", os.path.join(work, "model.h5"), "--export_dir", folder)
    compare(check, ".h5", folder, x, want, name)
    rows = json.loads(tenon("inspect", path, "--json"))["tensors"]
    check.that(sum(int(np.prod(row["shape"])) for row in rows) == model.count_params(), "inspect of a .keras file", rows)
    model.save_weights(os.path.join(work, "model.weights.h5"))
    rows = json.loads(tenon("inspect", os.path.join(work, "model.weights.h5"), "--json"))["tensors"]
    check.that(sum(row["bytes"] for row in rows) == 4 * model.count_params(), "inspect of an HDF5 file", rows)


def main():
    check = Checks()
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    with tempfile.TemporaryDirectory() as work:
        tensorflow_1(check, work, x)
        tensorflow_2(check, work, x)
    check.done()


if __name__ == "__main__":
    main()
