#!/usr/bin/env python3
"""Checks that a program links only Debian packages whose licences deps/licences.txt allows: no GPL without an
exception for linking.

    tools/check_licences.py PROGRAM
    tools/check_licences.py --self-test   proves that a GPL or an unlisted library is found
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def allowed_packages():
    """Package to licence, from lines `package  licence`."""
    with open(os.path.join(ROOT, "deps", "licences.txt"), encoding="utf-8") as f:
        rows = [line.split(None, 1) for line in f if line.strip() and not line.startswith("#")]
    return {package: licence.strip() for package, licence in rows}


def is_copyleft(licence):
    return bool(re.search(r"\bA?GPL", licence)) and "exception" not in licence


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def linked_packages(program):
    """Package to shared library, of all libraries the loader would map."""
    packages = {}
    for path in re.findall(r"(/\S+) \(0x", run("ldd", program)):
        real = os.path.realpath(path)
        owner = ""
        for name in (real, path, real.removeprefix("/usr"), path.removeprefix("/usr")):
            owner = owner or run("dpkg", "-S", name).split(":")[0]
        packages[owner or f"no package ({path})"] = path
    return packages


def findings(packages, allowed):
    for package, path in sorted(packages.items()):
        if package not in allowed:
            yield f"{path}: {package} is not in deps/licences.txt"
        elif is_copyleft(allowed[package]):
            yield f"{path}: {package} is under {allowed[package]}"


def self_test():
    allowed = {"libreadline8": "GPL-3+", "libgomp1": "GPL-3+ with GCC runtime exception", "zlib1g": "Zlib"}
    found = list(findings({"libreadline8": "a", "libgomp1": "b", "zlib1g": "c", "libother": "d"}, allowed))
    ok = found == ["d: libother is not in deps/licences.txt", "a: libreadline8 is under GPL-3+"]
    ok = ok and "libc6" in linked_packages("/bin/ls")
    print("found as it should be" if ok else f"wrong findings: {found}")
    return 0 if ok else 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2 or not os.path.isfile(sys.argv[1]):
        print(__doc__)
        return 2
    packages = linked_packages(sys.argv[1])
    found = list(findings(packages, allowed_packages()))
    print("\n".join(found) or f"{len(packages)} linked packages, all allowed")
    return 1 if found or not packages else 0


if __name__ == "__main__":
    sys.exit(main())
