"""The C++ library as others use it: the README's example, built outside of this tree against what `cmake --install` puts in
place, learns the digits; a project that adds this tree by add_subdirectory compiles it and gets no flags of ours.

    tests/e2e/library.py BUILD
"""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(sys.argv[1])
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(outside CXX)
{find}
add_executable(classic classic.cc)
target_link_libraries(classic PRIVATE Tenon::tenon)
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"FAIL {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def project(folder, find):
    """The example alone in a folder, and where it is to be built."""
    source, build = os.path.join(folder, "source"), os.path.join(folder, "build")
    os.makedirs(source)
    shutil.copy(os.path.join(ROOT, "examples", "classic", "classic.cc"), source)
    with open(os.path.join(source, "CMakeLists.txt"), "w", encoding="utf-8") as f:
        f.write(PROJECT.format(find=find))
    return source, build


def found(folder):
    prefix = os.path.join(folder, "prefix")
    run("cmake", "--install", BUILD, "--prefix", prefix)
    source, build = project(os.path.join(folder, "found"), "find_package(Tenon REQUIRED COMPONENTS library)")
    run("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
    run("cmake", "--build", build)
    epochs = run(os.path.join(build, "classic"), os.path.join(ROOT, "examples", "digits", "train.csv"))
    if "accuracy: 0.9" not in epochs:
        sys.exit(f"FAIL the digits are not learned\n{epochs}")
    print("ok   find_package(Tenon) builds the example, which learns the digits")
    version = run(os.path.join(prefix, "bin", "tenon"), "--version")
    print("ok   the installed program runs:", version.strip().splitlines()[0])


def added(folder):
    source, build = project(os.path.join(folder, "added"), f"add_subdirectory({ROOT} tenon)")
    run("cmake", "-G", "Ninja", "-S", source, "-B", build)
    planned = run("ninja", "-C", build, "-t", "commands", "classic")
    if "libtenon_keras.a" not in planned or "libtenon_serving" in planned or "gtest" in planned:
        sys.exit("FAIL add_subdirectory builds other than the library")
    commands = run("ninja", "-C", build, "-t", "commands", "-s", "CMakeFiles/classic.dir/classic.cc.o")
    if "-Werror" in commands or "-fvisibility" in commands:
        sys.exit(f"FAIL flags of this tree reach others\n{commands}")
    # By itself: ninja would build the library first, which takes minutes.
    run("sh", "-c", f"cd {build} && {commands}")
    print("ok   add_subdirectory compiles the example without flags of this tree")


with tempfile.TemporaryDirectory() as temporary:
    found(temporary)
    added(temporary)
