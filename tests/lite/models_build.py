#!/usr/bin/env python3
"""The build for certain models: it gives the whole build's bytes on those, and refuses what it left
out with a sentence.

    tests/lite/models_build.py WHOLE MODELS MODEL.tflite[;...] [EMULATOR ...]

WHOLE and MODELS are the two programs. Other models, every fourth stored one, either give the whole
program's bytes too, where they happen to need no other ops, or are refused.
"""
import glob
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WHOLE, PART, OWN = sys.argv[1:4]
EMULATOR = sys.argv[4:]


def outputs(program, model, folder):
    """(exit code, stderr, the files of its results) of a run on zeros."""
    out = os.path.join(folder, os.path.basename(os.path.dirname(program)))
    os.makedirs(out, exist_ok=True)
    done = subprocess.run([*EMULATOR, program, "run", model, "--outdir", out], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    files = {}
    for path in sorted(glob.glob(os.path.join(out, "*.npy"))):
        with open(path, "rb") as file:
            files[os.path.basename(path)] = file.read()
    return done.returncode, done.stderr, files


def compare(model, must_run):
    """Whether the part runs it."""
    with tempfile.TemporaryDirectory() as folder:
        whole, part = outputs(WHOLE, model, folder), outputs(PART, model, folder)
    if part == whole and (whole[0] == 0 or not must_run):
        return True
    if must_run:
        sys.exit(f"{model}: {part[:2]}, of the whole build {whole[:2]}; equal results: {part[2] == whole[2]}")
    refused = part[0] == 1 and part[1].startswith("error: UNIMPLEMENTED: ") and part[1].count("\n") == 1
    if not refused or "was left out of this build" not in part[1]:
        sys.exit(f"{model} is not refused: {part[:2]}")
    return False


def main():
    for model in OWN.split(";"):
        compare(model, must_run=True)
    stored = sorted(glob.glob(os.path.join(ROOT, "tenon/lite/testdata/*.tflite")))[::4]
    ran = sum(compare(model, must_run=False) for model in stored)
    print(f"{ran} of {len(stored)} other models run, the rest is refused; "
          f"{os.path.getsize(WHOLE)} bytes became {os.path.getsize(PART)}")
    if ran > len(stored) / 2:
        sys.exit("hardly anything was left out")


main()
