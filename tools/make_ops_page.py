#!/usr/bin/env python3
"""Writes docs/ops.md: what `tenon ops` lists, and for which dtypes each op was compared with TensorFlow.

    tools/make_ops_page.py --tenon build/tenon [--check]

The comparison is tests/interop/op_dtypes.tsv, which tests/interop/op_dtypes.py writes. --check: exit 1 where the page is not what would be written.
"""
import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs", "ops.md")
TABLE = os.path.join(ROOT, "tests", "interop", "op_dtypes.tsv")
SHORT = {"bfloat16": "bf16", "float16": "f16", "float32": "f32", "float64": "f64", "complex64": "c64", "complex128": "c128"}


def compared():
    """op -> [(attribute, agreeing, lacking, differing)]"""
    rows = {}
    with open(TABLE, encoding="utf-8") as f:
        for line in f:
            if not line.startswith("#"):
                op, attr, *parts = line.rstrip("\n").split("\t")
                rows.setdefault(op, []).append((attr, *[part.split() for part in parts]))
    return rows


def short(dtypes):
    return " ".join(SHORT.get(dtype, dtype) for dtype in dtypes)


def cell(rows, column):
    parts = [f"{row[0]}: {short(row[column])}" for row in rows if row[column]]
    return "; ".join(parts)


def page(ops, rows):
    agree, lacking, differ = (sum(len(row[column]) for op in ops for row in rows.get(op["op"], [])) for column in (1, 2, 3))
    swept = [op for op in ops if op["op"] in rows]
    lines = ["# Ops", "", "    tenon ops              # the list, with the dtypes that each op declares", "    tenon ops MatMul --json", "",
             f"{len(ops)} ops, {sum(op['gradient'] for op in ops)} with a gradient. Of {len(swept)} of them one case was run by TensorFlow 2.21 and by Tenon for "
             f"every dtype for which TensorFlow registers a CPU kernel (`tests/interop/op_dtypes.py`): {agree} dtypes agree, {lacking} are lacking, {differ} differ. "
             "The others (variables, tables, control flow, random draws, and what needs inputs of a form of its own) are compared by the reference cases and `tests/interop`.", "",
             "| op | gradient | agree with TensorFlow | TensorFlow has, Tenon lacks | differ |", "|---|---|---|---|---|"]
    for op in ops:
        own = rows.get(op["op"], [])
        lines.append(f"| {op['op']} | {'yes' if op['gradient'] else ''} | {cell(own, 1)} | {cell(own, 2)} | {cell(own, 3)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", required=True)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    listed = subprocess.run([options.tenon, "ops", "--json"], capture_output=True, text=True, check=True).stdout
    text = page([json.loads(line) for line in listed.splitlines()], compared())
    if not options.check:
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(text)
        return 0
    with open(PAGE, encoding="utf-8") as f:
        if f.read() == text:
            return 0
    print("docs/ops.md is not what `tenon ops` says: run tools/make_ops_page.py --tenon build/tenon")
    return 1


if __name__ == "__main__":
    sys.exit(main())
