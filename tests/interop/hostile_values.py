#!/usr/bin/env python3
"""What TensorFlow answers when one argument of an op is changed: other ranks and sizes, nothing, negative and large numbers, other attributes.

    hostile_values.py OUT.jsonl [OP ...]
    TENON_OP_VALUES=OUT.jsonl build/test_ops --gtest_filter='OpValues.*'     compares Tenon

The base case of an op is that of op_dtypes.py. TensorFlow ends the process at some of them, so they run in children; the parent goes on behind
the case at which one died. tenon/ops/testdata/hostile_values.jsonl keeps those that have found a fault.
"""
import glob
import inspect
import itertools
import json
import os
import signal
import sys

import op_dtypes
from children import run_in_children
from op_values import code_of, np, tf
from tensorflow.python.framework import op_def_registry
from value_cases import QUANTISED, reshaped, text_of

CASES = os.environ.get("TENON_CASES", os.path.join(op_dtypes.HERE, "..", "..", "..", "shared", "cases", "ops"))
SECONDS = 60  # an op


def shapes_like(shape):
    wanted = [shape[1:], shape[:-1], []] if shape else []
    wanted += [[1] + shape, shape + [1], [2] + shape]
    for i, size in enumerate(shape):
        wanted += [shape[:i] + [other] + shape[i + 1:] for other in (0, 1, size + 1, size - 1) if other >= 0]
    wanted += [[0], [0, 0], [0] * (len(shape) + 1)]
    return [dims for i, dims in enumerate(wanted) if dims != shape and dims not in wanted[:i]]


def tensors_like(value):
    for dims in shapes_like(value.shape.as_list()):
        made = reshaped(value, dims)
        if made is not None:
            yield made
    if not value.dtype.is_integer or value.dtype in QUANTISED or not 0 < tf.size(value) <= 16:
        return
    plain = value.numpy()
    for number in (-1, -2, 0, 1, 2, 3, 7, 1000, -1000):
        if number < 0 and value.dtype.is_unsigned or not value.dtype.min <= number <= value.dtype.max:
            continue
        yield tf.constant(np.full_like(plain, number))
        for place in (0, -1) if plain.size > 1 else ():
            changed = plain.copy().reshape(-1)
            changed[place] = number
            yield tf.constant(changed.reshape(plain.shape))
    if plain.ndim:
        for other in (plain[::-1].copy(), plain[:-1], np.concatenate([plain, plain[:1]])):
            yield tf.constant(other)


def values_like(attr, value):
    if attr.type == "int":
        return [-2, -1, 0, 1, 2, 3, 5]
    if attr.type == "bool":
        return [not value]
    if attr.type == "string":
        return [s.decode() for s in attr.allowed_values.list.s]
    if attr.type == "float":
        return [0.0, -1.0, 0.5]
    if attr.type == "list(int)" and value:
        changed = [value[:i] + [v] + value[i + 1:] for i in range(len(value)) for v in (0, -1, 1, 2, 3)]
        return changed + [value[:-1], value + [1]]
    return []


def variants(op_def, inputs, attrs):
    """(inputs, attributes): the base case, then each with something changed."""
    yield inputs, attrs
    for i, value in enumerate(inputs):
        for other in tensors_like(value):
            yield inputs[:i] + [other] + inputs[i + 1:], attrs
    counts = {a.number_attr for a in op_def.input_arg} | {a.type_list_attr for a in op_def.input_arg}
    for attr in op_def.attr:
        field = {"int": "i", "bool": "b", "string": "s", "float": "f"}.get(attr.type)
        if attr.name in counts or (attr.name not in attrs and not (field and attr.HasField("default_value"))):
            continue
        value = attrs.get(attr.name, getattr(attr.default_value, field or "i"))
        value = value.decode() if isinstance(value, bytes) else value
        for other in values_like(attr, value):
            if other == value:
                continue
            yield inputs, {**attrs, attr.name: other}
            for i, one in enumerate(inputs if attr.type != "list(int)" and len(inputs) <= 3 else []):
                for changed in itertools.islice(tensors_like(one), 0, 40, 4):
                    yield inputs[:i] + [changed] + inputs[i + 1:], {**attrs, attr.name: other}


def line_of(op, op_def, inputs, attrs):
    """The line of one case; None where TensorFlow has no answer that could be compared."""
    function = getattr(tf.raw_ops, op)
    parameters = list(inspect.signature(function).parameters)
    line = {"op": op, "attrs": op_dtypes.attr_texts(op_def, attrs), "in": [text_of(v) for v in inputs]}
    try:
        arguments = dict(zip(parameters, op_dtypes.grouped(op_def, inputs, attrs)))
        arguments.update({k: v for k, v in attrs.items() if k in parameters and k not in arguments})
        outputs = tf.nest.flatten(function(**arguments))
    except tf.errors.OpError as error:
        if any(text in str(error) for text in ("No OpKernel", "not in the list of allowed", "Could not find device")):
            return None
        return {**line, "error": code_of(error)}
    except Exception:  # Python's own checks
        return None
    if not outputs or any(not tf.is_tensor(t) or t.dtype in (tf.resource, tf.variant) for t in outputs):
        return None
    if False in (attrs.get("compute_v", True), attrs.get("compute_uv", True), attrs.get("is_training", True)):
        outputs = outputs[:1]  # the others are not set
    scale, relative = op_dtypes.tolerance(outputs)
    return {**line, "out": [text_of(t) for t in outputs], "scale": scale, "relative": relative}


def run_op(op, base, first, place, out):
    op_def = op_def_registry.get(op)
    if base is None or not hasattr(tf.raw_ops, op) or any(tf.size(t) > 5000 for t in base[0]):
        return
    for number, (inputs, attrs) in enumerate(variants(op_def, *base)):
        if number < first:
            continue
        place(op, number)
        line = line_of(op, op_def, inputs, attrs)
        text = json.dumps(line) if line else ""
        if line and "NaN" not in text and "Infinity" not in text:
            out.write(text + "\n")
            out.flush()


def child(path, ops, first):
    kept = op_dtypes.kept_cases()

    def place(op, number):
        with open(path + ".place", "w", encoding="utf-8") as f:
            f.write(f"{op} {number}")

    with open(path, "a", encoding="utf-8") as out:
        for op in ops:
            place(op, -1)
            signal.alarm(SECONDS)
            base = kept.get(op)
            if base is None and os.path.exists(os.path.join(CASES, op, "case.json")):
                base = op_dtypes.reference_case(os.path.join(CASES, op))
            run_op(op, base, first, place, out)
            first = 0


def main():
    path, wanted = sys.argv[1], sys.argv[2:]
    names = set(os.listdir(CASES)) if os.path.isdir(CASES) else set()
    for file in glob.glob(os.path.join(op_dtypes.TESTDATA, "*.jsonl")):
        with open(file, encoding="utf-8") as f:
            names |= {json.loads(line)["op"] for line in f}
    kernels = op_dtypes.kernels_of_tensorflow()
    ops = sorted(op for op in names if op in kernels and not op_dtypes.LEFT_OUT.search(op) and (not wanted or op in wanted))
    open(path, "w", encoding="utf-8").close()
    run_in_children(path, ops, lambda ops, first: child(path, ops, first))


if __name__ == "__main__":
    main()
