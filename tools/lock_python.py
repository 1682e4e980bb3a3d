#!/usr/bin/env python3
"""Resolves a list of packages for CPython 3.11 on x86-64 Linux and writes the lock beside it (NAME.in to NAME.txt), every
wheel pinned by hash.

    tools/lock_python.py [--wheels FOLDER] [--beside LOCK] [LIST]

FOLDER keeps the downloaded wheels (a temporary one by default); LIST is deps/python.in by default. With LOCK the packages fit
to those that it pins, and are what has to be installed beside them.

`pip install --require-hashes --no-deps -r deps/python.txt` then gives the same files everywhere. Lines
marked `# no-deps` are taken alone: tensorflow-serving-api asks for the package tensorflow, of which tensorflow-cpu is
another build.
"""
import argparse
import hashlib
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def requirements(source):
    """(requirements to resolve, requirements to take alone)"""
    resolve, alone = [], []
    with open(os.path.join(ROOT, source), encoding="utf-8") as f:
        for line in f:
            name, _, comment = line.partition("#")
            if name.strip():
                (alone if "no-deps" in comment else resolve).append(name.strip())
    return resolve, alone


def download(folder, *arguments):
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "-d", folder, *arguments],
                   check=True)


def locked(lock):
    """The `package==version` of a lock."""
    with open(os.path.join(ROOT, lock), encoding="utf-8") as f:
        return [line.split()[0] for line in f if line.strip() and not line.startswith("#")]


def pinned(folder):
    for wheel in sorted(os.listdir(folder), key=str.lower):
        name, version = wheel.split("-")[:2]
        with open(os.path.join(folder, wheel), "rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()
        yield f"{name.replace('_', '-').lower()}=={version} --hash=sha256:{digest}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels")
    parser.add_argument("--beside", metavar="LOCK")
    parser.add_argument("list", nargs="?", default="deps/python.in")
    options = parser.parse_args()
    if sys.version_info[:2] != (3, 11):
        sys.exit("tools/lock_python.py wants Python 3.11, Debian 12's")
    beside = locked(options.beside) if options.beside else []
    with tempfile.TemporaryDirectory() as temporary, tempfile.NamedTemporaryFile("w") as constraints:
        constraints.write("\n".join(beside))
        constraints.flush()
        folder = options.wheels or temporary
        resolve, alone = requirements(options.list)
        download(folder, "-c", constraints.name, *resolve)
        if alone:
            download(folder, "--no-deps", *alone)
        lines = [line for line in pinned(folder) if line.split()[0] not in beside]
    lock = os.path.splitext(options.list)[0] + ".txt"
    with open(os.path.join(ROOT, lock), "w", encoding="utf-8") as f:
        f.write(f"# Written by tools/lock_python.py from {options.list}.\n")
        f.write("\n".join(lines) + "\n")
    print(f"{len(lines)} packages in {lock}")


if __name__ == "__main__":
    main()
