#!/usr/bin/env python3
"""For which dtypes an op computes what TensorFlow computes: every dtype for which TensorFlow registers a CPU kernel is tried on one small case.

    TEST_OPS=build/test_ops op_dtypes.py tests/interop/op_dtypes.tsv [--cases ../shared/cases/ops] [OP ...]

The case of an op comes from tenon/ops/testdata or, with --cases, from the reference cases; its inputs are cast to each dtype of each attribute. The
table has a line for each op and attribute: the dtypes that agree, those that Tenon lacks, those whose answers differ. tools/make_ops_page.py
writes docs/ops.md from it.
"""
import argparse
import glob
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile

import op_values
from op_values import np, tf
from value_cases import QUANTISED, attr_of, text_of
from tensorflow.core.framework import tensor_shape_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import function_def_to_graph, kernels, op_def_registry

RELATIVE = {1: 0.1, 2: 2e-2, 4: 3e-5, 8: 1e-9}  # by the bytes of a number

HERE = os.path.dirname(os.path.abspath(__file__))
TESTDATA = os.path.join(HERE, "..", "..", "tenon", "ops", "testdata")
# Random draws have their own tests; on odd dtypes of the last ones TensorFlow ends the process.
LEFT_OUT = re.compile("^(Random|Multinomial|Stateful|Parameterized)|Sampler$|Random(Uniform|Gamma|Poisson)|^(UnicodeDecodeWithOffsets)$|^RaggedCross")

# An attribute that goes with another one.
FOLLOWS = {("SparseAdd", "T"): "Treal"}
# TensorFlow registers kernels for them that do nothing: its oneDNN pass puts others in their place.
STAND_INS = ("QuantizedConv2D",)


def kernels_of_tensorflow():
    """op -> attribute -> dtypes of its CPU kernels."""
    found = {}
    for kernel in kernels.get_all_registered_kernels().kernel:
        if kernel.device_type == "CPU" and not kernel.label:
            attrs = found.setdefault(kernel.op, {})
            for constraint in kernel.constraint:
                for dtype in constraint.allowed_values.list.type:
                    attrs.setdefault(constraint.name, set()).add(tf.as_dtype(dtype))
    return found


def value_of(text):
    kind, shape, data = text
    if kind in ("string", "bytes"):
        texts = [bytes.fromhex(t) if kind == "bytes" else t.encode() for t in data]
        return tf.reshape(tf.constant(texts, tf.string), shape)
    dtype = getattr(tf, kind)
    plain = QUANTISED.get(dtype, dtype)
    array = np.frombuffer(bytes.fromhex(data), plain.as_numpy_dtype).reshape(shape)
    return tf.bitcast(tf.constant(array), dtype) if dtype in QUANTISED else tf.constant(array)


def attr_value(text):
    kind, value = next(iter(text.items()))
    return getattr(tf, value) if kind == "type" else [getattr(tf, v) for v in value] if kind == "types" else \
        tf.TensorShape(value) if kind == "shape" else value


def kept_cases():
    """op -> (inputs, attributes), the smallest with numbers in it."""
    best = {}
    for path in sorted(glob.glob(os.path.join(TESTDATA, "*.jsonl"))):
        with open(path, encoding="utf-8") as f:
            for text in f:
                line = json.loads(text)
                elements = sum(int(np.prod(t[1])) for t in line["in"])
                if "error" in line or line.get("vars") or not all(np.prod(t[1]) for t in line["in"]):
                    continue
                if line["op"] not in best or elements < best[line["op"]][0]:
                    best[line["op"]] = (elements, line)
    return {op: ([value_of(t) for t in line["in"]], {k: attr_value(v) for k, v in line["attrs"].items()}) for op, (_, line) in best.items()}


def reference_files(folder):
    """The cases of a folder of reference cases, their arrays, and the functions of its SavedModel by name."""
    with open(os.path.join(folder, "case.json"), encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    proto = saved_model_pb2.SavedModel()
    with open(os.path.join(folder, "1", "saved_model.pb"), "rb") as f:
        proto.ParseFromString(f.read())
    return cases, np.load(os.path.join(folder, "golden.npz")), {f.signature.name: f for f in proto.meta_graphs[0].graph_def.library.function}


def reference_case(folder):
    """(inputs, attributes) of the op in the first reference case that has it with plain tensors, or None."""
    op = os.path.basename(folder)
    cases, golden, library = reference_files(folder)
    for name, case in sorted(cases.items()):
        functions = [f for key, f in library.items() if re.search(rf"_{name}_\d+$", key) and any(n.op == op for n in f.node_def)]
        if case["error"] or not functions:
            continue
        graph = function_def_to_graph.function_def_to_graph(functions[0])
        node = next(n for n in graph.get_operations() if n.type == op)
        if any(t.dtype in (tf.resource, tf.variant) for t in node.inputs):
            continue
        keys = {t.name: f"{name}/in/{t.name.split(':')[0]}" for t in graph.inputs}
        feeds = {tensor: golden[key] for tensor, key in keys.items() if key in golden}
        with tf.compat.v1.Session(graph=graph) as session:
            values = session.run([tf.bitcast(t, QUANTISED[t.dtype]) if t.dtype in QUANTISED else t for t in node.inputs], feeds) if node.inputs else []
        inputs = [tf.bitcast(tf.constant(v), t.dtype) if t.dtype in QUANTISED else tf.constant(v, t.dtype) for v, t in zip(values, node.inputs)]
        attrs = {a.name: node.get_attr(a.name) for a in node.op_def.attr if a.type != "func"}
        plain = {k: tf.TensorShape(v) if isinstance(v, tensor_shape_pb2.TensorShapeProto) else v for k, v in attrs.items()}
        return inputs, {k: v.decode() if isinstance(v, bytes) else v for k, v in plain.items()}
    return None


def cast(value, dtype):
    """The same numbers as far as `dtype` has them; None where it has none."""
    if value.dtype == dtype:
        return value
    if value.dtype in QUANTISED:
        value = tf.bitcast(value, QUANTISED[value.dtype])
    if dtype == tf.string:
        return tf.strings.as_string(value) if value.dtype != tf.string else value
    if value.dtype == tf.string or dtype in (tf.resource, tf.variant):
        return None
    array = value.numpy()
    plain = QUANTISED.get(dtype, dtype)
    if plain.is_integer:
        array = np.real(array)
        array = np.where(np.isfinite(array.astype(np.float64)), array, 1)
        array = np.clip(array.astype(np.float64), 0 if plain.is_unsigned else -100, 100)
    array = array.astype(plain.as_numpy_dtype) if plain != tf.bool else array != 0
    return tf.bitcast(tf.constant(array), dtype) if dtype in QUANTISED else tf.constant(array)


def grouped(op_def, inputs, attrs):
    """Inputs as Python's function takes them: arguments of several tensors as lists."""
    left, arguments = list(inputs), []
    for arg in op_def.input_arg:
        if arg.number_attr or arg.type_list_attr:
            count = attrs.get(arg.number_attr or arg.type_list_attr)
            count = len(count) if isinstance(count, list) else count
            if count is None:
                count = len(left) - (len(op_def.input_arg) - 1 - len(arguments))
            arguments.append([left.pop(0) for _ in range(count)])
        else:
            arguments.append(left.pop(0))
    return arguments


def attr_texts(op_def, given):
    """Attributes as op_values_test.cc reads them."""
    def text(kind, value):
        if kind == "float":
            return {"f": float(value)}
        if kind == "list(float)":
            return {"lf": value}
        if kind == "list(string)":
            return {"strings": [v.decode() if isinstance(v, bytes) else v for v in value]}
        if kind == "list(type)":
            return {"types": [v.name for v in value]}
        return attr_of(value)

    kinds = ("int", "float", "bool", "string", "type", "shape", "list(int)", "list(float)", "list(string)", "list(type)")
    return {a.name: text(a.type, given[a.name]) for a in op_def.attr if a.name in given and a.type in kinds}


def tolerance(outputs):
    """(largest number, relative error): sums are taken in other orders, so rounding is judged by the largest number."""
    inexact = [t for t in outputs if t.dtype.is_floating or t.dtype.is_complex]
    plain = [np.abs(np.nan_to_num(t.numpy().astype(np.complex128 if t.dtype.is_complex else np.float64))) for t in inexact]
    scale = max([float(np.max(v, initial=0, where=v < 1e30)) for v in plain], default=0.0)
    return scale, max([RELATIVE[t.dtype.size // (2 if t.dtype.is_complex else 1)] for t in inexact], default=0.0)


def attempt(op, op_def, inputs, attrs, attr, dtype):
    """The line of one case, or None where TensorFlow does not compute it."""
    arg_of = []
    for arg, value in zip(op_def.input_arg, grouped(op_def, inputs, attrs)):
        arg_of += [arg] * (len(value) if isinstance(value, list) else 1)
    also = FOLLOWS.get((op, attr))
    dtypes = {attr: dtype, also: dtype.real_dtype}
    changed = [cast(v, dtypes[arg.type_attr]) if arg.type_attr in (attr, also) and arg.type_attr else v for v, arg in zip(inputs, arg_of)]
    if any(v is None for v in changed):
        return None
    given = dict(attrs)
    if attr in given:
        given[attr] = dtype
    function = getattr(tf.raw_ops, op)
    parameters = list(inspect.signature(function).parameters)
    arguments = dict(zip(parameters, grouped(op_def, changed, given)))
    arguments.update({k: v for k, v in given.items() if k in parameters and k not in arguments})
    for a in op_def.attr:  # an output's dtype that no input tells
        if a.name == attr and a.name in parameters:
            arguments[a.name] = dtype
            given[a.name] = dtype
    try:
        result = function(**arguments)
    except Exception:  # no kernel, or a combination that it refuses
        return None
    outputs = tf.nest.flatten(result)
    if any(not tf.is_tensor(t) or t.dtype in (tf.resource, tf.variant) for t in outputs) or not outputs:
        return None
    if all(t.shape == [0] for t in outputs[:1]) and op in STAND_INS:
        return None
    if False in (attrs.get("compute_v", True), attrs.get("compute_uv", True), attrs.get("is_training", True)):
        outputs = outputs[:1]  # the others are not set
    scale, relative = tolerance(outputs)
    return {"op": op, "attrs": attr_texts(op_def, given), "in": [text_of(v) for v in changed], "out": [text_of(t) for t in outputs],
            "scale": scale, "relative": relative, "attr": attr, "dtype": dtype.name}


def sweep(path, wanted, cases):
    """Writes the cases; returns (op, attribute) -> dtypes tried."""
    base, tried = kept_cases(), {}
    with open(path, "w", encoding="utf-8") as f:
        for op, attrs in sorted(kernels_of_tensorflow().items()):
            if (wanted and op not in wanted) or LEFT_OUT.search(op) or not hasattr(tf.raw_ops, op):
                continue
            case = base.get(op)
            if not case and cases and os.path.isdir(os.path.join(cases, op)):
                try:
                    case = reference_case(os.path.join(cases, op))
                except Exception as error:  # a case of another form
                    print("no case:", op, str(error)[:100])
            op_def = op_def_registry.get(op)
            print(op, file=sys.stderr)
            for attr, dtypes in sorted(attrs.items()) if case else ():
                for dtype in sorted(dtypes, key=lambda d: d.name):
                    line = attempt(op, op_def, *case, attr, dtype)
                    if line:
                        f.write(json.dumps(line, separators=(",", ":")) + "\n")
                        tried.setdefault((op, attr), []).append(dtype.name)
    return tried


def judge(path):
    """(lacking, differing): lines that Tenon does not compute, and that it computes otherwise."""
    done = subprocess.run([os.environ["TEST_OPS"], "--gtest_filter=OpValues.*"], env=dict(os.environ, TENON_OP_VALUES=path), capture_output=True,
                          text=True, check=False)
    lacking = set(re.findall(r"^lacking: (.*)$", done.stdout, re.M))
    for what in re.findall(r"Failure\nFailed\n(.*)$", done.stdout, re.M):
        print("differs:", what[:300])
    with open(path + ".failed", encoding="utf-8") as f:
        failed = {(line["op"], line["attr"], line["dtype"]) for line in map(json.loads, f)}
    with open(path, encoding="utf-8") as f:
        lines = [json.loads(text) for text in f]
    missing = {(line["op"], line["attr"], line["dtype"]) for line in lines
               if " ".join([line["op"], *[t[0] for t in line["in"]]]) in lacking}
    return missing - failed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("ops", nargs="*")
    parser.add_argument("--cases")
    options = parser.parse_args()
    options.table, options.cases = os.path.abspath(options.table), options.cases and os.path.abspath(options.cases)
    os.environ["TEST_OPS"] = os.path.abspath(os.environ["TEST_OPS"])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # some ops write files
        path = os.path.join(folder, "dtypes.jsonl")
        tried = sweep(path, set(options.ops), options.cases)
        missing, failed = judge(path)
    counts = [0, 0, 0]
    with open(options.table, "w", encoding="utf-8") as f:
        f.write("# Written by tests/interop/op_dtypes.py: op, attribute, dtypes that agree with TensorFlow, that are lacking, that differ.\n")
        for (op, attr), dtypes in sorted(tried.items()):
            parts = [[d for d in dtypes if (op, attr, d) not in missing | failed], [d for d in dtypes if (op, attr, d) in missing],
                     [d for d in dtypes if (op, attr, d) in failed]]
            counts = [n + len(part) for n, part in zip(counts, parts)]
            f.write("\t".join([op, attr, *[" ".join(part) for part in parts]]) + "\n")
    print(f"{len({op for op, _ in tried})} ops: {counts[0]} dtypes agree, {counts[1]} are lacking, {counts[2]} differ")


if __name__ == "__main__":
    main()
