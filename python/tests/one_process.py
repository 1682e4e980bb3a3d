"""Tenon and TensorFlow in one process, whichever is imported first: regular expressions, protobuf, compression, threads.

TensorFlow's libraries export names that Debian's have too (re2, protobuf, snappy): each must go on using its own.
"""
import os
import subprocess
import sys
import tempfile

MODEL = """
import glob, numpy as np
def exchange(tf, names, folder):
    # Each reads the other's checkpoints, records, examples and curves.
    def model(t):
        class Layer(t.Module):
            def __init__(self, value):
                super().__init__()
                self.kernel, self.parts = t.Variable(value), [t.Variable(value * 2), {"k.a/b": t.Variable(["x", "yz"])}]
        return Layer
    for writer, reader in ((tf, names), (names, tf)):
        path = folder + "-" + writer.__name__
        value = np.arange(6, dtype=np.float32).reshape(2, 3)
        wrote = writer.train.Checkpoint(m=model(writer)(value), step=writer.Variable(7, dtype=writer.int64))
        manager = writer.train.CheckpointManager(wrote, path, max_to_keep=1)
        for _ in range(2):
            manager.save()
        module, step = model(reader)(value * 0), reader.Variable(0, dtype=reader.int64)
        module.parts[1]["k.a/b"].assign(["", ""])
        back = reader.train.Checkpoint(m=module, step=step)
        back.restore(reader.train.latest_checkpoint(path)).assert_consumed()
        np.testing.assert_array_equal(module.kernel.numpy(), value)
        np.testing.assert_array_equal(module.parts[0].numpy(), value * 2)
        assert module.parts[1]["k.a/b"].numpy().tolist() == [b"x", b"yz"]
        assert (int(step), int(back.save_counter)) == (7, 2)
        assert reader.train.list_variables(path) == writer.train.list_variables(path)
        assert reader.train.CheckpointManager(back, path, max_to_keep=1).latest_checkpoint == manager.latest_checkpoint
        for kind in ("", "GZIP", "ZLIB"):
            with writer.io.TFRecordWriter(path + ".rec", kind) as file:
                for n in range(3):
                    file.write(writer.train.Example(features=writer.train.Features(feature={"n": writer.train.Feature(
                        int64_list=writer.train.Int64List(value=[n, -n]))})).SerializeToString())
            records = reader.data.TFRecordDataset(path + ".rec", kind).map(lambda r: reader.io.parse_single_example(
                r, {"n": reader.io.FixedLenFeature([2], reader.int64)})["n"])
            assert [n.numpy().tolist() for n in records] == [[0, 0], [1, -1], [2, -2]]
    with names.summary.create_file_writer(folder + "-logs").as_default():
        names.summary.scalar("loss", .5, step=3)
    event = list(tf.compat.v1.train.summary_iterator(glob.glob(folder + "-logs/*")[0]))[-1]
    assert (event.step, event.summary.value[0].tag, float(tf.make_ndarray(event.summary.value[0].tensor))) == (3, "loss", .5)
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
    exchange(tf, names, folder)
    # A table, which the file fills, and ragged texts.
    table = names.lookup.StaticHashTable(names.lookup.KeyValueTensorInitializer(["tree", "bird"], [5, 7]), -1)
    names.saved_model.save(None, folder + "3", names.function(
        lambda t: {"ids": table.lookup(names.strings.split(t)).to_tensor(-2)},
        input_signature=[names.TensorSpec([None], names.string, "t")]))
    for library in (tf, names, tf):
        ids = library.saved_model.load(folder + "3").signatures["serving_default"](t=library.constant(["a tree", "bird"]))["ids"]
        assert ids.numpy().tolist() == [[-1, 5], [7, -2]], (library, ids)
    # Objects: each answers to what the other has saved as it does to its own.
    import saved_model_cases as cases
    for writer in (tf, names):
        model, path = cases.make_model(writer), folder + "4" + writer.__name__
        writer.saved_model.save(model, path, signatures=model.serve)
        answers = [cases.calls_of(reader, reader.saved_model.load(path)) for reader in (tf, names)]
        assert answers[0] == answers[1], [pair for pair in zip(*answers) if pair[0] != pair[1]]
    np.testing.assert_array_equal((tenon.constant(tf.constant([1., 2.])) + tf.constant([3., 4.])).numpy(), [4, 6])
"""
ORDERS = {"TensorFlow first": "import tensorflow as tf, tenon", "Tenon first": "import tenon, tensorflow as tf"}


def main():
    for name, imports in ORDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            code = f"{imports}\n{MODEL}\ncheck(tf, tenon, {os.path.join(folder, 'model')!r})\n"
            done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=False,
                                  env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(
                                      [os.path.dirname(os.path.abspath(__file__)), os.environ.get("PYTHONPATH", "")])})
        if done.returncode:
            sys.exit(f"FAIL {name}: exit {done.returncode}\n{done.stderr[-4000:]}")
        print(f"{name}: the same answers")


if __name__ == "__main__":
    main()
