#!/usr/bin/env python3
"""TensorFlow Lite's models: made by TensorFlow's converter, run by its interpreter (reference kernels) and by tenon.

    lite_models.py [TENON]                  all cases; prints what differs, exits 1 where something does
    lite_models.py TENON --only PATTERN     those whose name matches (re.search)
    lite_models.py TENON --keep DIR         leaves DIR/<case>/model.tflite, in.npz, out.npz behind, and takes those there
    lite_models.py TENON --docs docs/lite.md    writes the page's table of operators
    lite_models.py TENON --keep DIR --store tenon/lite/testdata    writes the cases of the C++ test anew
"""
import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lite_cases
import lite_made


def interpreter(model):
    """By the reference kernels; operators that have none there by those of no delegate."""
    kinds = tf.lite.experimental.OpResolverType
    try:
        return tf.lite.Interpreter(model_content=model, experimental_op_resolver_type=kinds.BUILTIN_REF)
    except (ValueError, RuntimeError):
        return tf.lite.Interpreter(model_content=model, experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def reference(model, inputs):
    """What TensorFlow Lite computes of `inputs`, by name of the signature's (or of the tensors') inputs."""
    lite = interpreter(model)
    signatures = lite.get_signature_list()
    details = {}
    if signatures:
        name = next(iter(signatures))
        runner = lite.get_signature_runner(name)
        return name, runner(**inputs)
    for detail in lite.get_input_details():
        details[detail["name"]] = detail
        lite.resize_tensor_input(detail["index"], inputs[detail["name"]].shape)
    lite.allocate_tensors()
    for name, value in inputs.items():
        lite.set_tensor(details[name]["index"], value)
    lite.invoke()
    return "serving_default", {d["name"]: lite.get_tensor(d["index"]) for d in lite.get_output_details()}


def operators(model):
    return sorted({d["op_name"] for d in interpreter(model)._get_ops_details()} - {"DELEGATE"})


def run_tenon(tenon, folder, signature, inputs):
    out = os.path.join(folder, "tenon")
    text = ";".join(f"{name}={folder}/in.npz[{name}]" for name in inputs)
    command = [tenon, "run", "--model", f"{folder}/model.tflite", "--signature_def", signature,
               "--outdir", out, "--overwrite"] + (["--inputs", text] if inputs else [])
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        return None, (done.stderr.strip() or f"exit {done.returncode}").splitlines()[-1]
    return {f[:-4]: np.load(os.path.join(out, f), allow_pickle=True) for f in os.listdir(out)}, None


def difference(case, want, got):
    """None where the two agree; else a text."""
    if got is None:
        return "no such output"
    if list(want.shape) != list(got.shape):
        return f"shape {list(got.shape)}, expected {list(want.shape)}"
    if want.size == 0:
        return None
    if want.dtype.kind in "OS":
        same = [bytes(a) if not isinstance(a, str) else a.encode() for a in want.ravel()] == \
               [bytes(a) if not isinstance(a, str) else a.encode() for a in got.ravel()]
        return None if same else "other strings"
    if want.dtype != got.dtype:
        return f"dtype {got.dtype}, expected {want.dtype}"
    if want.dtype.kind in "biu":
        off = np.abs(want.astype(np.int64) - got.astype(np.int64))
        wrong = off > case.tolerance_integer
        return None if not wrong.any() else f"{wrong.sum()} of {off.size} integers differ, by up to {off.max()}"
    both_nan = np.isnan(want) & np.isnan(got)
    if case.random:
        return None
    scale = np.max(np.abs(want[np.isfinite(want)])) if np.isfinite(want).any() else 1
    off = np.where(both_nan | (want == got), 0, np.abs(want - got))
    return None if np.all(off <= case.tolerance * scale + 1e-7) else f"differs by {np.nanmax(off):g} of {scale:g}"


def plain(arrays):
    """As .npy knows them: strings by their bytes."""
    return {k: np.asarray(v).astype("S") if np.asarray(v).dtype.kind in "OU" else np.asarray(v) for k, v in arrays.items()}


def make(case, folder):
    """The model, its inputs and TensorFlow Lite's answer, left in `folder`; those that lie there are taken."""
    path = f"{folder}/case.json"
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            return json.load(f), dict(np.load(f"{folder}/in.npz", allow_pickle=True)), dict(np.load(f"{folder}/out.npz", allow_pickle=True))
    model, inputs = case.make()
    signature, want = reference(model, inputs)
    with open(f"{folder}/model.tflite", "wb") as f:
        f.write(model)
    np.savez(f"{folder}/in.npz", **plain(inputs))
    np.savez(f"{folder}/out.npz", **plain(want))
    about = {"signature": signature, "operators": operators(model)}
    with open(path, "w", encoding="utf-8") as f:
        json.dump(about, f)
    return about, inputs, want


def check(tenon, case, folder, seen):
    """None where tenon agrees, else what is wrong."""
    try:
        about, inputs, want = make(case, folder)
    except Exception as error:  # pylint: disable=broad-except
        return f"{NOT_MADE}: {str(error).splitlines()[0][:300]}"
    got, error = run_tenon(tenon, folder, about["signature"], inputs)
    ops = " ".join(about["operators"])
    if error:
        return f"[{ops}] {error}"
    wrong = [(name, difference(case, np.asarray(value), got.get(name.replace("/", "_")))) for name, value in want.items()]
    wrong = [f"{name}: {text}" for name, text in wrong if text]
    for op in about["operators"] if not wrong else []:
        seen.setdefault(op, []).append(case.name)
    return f"[{ops}] " + "; ".join(wrong) if wrong else None


NOT_MADE = "not made"
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tenon/lite")
TABLE = ("<!-- operators: by tests/interop/lite_models.py --docs -->\n", "<!-- end of operators -->\n")


def write_table(path, agreed):
    """The operators that tenon/lite translates, those with kernels on levels, and the cases that agreed with each."""
    def named(pattern):
        names = set()
        for file in os.listdir(SOURCES):
            if re.fullmatch(pattern, file):
                with open(os.path.join(SOURCES, file), encoding="utf-8") as f:
                    names |= set(re.findall(r"^TENON_LITE_(?:OPERATOR|QUANTIZED)\((\w+),", f.read(), re.M))
        return names
    exact = named(r"translate_quantized_\w+\.cc")
    translated = named(r"translate_\w+\.cc") - (exact - named(r"translate_(?!quantized_)\w+\.cc"))
    with open(f"{SOURCES}/builtin_operators.h", encoding="utf-8") as f:
        operators = re.findall(r"X\((\w+), \d+\)", f.read())
    rows = ["| operator | integer kernel | agreeing cases |\n|---|---|---|\n"]
    for name in sorted(translated):
        kinds = {k: sum(1 for c in agreed.get(name, []) if c.startswith(p)) for k, p in (("int8", ("int8", "uint8")), ("int16", "int16x8"))}
        total = len(agreed.get(name, []))
        text = ", ".join(f"{n} {k}" for k, n in (("float", total - sum(kinds.values())), *kinds.items()) if n)
        rows.append(f"| {name} | {'yes' if name in exact else ''} | {text} |\n")
    missing = [n for n in operators if n not in translated and n not in ("CUSTOM", "DELEGATE")]
    rows.append(f"\n{len(translated)} operators. Not translated: {', '.join(missing)}.\n")
    with open(path, encoding="utf-8") as f:
        before, rest = f.read().split(TABLE[0])
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + TABLE[0] + "\n" + "".join(rows) + "\n" + TABLE[1] + rest.split(TABLE[1])[1])


def store(case, folder, target):
    """The model, and its inputs and outputs in one file: "in:NAME", "out:NAME"."""
    about, inputs, want = make(case, folder)
    with open(f"{folder}/model.tflite", "rb") as source, open(f"{target}/{case.name}.tflite", "wb") as out:
        out.write(source.read())
    arrays = {f"in:{k}": v for k, v in plain(inputs).items()} | {f"out:{k}": v for k, v in plain(want).items()}
    np.savez(f"{target}/{case.name}.npz", **arrays)  # uncompressed: tests/lite/cases.c reads them too
    return about


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tenon", nargs="?", default=os.environ.get("TENON", "build/tenon"))
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    parser.add_argument("--store")
    parser.add_argument("--docs", help="the page whose table of operators is written")
    args = parser.parse_args()
    failed, seen, count = 0, {}, 0
    with tempfile.TemporaryDirectory() as scratch:
        root = args.keep or scratch
        for case in itertools.chain(lite_cases.cases(), lite_made.cases()):
            if not re.search(args.only, case.name):
                continue
            count += 1
            folder = os.path.join(root, case.name)
            os.makedirs(folder, exist_ok=True)
            if args.store:
                if case.name in lite_cases.STORED:
                    store(case, folder, args.store)
                continue
            wrong = check(args.tenon, case, folder, seen)
            if wrong and wrong.startswith(NOT_MADE):
                count -= 1  # TensorFlow's converter or its interpreter has no such model
            elif wrong:
                failed += 1
                print(f"{case.name}: {wrong}", flush=True)
    print(f"{count - failed} of {count} cases agree; {len(seen)} operators")
    if args.docs:
        write_table(args.docs, seen)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
