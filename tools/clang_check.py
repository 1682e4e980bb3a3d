#!/usr/bin/env python3
"""Compiles every source with clang++ 14, syntax only, -Wall -Wextra -Werror; with --tidy runs clang-tidy.

    tools/clang_check.py --build build                    all sources
    tools/clang_check.py --build build --tidy [--changed] clang-tidy; --changed: files that differ from main
    tools/clang_check.py --build build --self-test        proves that a warning is found

Reads BUILD/compile_commands.json: takes unity chunks apart for clang-tidy, and g++'s own options out.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLANG, TIDY = "clang++-14", "clang-tidy-14"
GCC_ONLY = re.compile(r"-fvect-cost-model=.*|-Wno-restrict|-Wno-subobject-linkage|-Wno-stringop-overflow|-Winvalid-pch|-fno-semantic-interposition|-fopenmp|-O2|-DNDEBUG")
CHUNK = re.compile(r'^#include "(.+\.cc)"', re.M)


def clang_arguments(command):
    """The options of a g++ command that clang takes, and the precompiled header's source or None."""
    words, kept, header = shlex.split(command), [], None
    words = words[next(i for i, word in enumerate(words) if re.search(r"(g\+\+|c\+\+|clang\+\+)(-\d+)?$", word)) + 1:]
    skip = False
    for word, after in zip(words, words[1:] + [""]):
        if skip:
            skip = False
        elif word == "-include" and "cmake_pch" in after:
            header, skip = after, True
        elif word in ("-o", "-c"):
            skip = True
        elif not GCC_ONLY.fullmatch(word):
            kept.append(word)
    return kept, header


class Headers:
    """clang's own precompiled headers, made once a run."""

    def __init__(self):
        self.folder, self.made = tempfile.TemporaryDirectory(), {}

    def options(self, header, arguments):
        if header is None:
            return []
        if header not in self.made:
            stem = os.path.join(self.folder.name, f"pch{len(self.made)}")
            shutil.copyfile(header, stem + ".hxx")
            subprocess.run([CLANG, *arguments, "-w", "-x", "c++-header", stem + ".hxx", "-o", stem + ".pch"],
                           cwd=ROOT, check=True)
            self.made[header] = ["-include-pch", stem + ".pch"]
        return self.made[header]


def entries(build, apart, headers):
    """(file, arguments) of all sources of ours; unity chunks as they are, or taken apart."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    generated = os.path.join(os.path.abspath(build), "")
    for entry in commands:
        path = entry["file"]
        if "cmake_pch" in path or os.path.basename(path) in ("tenon_pch.cc", "tenon_test_pch.cc"):
            continue
        if path.endswith((".cu", ".c")):  # nvcc's, and C's own compiler's
            continue
        arguments, header = clang_arguments(entry["command"])
        arguments = headers.options(header, arguments) + arguments
        parts = [path]
        if "/Unity/" in path:
            with open(path, encoding="utf-8") as f:
                parts = CHUNK.findall(f.read())
        ours = [part for part in parts if part.endswith(".cc") and not part.startswith(generated)]
        for part in (ours if apart or parts == [path] else [path] if ours else []):
            yield part, arguments


def syntax(item):
    path, arguments = item
    command = [CLANG, "-fsyntax-only", *arguments, "-Wall", "-Wextra", "-Werror", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return path, done.returncode, done.stderr


def tidy(item):
    path, arguments = item
    command = [TIDY, "--quiet", path, "--", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return path, done.returncode, done.stdout


def changed_files():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    base = git("merge-base", "main", "HEAD") or ["HEAD"]
    names = git("diff", "--name-only", base[0]) + git("ls-files", "-o", "--exclude-standard")
    return {os.path.join(ROOT, name) for name in names}


def self_test(build, headers):
    arguments = next(iter(entries(build, True, headers)))[1]
    with tempfile.TemporaryDirectory() as folder:
        for text, bad in (("int f() { int unused = 1; return 0; }\n", True), ("int f();\n", False)):
            path = os.path.join(folder, "x.cc")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            if (syntax((path, arguments))[1] != 0) != bad:
                print(f"clang's answer on {text!r} is wrong")
                return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--tidy", action="store_true")
    parser.add_argument("--changed", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    headers = Headers()
    if options.self_test:
        return self_test(options.build, headers)
    work = sorted(dict(entries(options.build, options.tidy, headers)).items())
    if options.changed:
        names = changed_files()
        work = [item for item in work if item[0] in names]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, code, output in pool.map(tidy if options.tidy else syntax, work):
            if code:
                bad += 1
                print(f"{os.path.relpath(path, ROOT)}:\n{output}")
    print(f"{len(work) - bad} of {len(work)} files clean")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
