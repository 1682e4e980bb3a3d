"""`tenon run` and `tenon inspect` beside TensorFlow's `saved_model_cli run` and `show`: the same output, files and exit codes."""
import json
import os
import re
import sys
import tempfile
import traceback

from common import Checks, attempt, tenon

import numpy as np
import tensorflow as tf
from tensorflow.python.tools import saved_model_cli

KINDS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "complex64",
         "complex128", "string")


class Zoo(tf.Module):
    """One signature a dtype, and one with several inputs, a default and outputs of several shapes."""

    def __init__(self):
        self.w = tf.Variable([[1.5, -2.0], [0.25, 1e-6]])

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x"), tf.TensorSpec([], tf.int64, "n"),
                                  tf.TensorSpec([2], tf.bool, "on")])
    def several(self, x, n, on):
        return {"y": x @ self.w, "n": n * 3, "long": tf.range(1200), "off": tf.logical_not(on), "empty": x[:0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def parse(self, examples):
        parsed = tf.io.parse_example(examples, {"age": tf.io.FixedLenFeature([1], tf.float32), "n": tf.io.FixedLenFeature([2], tf.int64)})
        return {"age": parsed["age"], "n": parsed["n"]}


def export(folder):
    zoo = Zoo()
    signatures = {"serving_default": zoo.several, "parse": zoo.parse}
    for kind in KINDS:
        spec = tf.TensorSpec([None, 2], getattr(tf, kind), "v")
        signatures[kind] = tf.function(lambda v: {"v": tf.identity(v)}, input_signature=[spec]).get_concrete_function()
    tf.saved_model.save(zoo, folder, signatures)


def array_of(kind):
    if kind == "string":
        return np.array([[b"a", b"it's"], [b'"', b"\xff\n"]])
    if kind == "bool":
        return np.array([[True, False], [False, False]])
    values = np.array([[0, 1], [100, 3]], kind)
    return values * np.array(1.25, kind) + (np.array(2j, kind) if kind.startswith("complex") else 0) if kind[0] in "fc" else values


def in_child(function, *arguments):
    """(exit code, stdout) of `function` in a child. TensorFlow runs in children alone, since its threads do not survive a fork."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = 0
        try:
            function(*arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # what ends the program with a traceback
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        output = pipe.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output


def theirs(words):
    sys.argv = ["saved_model_cli", *words]
    return in_child(saved_model_cli.main)


def compare(check, verb, words, work):
    outdirs = [os.path.join(work, who) for who in ("theirs", "ours")]
    code, want = theirs([verb, *[word.replace("OUTDIR", outdirs[0]) for word in words]])
    done = attempt("inspect" if verb == "show" else verb, *[word.replace("OUTDIR", outdirs[1]) for word in words])
    want, got = want.replace(outdirs[0], "OUTDIR"), done.stdout.replace(outdirs[1], "OUTDIR")
    what = f"{verb} {' '.join(words[2:])}"[:150]
    if code:
        check.that(done.returncode == code and re.match(r"error: [A-Z_]+: .*\n$", done.stderr), what, f"exit code {done.returncode}, want {code}")
    else:
        check.that(done.returncode == 0 and got == want, what, f"{done.stderr}{got!r}, want {want!r}")
    files = [os.path.join(outdirs[0], name) for name in (sorted(os.listdir(outdirs[0])) if os.path.isdir(outdirs[0]) else ())]
    for path in files if code == 0 and any("OUTDIR" in word for word in words) else ():
        a, b = np.load(path, allow_pickle=True), np.load(path.replace(outdirs[0], outdirs[1]))
        same_dtype = a.dtype == b.dtype or a.dtype.kind in "SUO" and b.dtype.kind in "SUO"
        check.that(same_dtype and a.shape == b.shape and np.array_equal(a.astype(b.dtype), b), f"  {os.path.basename(path)}", (a, b))


class Lacking(tf.Module):
    """An op that only TensorFlow in Python runs, and a file."""

    def __init__(self, vocabulary):
        self.words = tf.saved_model.Asset(vocabulary)
        self.w = tf.Variable([1.0, 2.0])

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, "x")])
    def plain(self, x):
        return {"y": x + self.w}

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, "x")])
    def python(self, x):
        twice = [tf.py_function(lambda v: v, [x], tf.float32) for _ in range(2)]
        return {"y": twice[0] + twice[1], "words": tf.io.read_file(self.words)}


def export_lacking(vocabulary, folder):
    lacking = Lacking(vocabulary)
    tf.saved_model.save(lacking, folder, {"serving_default": lacking.plain, "python": lacking.python})


def lacking_parts(check, work):
    """inspect shows signatures and what is missing: op, node, function, count; files of assets."""
    vocabulary, model = os.path.join(work, "words.txt"), os.path.join(work, "lacking")
    with open(vocabulary, "w", encoding="utf-8") as f:
        f.write("a\n")
    in_child(export_lacking, vocabulary, model)
    os.remove(os.path.join(model, "assets", "words.txt"))
    found = json.loads(tenon("inspect", model, "--json"))
    ops = {op["op"]: op for op in found["missing"]["ops"]}
    check.that(set(found["signatures"]) == {"serving_default", "python"}, "signatures are shown", found["signatures"])
    check.that("EagerPyFunc" in ops and ops["EagerPyFunc"]["nodes"] == 2 and "python" in ops["EagerPyFunc"]["function"], "the missing op", ops)
    check.that(found["missing"]["assets"] == ["words.txt"], "the missing asset", found["missing"])
    table = tenon("inspect", model, "--all")
    check.that(re.search(r"EagerPyFunc: 2 nodes, the first 'EagerPyFunc' in function '__inference_python_\d+'", table), "as a table", table[-600:])
    check.that("Assets that are missing: words.txt" in table, "the asset in the table", table[-600:])
    done = attempt("run", model, "--signature_def", "python", "--input_exprs", "x=[1.0,2.0]")
    check.that(re.match(r"error: UNIMPLEMENTED: .*EagerPyFunc", done.stderr) and done.stderr.count("\n") == 1, "the first cause stands first", done.stderr)
    more = attempt("run", model, "--signature_def", "python", "--input_exprs", "x=[1.0,2.0]", "--verbose")
    check.that(more.stderr.splitlines()[-1] == "  in signature 'python'", "--verbose says where", more.stderr)


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as work:
        model = os.path.join(work, "model")
        in_child(export, model)
        x, pair = os.path.join(work, "x.npy"), os.path.join(work, "pair.npz")
        np.save(x, np.array([[1, 2], [3, 4.5]], np.float32))
        np.savez(pair, a=np.array([[1, 2]], np.float32), b=np.array([[0, 1]]))
        one = os.path.join(work, "one.npz")
        np.savez(one, a=np.array([[1, 2]], np.float64))
        serving = ["--dir", model, "--tag_set", "serve", "--signature_def", "serving_default"]
        rest = "n=7;on=[True,False]"
        for words in (["--inputs", f"x={x}", "--input_exprs", rest, "--outdir", "OUTDIR"],
                      ["--inputs", f"x={x}", "--input_exprs", rest, "--outdir", "OUTDIR"],  # the files are there
                      ["--inputs", f"x={x}", "--input_exprs", rest, "--outdir", "OUTDIR", "--overwrite"],
                      ["--inputs", f"x={pair}[a]", "--input_exprs", rest], ["--inputs", f"x={pair}[b]", "--input_exprs", rest],
                      ["--inputs", f"x={pair}[c]", "--input_exprs", rest], ["--inputs", f"x={pair}", "--input_exprs", rest],
                      ["--inputs", f"x={one}", "--input_exprs", rest], ["--inputs", f"x={x}[a]", "--input_exprs", rest],
                      ["--inputs", f";x={x};;", "--input_exprs", rest + ";"], ["--inputs", f"x={x}.none", "--input_exprs", rest],
                      ["--inputs", "x", "--input_exprs", rest], ["--inputs", f"x={x};z={x}", "--input_exprs", rest],
                      ["--inputs", f"x={x}", "--input_exprs", "x=[[0,-1]];" + rest], ["--input_exprs", "x=[[1,0]];n=3;on=[1,0]"],
                      ["--input_exprs", "x=[[1.5,True]];n=3;on=[False,False]"], ["--input_exprs", "x=[1.0,2.0];" + rest],
                      ["--input_exprs", "x=[[1.0,2.0,3.0]];" + rest], ["--input_exprs", "x=1.0;" + rest], ["--input_exprs", "x=[[1],[2,3]];" + rest],
                      ["--input_exprs", "x=[[1.0,2.0]];n=[3];on=[True,False]"], ["--input_exprs", "x=[[1.0,2.0]];n=3"],
                      ["--input_exprs", "x=[[1.0,2.0]];n=3;on=[True]"], ["--input_exprs", "x=[['a','b']];" + rest], ["--input_exprs", "x=["]):
            compare(check, "run", serving + words, work)
        parse = ["--dir", model, "--tag_set", "serve", "--signature_def", "parse", "--input_examples"]
        for text in ("examples=[{'age':[22.5],'n':[1,-2]},{'n':[3,4],'age':[1.0]}]", "examples=[{'age':[22.5]}]", "examples={'age':[1.0]}",
                     "examples=[{'age':1.0,'n':[1,2]}]", "examples=[{'age':[None],'n':[1,2]}]"):
            compare(check, "run", parse + [text], work)
        for kind in KINDS:
            path = os.path.join(work, kind + ".npy")
            np.save(path, array_of(kind))
            compare(check, "run", ["--dir", model, "--tag_set", "serve", "--signature_def", kind, "--inputs", f"v={path}", "--outdir", "OUTDIR",
                                   "--overwrite"], work)
        for words in ([], ["--tag_set", "serve"], ["--tag_set", "serve", "--signature_def", "serving_default"], ["--tag_set", "gpu"],
                      ["--tag_set", "serve,gpu"], ["--tag_set", "serve", "--signature_def", "none"]):
            compare(check, "show", ["--dir", model, *words], work)
        compare(check, "show", ["--dir", work], work)
        lacking_parts(check, work)
    check.done()


if __name__ == "__main__":
    main()
