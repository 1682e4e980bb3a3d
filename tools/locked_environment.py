#!/usr/bin/env python3
"""A Python environment of what a lock of tools/lock_python.py pins, made once for each content of the lock.

    tools/locked_environment.py LOCK [FOLDER]    prints the environment's Python; environments lie in FOLDER
                                                 (build/environments by default)
"""
import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def python_of(lock, folder=os.path.join(ROOT, "build", "environments")):
    with open(lock, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()[:16]
    name = os.path.splitext(os.path.basename(lock))[0]
    place = os.path.join(os.path.abspath(folder), f"{name}-{digest}")
    python = os.path.join(place, "bin", "python")
    if os.path.exists(os.path.join(place, ".whole")):
        return python
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run(["/usr/bin/python3", "-m", "venv", place], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "--retries", "5", "--disable-pip-version-check",
                    "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", lock], check=True)
    with open(os.path.join(place, ".whole"), "w", encoding="utf-8"):
        return python


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(python_of(*sys.argv[1:]))
