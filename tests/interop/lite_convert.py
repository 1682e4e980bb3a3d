"""`tenon convert --to tflite`: TensorFlow Lite's interpreter loads what is written and answers as Tenon does in floats; quantised, the digits'
CNN keeps its accuracy, as TensorFlow's own converter's does."""
import json
import os
import tempfile

from common import Checks, attempt, digits, predict, run_saved_model, tenon, train_digits

import keras
import numpy as np
import tensorflow as tf

layers = keras.layers


def interpret(path, signature="serving_default", **inputs):
    return tf.lite.Interpreter(model_path=path).get_signature_runner(signature)(**inputs)


def converted(work, name, source, *flags):
    path = os.path.join(work, name + ".tflite")
    tenon("convert", source, "--to", "tflite", "--output", path, "--overwrite", *flags)
    return path


def networks():
    """Keras models: name, model, shape of an example."""
    keras.utils.set_random_seed(5)
    yield "mlp", keras.Sequential([layers.Input((20,)), layers.Dense(32, "gelu"), layers.Dense(16, "selu"), layers.Dense(10, "softmax")])
    yield "cnn", keras.Sequential([layers.Input((16, 16, 3)), layers.Conv2D(8, 3, 2, "same", use_bias=False), layers.BatchNormalization(), layers.ReLU(6.0),
                                   layers.DepthwiseConv2D(3, padding="same", activation="leaky_relu"), layers.MaxPooling2D(), layers.PReLU(shared_axes=[1, 2]),
                                   layers.BatchNormalization(), layers.Conv2D(6, 1, activation="hard_swish"), layers.Flatten(), layers.Dense(4, "softmax")])
    x = layers.Input((16, 16, 3))
    a = layers.Conv2D(8, 3, 2, "same", activation="silu")(x)
    y = layers.Conv2D(8, 3, padding="same", activation="elu")(layers.UpSampling2D()(a))
    y = layers.Concatenate()([y, layers.Conv2DTranspose(4, 3, 2, "same")(a), layers.Cropping2D(1)(layers.ZeroPadding2D(1)(layers.AveragePooling2D(2, 1, "same")(x)))])
    yield "unet", keras.Model(x, layers.Conv2D(2, 1, activation="sigmoid")(y))
    x = layers.Input((6, 16))
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 8)(x, x) + x)
    yield "attention", keras.Model(x, layers.LayerNormalization()(y + layers.Dense(16)(layers.Dense(32, "gelu")(y))))
    x = layers.Input((12,), dtype="int32")
    yield "embedding", keras.Model(x, layers.Dense(3, "tanh")(layers.GlobalAveragePooling1D()(layers.Embedding(30, 8)(x))))
    yield "conv1d", keras.Sequential([layers.Input((20, 3)), layers.Conv1D(8, 3, activation="relu", padding="causal"), layers.GlobalMaxPooling1D()])


def floats(check, work):
    draw = np.random.default_rng(2)
    for name, net in networks():
        for layer in net.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.set_weights([draw.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        shape = (1, *net.input_shape[1:])
        x = draw.integers(0, 30, shape).astype(np.int32) if name == "embedding" else draw.normal(0, 1, shape).astype(np.float32)
        want = np.asarray(net(x))
        file, folder = os.path.join(work, name + ".keras"), os.path.join(work, name)
        net.save(file)
        net.export(folder, verbose=False)
        path = os.path.join(work, name + ".tflite")
        for source in (file, folder):
            done = attempt("convert", source, "--to", "tflite", "--output", path, "--overwrite")
            if done.returncode:
                check.that(False, f"{name} from {os.path.basename(source)}", done.stderr.strip())
                continue
            runner = tf.lite.Interpreter(model_path=path).get_signature_runner("serving_default")
            key = next(iter(runner.get_input_details()))
            got = list(runner(**{key: x}).values())[0]
            check.close(got, want, f"{name} from {os.path.basename(source)}", 1e-5)
        check.close(list(run_saved_model(path, **{key: x}).values())[0], want, f"{name}, read by Tenon", 1e-5)


def recurrent_networks(steps):
    """Keras' recurrent layers over so many steps, None: as many as come."""
    keras.utils.set_random_seed(6)
    x = layers.Input((steps, 4))
    yield "lstm", keras.Model(x, layers.Dense(3)(layers.LSTM(5)(x)))
    yield "lstms", keras.Model(x, layers.LSTM(3, go_backwards=True)(layers.LSTM(5, return_sequences=True)(x)))
    yield "gru", keras.Model(x, layers.GRU(5, return_sequences=True)(x))
    yield "gru_reset_before", keras.Model(x, layers.GRU(5, reset_after=False)(x))
    yield "rnn", keras.Model(x, layers.SimpleRNN(5, return_sequences=True, activation="relu")(x))
    yield "bidirectional", keras.Model(x, layers.Bidirectional(layers.GRU(5, return_sequences=True))(x))
    yield "masked", keras.Model(x, layers.LSTM(5, return_sequences=True)(layers.Masking()(x)))


def recurrent(check, work):
    """Written out where the number of steps is known, else a WHILE; any batch, from both kinds of file."""
    draw = np.random.default_rng(7)
    for steps in (6, None):
        for name, net in recurrent_networks(steps):
            name += "" if steps else "_open"
            file, folder = os.path.join(work, name + ".keras"), os.path.join(work, name)
            net.save(file)
            net.export(folder, verbose=False)
            for source in (file, folder):
                path = os.path.join(work, name + ".tflite")
                done = attempt("convert", source, "--to", "tflite", "--output", path, "--overwrite")
                if done.returncode:
                    check.that(False, f"{name} from {os.path.basename(source)}", done.stderr.strip())
                    continue
                runner = tf.lite.Interpreter(model_path=path).get_signature_runner("serving_default")
                key = next(iter(runner.get_input_details()))
                for shape in ((1, steps or 6, 4), (3, steps or 2, 4)):
                    x = draw.normal(0, 1, shape).astype(np.float32)
                    x[:, 1] *= "masked" not in name
                    want = np.asarray(net(x))
                    check.close(list(runner(**{key: x}).values())[0], want, f"{name} {shape} from {os.path.basename(source)}", 1e-5)
                    check.close(list(run_saved_model(path, **{key: x}).values())[0], want, f"{name} {shape}, read by Tenon", 1e-5)


class Several(tf.Module):
    """Two signatures with several inputs and outputs."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "a"), tf.TensorSpec([None, 4], tf.float32, "b")])
    def both(self, a, b):
        y = tf.matmul(a, self.w) * b
        first, second = tf.split(tf.pad(y, [[0, 0], [1, 1]]), 2, 1)
        return {"sum": tf.reduce_sum(y, -1), "first": tf.math.rsqrt(tf.square(first) + 1.0), "second": tf.transpose(second), "top": tf.math.top_k(y, 2)[1]}

    @tf.function(input_signature=[tf.TensorSpec([2, 3], tf.float32, "a")])
    def one(self, a):
        return {"y": tf.concat([a[:, ::2], tf.tile(a, [1, 2])], 1)}


def signatures(check, work):
    module, folder = Several(), os.path.join(work, "several")
    tf.saved_model.save(module, folder, signatures={"both": module.both, "one": module.one})
    path = converted(work, "several", folder)
    draw = np.random.default_rng(3)
    for rows in (1, 3):
        given = {"a": draw.normal(size=(rows, 3)).astype(np.float32), "b": draw.normal(size=(rows, 4)).astype(np.float32)}
        got, want = interpret(path, "both", **given), module.both(**given)
        check.that(set(got) == set(want), "names of outputs", list(got))
        for name in want:
            check.close(got[name], want[name].numpy(), f"both, {rows} rows: {name}", 1e-5)
    a = draw.normal(size=(2, 3)).astype(np.float32)
    check.close(interpret(path, "one", a=a)["y"], module.one(a)["y"].numpy(), "one", 1e-6)


def classes(path, x):
    """What a model of one input answers, row by row."""
    lite = tf.lite.Interpreter(model_path=path)
    runner = lite.get_signature_runner("serving_default")
    key = next(iter(runner.get_input_details()))
    return np.concatenate([list(runner(**{key: x[i:i + 1]}).values())[0] for i in range(len(x))])


def quantised(check, work):
    train_digits(work)
    folder = os.path.join(work, "1")
    x, labels = digits("test")
    examples = digits("train")[0][:200].reshape(-1, 8, 8)
    want = predict(folder, x)
    signature = tf.saved_model.load(folder).signatures["serving_default"]
    key = next(iter(signature.structured_input_signature[1]))
    shape = [-1, *signature.structured_input_signature[1][key].shape[1:]]
    x, examples = x.reshape(shape), examples.reshape(shape)
    data = os.path.join(work, "examples.npz")
    np.savez(data, **{key: examples})

    def accuracy(path):
        return np.mean(np.argmax(classes(path, x), -1) == labels)

    exact = np.mean(np.argmax(want, -1) == labels)
    check.close(classes(converted(work, "digits", folder), x[:50]), want[:50], "digits in floats", 1e-5)
    sizes = {"": os.path.getsize(converted(work, "digits", folder))}
    for kind in ("float16", "dynamic", "int8", "int16x8"):
        flags = ["--quantize", kind] + (["--representative", data] if kind.startswith("int") else [])
        path = converted(work, "digits_" + kind, folder, *flags)
        sizes[kind] = os.path.getsize(path)
        found = accuracy(path)
        check.that(found >= exact - 0.01, f"digits, {kind}: accuracy {found:.4f}, floats {exact:.4f}", found)
    check.that(sizes["int8"] < 0.5 * sizes[""] and sizes["float16"] < 0.7 * sizes[""], "sizes", sizes)
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ({key: examples[i:i + 1]} for i in range(len(examples)))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    theirs = os.path.join(work, "theirs.tflite")
    with open(theirs, "wb") as f:
        f.write(converter.convert())
    ours, other = accuracy(os.path.join(work, "digits_int8.tflite")), accuracy(theirs)
    check.that(ours >= other - 0.003, f"digits, int8: accuracy {ours:.4f}, TensorFlow's converter's {other:.4f}", (ours, other))
    report = json.loads(tenon("convert", folder, "--to", "tflite", "--quantize", "int8", "--representative", data, "--json",
                              "--overwrite", "--output", os.path.join(work, "digits_int8.tflite")))
    kinds = [layer["operator"] for layer in report["layers"]]
    check.that("CONV_2D" in kinds and kinds[-1] == "SOFTMAX" and all(0 <= layer["error"] < 0.2 for layer in report["layers"]), "report", report)


def wrong(check, work):
    class Holder(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32, "x")])
        def run(self, x):
            return {"y": tf.math.lgamma(x)}

    module, folder = Holder(), os.path.join(work, "lgamma")
    tf.saved_model.save(module, folder, signatures={"serving_default": module.run})
    done = attempt("convert", folder, "--to", "tflite", "--output", os.path.join(work, "no.tflite"))
    check.that(done.returncode == 1 and "UNIMPLEMENTED" in done.stderr and "Lgamma" in done.stderr, "an op that is not there is named", done.stderr)
    done = attempt("convert", folder, "--to", "tflite", "--quantize", "int8")
    check.that(done.returncode == 2 and "--representative" in done.stderr, "int8 needs data", done.stderr)
    check.that(not os.path.exists(os.path.join(work, "no.tflite")), "a failure leaves no file")


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as work:
        for part in (floats, recurrent, signatures, quantised, wrong):
            part(check, work)
    check.done()


if __name__ == "__main__":
    main()
