"""Tenon and TensorFlow in one process, whichever is imported first: regular expressions, protobuf, compression, threads.

TensorFlow's libraries export names that Debian's have too (re2, protobuf, snappy): each must go on using its own.
"""
import os
import subprocess
import sys
import tempfile

MODEL = """
import numpy as np
def check(tf, tenon, folder):
    class Model(tf.Module):
        def __init__(self):
            self.w = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3))
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None, 2], tf.float32)])
        def serve(self, text, x):
            return {"text": tf.strings.regex_replace(text, "([aeiou])(\\\\d+)", "<\\\\2\\\\1>"), "y": tf.nn.softmax(x @ self.w)}
    model = Model()
    tf.saved_model.save(model, folder, signatures=model.serve)
    text, x = ["a12 b3", "", "e7e77 \\u00fc9", "xyz"], np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)
    want = model.serve(tf.constant(text), tf.constant(x))
    for _ in range(2):
        got = tenon.saved_model.load(folder).signatures["serving_default"](text=text, x=x)
        assert got["text"].tolist() == want["text"].numpy().tolist(), got
        np.testing.assert_allclose(got["y"].numpy(), want["y"].numpy(), rtol=1e-5)
        # TensorFlow goes on with its own.
        again = tf.saved_model.load(folder).signatures["serving_default"](text=tf.constant(text), x=tf.constant(x))
        assert again["text"].numpy().tolist() == want["text"].numpy().tolist()
    tenon.saved_model.save(None, folder + "2", tenon.function(
        lambda x: {"y": tenon.raw_ops.Softmax(logits=x @ tenon.constant(model.w.numpy()))},
        input_signature=[tenon.TensorSpec([None, 2], tenon.float32, "x")]))
    back = tf.saved_model.load(folder + "2").signatures["serving_default"](x=tf.constant(x))
    np.testing.assert_allclose(back["y"].numpy(), want["y"].numpy(), rtol=1e-5)
    # Errors of both, and tensors from one to the other without NumPy in between.
    for library in (tf, tenon):
        try:
            library.raw_ops.MatMul(a=[[1.]], b=[[1.], [2.]])
            raise SystemExit("no error")
        except library.errors.InvalidArgumentError as error:
            assert not isinstance(error, (tenon if library is tf else tf).errors.OpError)
    # Seeds give TensorFlow's numbers.
    import tenon.tf as names
    for library in (tf, names):
        library.random.set_seed(3)
    for draw in (lambda t: t.random.uniform([5]), lambda t: t.random.normal([5], 1., 2.), lambda t: t.random.uniform([5], seed=4),
                 lambda t: t.random.uniform([5]), lambda t: t.random.uniform([5], 0, 9, t.int32)):
        np.testing.assert_allclose(draw(names).numpy(), draw(tf).numpy(), rtol=1e-6)
    np.testing.assert_array_equal((tenon.constant(tf.constant([1., 2.])) + tf.constant([3., 4.])).numpy(), [4, 6])
"""
ORDERS = {"TensorFlow first": "import tensorflow as tf, tenon", "Tenon first": "import tenon, tensorflow as tf"}


def main():
    for name, imports in ORDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            code = f"{imports}\n{MODEL}\ncheck(tf, tenon, {os.path.join(folder, 'model')!r})\n"
            done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=False,
                                  env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
        if done.returncode:
            sys.exit(f"FAIL {name}: exit {done.returncode}\n{done.stderr[-4000:]}")
        print(f"{name}: the same answers")


if __name__ == "__main__":
    main()
