#!/usr/bin/env python3
"""What a lite build (cmake/TenonLite.cmake) holds of tenon/ops.

    tools/lite_ops.py

Prints a JSON object of two lists in CMake's form: the "names" of the ops and the "sources" to
compile for them. The ops are those that the translations of `.tflite`, the passes and the graph
builder name in their texts. Beside the files that declare them, those are compiled whose header
such a file includes.
"""
import json
import pathlib
import re

NAMING = ("tenon/lite/*.cc", "tenon/lite/*.h", "tenon/passes/*.cc", "tenon/graph/builder.cc")
INCLUDE = re.compile(r'#include "(tenon/[^"]+)\.h"')


def declared(root):
    """Op -> the file that declares it."""
    ops = {}
    for path in sorted((root / "tenon/ops").rglob("*.cc")):
        if not path.name.endswith("_test.cc"):
            for name in re.findall(r"^TENON_OP\((\w+)\)", path.read_text(), re.M):
                ops[name] = path
    return ops


def named(root, ops):
    found = set()
    for pattern in NAMING:
        for path in root.glob(pattern):
            if not path.name.endswith("_test.cc"):
                found |= set(re.findall(r'"(\w+)"', path.read_text())) & ops.keys()
    return {name for name in found if not name.endswith("Grad")}  # what only training makes


def with_included(root, files):
    """`files` and those of tenon/ops beside headers that they include, directly or not."""
    seen, todo, sources = set(), list(files), set(files)
    while todo:
        path = todo.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        for stem in INCLUDE.findall(path.read_text()):
            todo.append(root / (stem + ".h"))
            source = root / (stem + ".cc")
            if stem.startswith("tenon/ops/") and source.exists() and not stem.endswith("_gradient"):
                sources.add(source)
                todo.append(source)
    return sorted(sources)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    ops = declared(root)
    names = named(root, ops)
    sources = with_included(root, {ops[name] for name in names})
    print(json.dumps({"names": ";".join(sorted(names)), "sources": ";".join(map(str, sources))}))


if __name__ == "__main__":
    main()
