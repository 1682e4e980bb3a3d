#!/usr/bin/env python3
"""What TensorFlow answers when several things about a case are changed at random: dtypes, attributes, shapes (none, rank 0, more ranks, broadcasting),
numbers (NaN, infinities, ends, negative indices), texts; values, error codes and gradients.

    random_values.py OUT.jsonl [--seed N] [--each N] [--cases ../shared/cases/ops] [OP ...]
    TENON_OP_VALUES=OUT.jsonl build/test_ops --gtest_filter='OpValues.*'     compares Tenon

Bases are all cases of tenon/ops/testdata and the reference cases (their ops with plain tensors). TensorFlow ends the process at some; they run in
children, and the parent goes on behind the case at which one died. tenon/ops/testdata/random_values.jsonl keeps those that have found a fault.
"""
import argparse
import glob
import inspect
import json
import os
import random
import re
import resource
import signal
import sys

import op_dtypes
from children import run_in_children
from op_values import code_of, np, tf
from tensorflow.core.framework import tensor_shape_pb2
from tensorflow.python.framework import function_def_to_graph, op_def_registry, ops
from value_cases import QUANTISED, reshaped, text_of

SECONDS = 10  # a case
# They read and write files, give what memory held, or do nothing without oneDNN.
LEFT_OUT = ("MergeV2Checkpoints", "RestoreV2", "SaveV2", "Empty") + op_dtypes.STAND_INS
# Attributes that Python calls otherwise.
PYTHON_NAMES = {("Squeeze", "squeeze_dims"): "axis"}
NO_KERNEL = ("No OpKernel", "not in the list of allowed", "Could not find device", "No unary variant", "Could not find valid device")


def reference_lines(folder):
    """The op of every reference case that has it with plain tensors, as a line with inputs and attributes."""
    op = os.path.basename(folder)
    cases, golden, library = op_dtypes.reference_files(folder)
    op_def = op_def_registry.get(op)
    for name in sorted(cases):
        for function in [f for key, f in library.items() if re.search(rf"_{name}_\d+$", key) and any(n.op == op for n in f.node_def)]:
            try:
                graph = function_def_to_graph.function_def_to_graph(function)
                node = next(n for n in graph.get_operations() if n.type == op)
                if any(t.dtype in (tf.resource, tf.variant) for t in list(node.inputs) + list(node.outputs)):
                    continue
                keys = {t.name: f"{name}/in/{t.name.split(':')[0]}" for t in graph.inputs}
                feeds = {tensor: golden[key] for tensor, key in keys.items() if key in golden}
                wanted = [tf.bitcast(t, QUANTISED[t.dtype]) if t.dtype in QUANTISED else t for t in node.inputs]
                with tf.compat.v1.Session(graph=graph) as session:
                    values = session.run(wanted, feeds) if node.inputs else []
            except (tf.errors.OpError, StopIteration, ValueError):  # a case of another form
                continue
            inputs = [tf.bitcast(tf.constant(v), t.dtype) if t.dtype in QUANTISED else tf.constant(v, t.dtype) for v, t in zip(values, node.inputs)]
            attrs = {a.name: node.get_attr(a.name) for a in node.op_def.attr if a.type != "func"}
            plain = {k: tf.TensorShape(v) if isinstance(v, tensor_shape_pb2.TensorShapeProto) else v for k, v in attrs.items()}
            plain = {k: v.decode() if isinstance(v, bytes) else v for k, v in plain.items()}
            plain = {k: v for k, v in plain.items() if not isinstance(v, tf.TensorShape) or v.rank is not None}
            if all(tf.size(t) <= 3000 for t in inputs):
                yield {"op": op, "attrs": op_dtypes.attr_texts(op_def, plain), "in": [text_of(t) for t in inputs]}


def gradient_lines(path):
    """The ops of the reference cases of gradients, whose numbers are far from kinks and poles."""
    op = os.path.basename(path)[:-len(".json")]
    with open(path, encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    values = np.load(path[:-len("json")] + "npz")
    op_def = op_def_registry.get(op)
    for name, case in sorted(cases.items()):
        args = case.get("args", {})
        if case["body"] != "op" or any(arg.name not in args for arg in op_def.input_arg):
            continue
        fed = [one for arg in op_def.input_arg for one in (args[arg.name] if isinstance(args[arg.name], list) else [args[arg.name]])]
        if any(f"{name}/in/{one}" not in values for one in fed):
            continue
        inputs = [tf.cast(values[f"{name}/in/{one}"], case["dtypes"].get(one, values[f"{name}/in/{one}"].dtype)) for one in fed]
        attrs = {a.name: case["attrs"][a.name] for a in op_def.attr if a.name in case["attrs"] and a.type in ("int", "float", "bool", "string", "list(int)")}
        if all(tf.size(t) <= 3000 for t in inputs):
            yield {"op": op, "attrs": op_dtypes.attr_texts(op_def, attrs), "in": [text_of(t) for t in inputs]}


def bases(cases, wanted):
    """op -> lines."""
    found = {}
    for path in sorted(glob.glob(os.path.join(op_dtypes.TESTDATA, "*.jsonl"))):
        with open(path, encoding="utf-8") as f:
            for text in f:
                line = json.loads(text)
                if not line.get("vars") and (not wanted or line["op"] in wanted):
                    found.setdefault(line["op"], []).append(line)
    for folder in sorted(glob.glob(os.path.join(cases, "*"))) if cases else ():
        op = os.path.basename(folder)
        if os.path.exists(os.path.join(folder, "case.json")) and op != "gradients" and (not wanted or op in wanted):
            found.setdefault(op, []).extend(reference_lines(folder))
    for path in sorted(glob.glob(os.path.join(cases, "gradients", "*.json"))) if cases else ():
        op = os.path.basename(path)[:-len(".json")]
        if not wanted or op in wanted:
            found.setdefault(op, []).extend(gradient_lines(path))
    return found


class Change:
    """Changes to one case, drawn from a seed."""

    def __init__(self, seed, op, kernels):
        self.draw, self.op_def, self.kernels = random.Random(seed), op_def_registry.get(op), kernels.get(op, {})

    def args_of(self, inputs, attrs):
        found = []
        for arg, value in zip(self.op_def.input_arg, op_dtypes.grouped(self.op_def, inputs, attrs)):
            found += [arg] * (len(value) if isinstance(value, list) else 1)
        return found

    def dtype(self, inputs, attrs):
        names = [n for n, dtypes in self.kernels.items() if len(dtypes) > 1]
        if not names:
            return inputs, attrs
        name = self.draw.choice(sorted(names))
        dtype = self.draw.choice(sorted(self.kernels[name], key=lambda d: d.name))
        made = [op_dtypes.cast(v, dtype) if arg.type_attr == name else v for v, arg in zip(inputs, self.args_of(inputs, attrs))]
        if any(v is None for v in made):
            return inputs, attrs
        is_input = any(arg.type_attr == name for arg in self.op_def.input_arg)
        return made, {**attrs, name: dtype} if name in attrs or not is_input else attrs

    def attr(self, inputs, attrs):
        counts = {a.number_attr for a in self.op_def.input_arg} | {a.type_list_attr for a in self.op_def.input_arg}
        names = [a for a in self.op_def.attr if a.name not in counts and a.type in ("int", "bool", "string", "float", "list(int)")]
        if not names:
            return inputs, attrs
        attr = self.draw.choice(names)
        field = {"int": "i", "bool": "b", "string": "s", "float": "f"}.get(attr.type)
        if attr.name not in attrs and not (field and attr.HasField("default_value")):
            return inputs, attrs
        value = attrs.get(attr.name, getattr(attr.default_value, field or "i"))
        if attr.type == "bool":
            value = not value
        elif attr.type == "int":
            value = self.draw.choice([value + 1, value - 1, 0, -1, 1, 2, 2 * value, 5])
        elif attr.type == "float":
            value = self.draw.choice([0.0, -1.0, 0.5, 2 * value, -value, 1.0, 3.0])
        elif attr.type == "string":
            allowed = [s.decode() for s in attr.allowed_values.list.s]
            if not allowed:
                return inputs, attrs
            value = self.draw.choice(allowed)
        else:
            value = list(value)
            if value and self.draw.random() < 0.9:
                place = self.draw.randrange(len(value))
                value[place] = self.draw.choice([0, -1, 1, 2, 3, value[place] + 1])
            else:
                value = value[:-1] if self.draw.random() < 0.5 else value + [1]
        return inputs, {**attrs, attr.name: value}

    def shape(self, inputs, attrs):
        """Changes the shape of one input, and at times of all that have its shape or its first dimension."""
        if not inputs:
            return inputs, attrs
        chosen = self.draw.randrange(len(inputs))
        dims = inputs[chosen].shape.as_list()
        together = self.draw.random()
        kind = self.draw.randrange(6)
        place = self.draw.randrange(len(dims)) if dims else 0
        size = self.draw.choice([0, 1, 2, 3, 5, 7, 16, 33])

        def changed(old):
            old = list(old)
            if kind <= 2 and place < len(old):
                old[place] = size
            elif kind == 3:
                old = old[1:] if self.draw.random() < 0.7 else old[:-1]
            elif kind == 4:
                old = [self.draw.choice([1, 1, 2])] + old
            elif kind == 5:
                old = self.draw.choice([[], [0], [1], [3], old + [1], old[::-1]])
            return old

        made = list(inputs)
        new = changed(dims)
        for i, value in enumerate(inputs):
            own = value.shape.as_list()
            if i == chosen or (together < 0.5 and own == dims):
                target = new
            elif 0.5 <= together < 0.8 and kind <= 2 and dims and place < len(own) and own[place] == dims[place]:
                target = own[:place] + [size] + own[place + 1:]
            else:
                continue
            if np.prod(target, dtype=np.float64) <= 4000:
                other = reshaped(value, target)
                made[i] = value if other is None else other
        return made, attrs

    def numbers(self, inputs, attrs):
        places = [i for i, v in enumerate(inputs) if tf.size(v) > 0]
        if not places:
            return inputs, attrs
        chosen = self.draw.choice(places)
        value = inputs[chosen]
        plain = tf.bitcast(value, QUANTISED[value.dtype]) if value.dtype in QUANTISED else value
        array = np.array(plain.numpy())
        flat = array.reshape(-1)
        rng = np.random.default_rng(self.draw.randrange(1 << 30))
        if plain.dtype == tf.string:
            for place in range(flat.size) if self.draw.random() < 0.3 else [self.draw.randrange(flat.size)]:
                flat[place] = self.text(flat[place])
        elif plain.dtype == tf.bool:
            flat[:] = rng.random(flat.size) < 0.5
        elif plain.dtype.is_integer:
            low, high = int(flat.min()), int(flat.max())
            kind = self.draw.random()
            if kind < 0.4:
                drawn = rng.integers(max(low - 1, int(plain.dtype.min)), min(high + 2, int(plain.dtype.max)), flat.size)
                flat[:] = drawn.astype(flat.dtype)
            elif kind < 0.8:
                number = self.draw.choice([-1, -2, 0, 1, 2, 3, 100])
                number = min(max(number, int(plain.dtype.min)), int(plain.dtype.max))
                flat[self.draw.randrange(flat.size)] = number
            elif kind < 0.9:
                flat[:] = flat[::-1].copy()
            else:
                flat[self.draw.randrange(flat.size)] = self.draw.choice([int(plain.dtype.max), int(plain.dtype.min)])
        else:
            kind = self.draw.random()
            if kind < 0.6:
                drawn = rng.standard_normal(flat.size) * self.draw.choice([0.3, 1, 5])
                if plain.dtype.is_complex:
                    drawn = drawn + 1j * rng.standard_normal(flat.size)
                flat[:] = drawn.astype(flat.dtype)
            elif kind < 0.7:
                flat[:] = 0
            elif kind < 0.85:
                flat[:] = np.round(flat.astype(np.complex64 if plain.dtype.is_complex else np.float32)).astype(flat.dtype)
            else:
                flat[self.draw.randrange(flat.size)] = self.draw.choice([np.nan, np.inf, -np.inf, -0.0, 1e4, -1e4])
        made = tf.constant(array, plain.dtype)
        return inputs[:chosen] + [tf.bitcast(made, value.dtype) if value.dtype in QUANTISED else made] + inputs[chosen + 1:], attrs

    def text(self, old):
        kind = self.draw.randrange(6)
        at = self.draw.randrange(len(old) + 1)
        bits = [b"", old[:at], old[at:], old[:at] + self.draw.choice([b" ", b",", b"\xc3\xa9", b"\xff", b"0", b"-", b"A", b"\n", b"\"", b"."]) + old[at:],
                old + old, self.draw.choice([b"1", b"-1.5e3", b"nan", b"inf", b" 7", b"99999999999", "日本".encode(), b"\x80"])]
        return bits[kind]

    def __call__(self, inputs, attrs):
        for _ in range(self.draw.choice([1, 1, 2, 2, 3])):
            change = self.draw.choices([self.dtype, self.attr, self.shape, self.numbers], [3, 3, 3, 3])[0]
            inputs, attrs = change(inputs, attrs)
        return inputs, attrs


def number_text(value):
    return None if value is None else text_of(value)


def gradients_of(op, call, inputs, outputs, tape, seed):
    """(dy of each output or None, gradient of each input or None); None where TensorFlow has no gradient of the op."""
    floats = [t.dtype.is_floating or t.dtype.is_complex for t in outputs]
    if not any(floats):
        return None
    try:
        if ops._gradient_registry.lookup(op) is None:
            return None
    except LookupError:
        return None
    rng = np.random.default_rng(seed)
    dys = []
    for t, is_float in zip(outputs, floats):
        drawn = rng.standard_normal(t.shape) + (1j * rng.standard_normal(t.shape) if t.dtype.is_complex else 0)
        dys.append(tf.constant(drawn.astype(t.dtype.as_numpy_dtype), t.dtype) if is_float else None)
    watched = [i for i, v in enumerate(inputs) if v.dtype.is_floating or v.dtype.is_complex]
    if not watched:
        return None
    try:
        targets = [t for t, dy in zip(outputs, dys) if dy is not None]
        found = tape.gradient(targets, [inputs[i] for i in watched], [dy for dy in dys if dy is not None])
        found = [None if g is None else tf.convert_to_tensor(g) for g in found]
    except Exception:  # refused by TensorFlow, or not written for these attributes
        return None
    grads = [None] * len(inputs)
    for i, g in zip(watched, found):
        grads[i] = g
    return dys, grads


def line_of(op, op_def, inputs, attrs, seed):
    """The line of one case; None where TensorFlow has no answer that could be compared."""
    function = getattr(tf.raw_ops, op)
    parameters = list(inspect.signature(function).parameters)
    line = {"op": op, "attrs": op_dtypes.attr_texts(op_def, attrs), "in": [text_of(v) for v in inputs]}
    with tf.GradientTape() as tape:
        for value in inputs:
            if value.dtype.is_floating or value.dtype.is_complex:
                tape.watch(value)
        try:
            arguments = dict(zip(parameters, op_dtypes.grouped(op_def, inputs, attrs)))
            attrs = {PYTHON_NAMES.get((op, k), k): v for k, v in attrs.items()}
            arguments.update({k: v for k, v in attrs.items() if k in parameters and k not in arguments})
            outputs = tf.nest.flatten(function(**arguments))
        except tf.errors.OpError as error:
            if any(text in str(error) for text in NO_KERNEL) or isinstance(error, (tf.errors.NotFoundError, tf.errors.UnimplementedError)):
                return None
            return {**line, "error": code_of(error)}
        except Exception:  # Python's own checks
            return None
    if not outputs or any(not tf.is_tensor(t) or t.dtype in (tf.resource, tf.variant) for t in outputs):
        return None
    if sum(int(tf.size(t)) for t in outputs) > 20000:
        return None
    if False in (attrs.get("compute_v", True), attrs.get("compute_uv", True), attrs.get("is_training", True)):
        outputs = outputs[:1]  # the others are not set
    scale, relative = op_dtypes.tolerance(outputs)
    line.update({"out": [text_of(t) for t in outputs], "scale": scale, "relative": relative})
    pair = gradients_of(op, None, inputs, outputs, tape, seed) if all(t.dtype not in QUANTISED for t in outputs) else None
    if pair:
        scale, relative = op_dtypes.tolerance([g for g in pair[1] if g is not None])
        line.update({"dy": [number_text(t) for t in pair[0]], "grad": [number_text(t) for t in pair[1]], "grad_scale": scale, "grad_relative": relative})
    return line


def run_op(op, lines, options, first, place, out, kernels):
    if not hasattr(tf.raw_ops, op):
        return
    op_def = op_def_registry.get(op)
    for number in range(options.each):
        if number < first:
            continue
        place(op, number)
        seed = f"{options.seed} {op} {number}"
        change = Change(seed, op, kernels)
        base = change.draw.choice(lines)
        try:
            inputs = [op_dtypes.value_of(t) for t in base["in"]]
            attrs = {k: op_dtypes.attr_value(v) for k, v in base["attrs"].items()}
            inputs, attrs = change(inputs, attrs)
            if "seed" in attrs:  # a kernel that TensorFlow has made before goes on where it was
                attrs["seed"] = number + 1
        except (ValueError, TypeError, OverflowError, KeyError, IndexError, tf.errors.OpError) as error:  # a change that makes no sense
            if options.verbose:
                print(op, repr(error)[:200])
            continue
        line = line_of(op, op_def, inputs, attrs, number)
        text = json.dumps(line, separators=(",", ":")) if line else ""
        if line and "NaN" not in text and "Infinity" not in text:
            out.write(text + "\n")
            out.flush()


def child(path, names, lines, options, first, kernels):
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))

    def place(op, number):
        signal.alarm(SECONDS)
        with open(path + ".place", "w", encoding="utf-8") as f:
            f.write(f"{op} {number}")

    with open(path, "a", encoding="utf-8") as out:
        for op in names:
            place(op, -1)
            run_op(op, lines[op], options, first, place, out, kernels)
            first = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("ops", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=60, help="cases of an op")
    parser.add_argument("--cases", help="folder of reference cases")
    parser.add_argument("--bases", help="file that keeps the bases from run to run")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_intermixed_args()
    if options.bases and os.path.exists(options.bases):
        with open(options.bases, encoding="utf-8") as f:
            lines = json.load(f)
    else:
        reader, writer = os.pipe()
        if os.fork() == 0:  # TensorFlow's threads do not survive a fork: the parent runs nothing
            with os.fdopen(writer, "w") as f:
                json.dump(bases(options.cases, options.ops), f)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as f:
            lines = json.load(f)
        if options.bases:
            with open(options.bases, "w", encoding="utf-8") as f:
                json.dump(lines, f)
    kernels = op_dtypes.kernels_of_tensorflow()
    names = sorted(op for op in lines if op in kernels and op not in LEFT_OUT and not op_dtypes.LEFT_OUT.search(op) and lines[op] and (not options.ops or op in options.ops))
    open(options.path, "w", encoding="utf-8").close()
    run_in_children(options.path, names, lambda names, first: child(options.path, names, lines, options, first, kernels))


if __name__ == "__main__":
    main()
