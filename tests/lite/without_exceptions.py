#!/usr/bin/env python3
"""The small runtime without exceptions and run-time types, by both compilers: it compiles without a
warning, and that build's tests pass.

    tests/lite/without_exceptions.py BUILD [COMPILER ...]

BUILD is a folder to build in; compilers are g++ and clang++-14 where none is named.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.join(ROOT, "examples/wake_word/wake.tflite")


def checked(*command):
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} gave {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


def main():
    for compiler in sys.argv[2:] or ("g++", "clang++-14"):
        build = os.path.join(sys.argv[1], compiler)
        checked("cmake", "--preset", "lite", "-B", build, "-DTENON_LITE_EXCEPTIONS=OFF",
                f"-DCMAKE_CXX_COMPILER={compiler}", f"-DTENON_LITE_MODELS={MODEL}")
        checked("cmake", "--build", build, "-j", str(os.cpu_count()))
        checked("cmake", "--build", build, "--target", "tenon_lite_shared")
        checked("ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error")
        size = os.path.getsize(os.path.join(build, "tenon-lite"))
        print(f"{compiler}: tenon-lite has {size} bytes")


main()
