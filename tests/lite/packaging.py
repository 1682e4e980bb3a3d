#!/usr/bin/env python3
"""The AAR of deploy/android: prefab's layout, and the same bytes from the same libraries.

    tests/lite/packaging.py
"""
import json
import os
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACK = os.path.join(ROOT, "deploy/android/aar.py")
ABIS = ("arm64-v8a", "x86_64")


def pack(folder, name):
    libraries = []
    for abi in ABIS:
        path = os.path.join(folder, abi)
        with open(path, "wb") as file:
            file.write(abi.encode())
        libraries.append(f"{abi}={path}")
    out = os.path.join(folder, name)
    subprocess.run([sys.executable, "-B", PACK, "--out", out, "--api", "28", "--ndk", "26", *libraries], check=True)
    with open(out, "rb") as file:
        return out, file.read()


def main():
    with tempfile.TemporaryDirectory() as folder:
        path, first = pack(folder, "first.aar")
        if pack(folder, "second.aar")[1] != first:
            sys.exit("two archives of the same libraries differ")
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    package = json.loads(files["prefab/prefab.json"])
    if (package["name"], package["schema_version"], package["dependencies"]) != ("tenon", 2, []):
        sys.exit(f"prefab.json holds {package}")
    module = "prefab/modules/tenon_lite"
    if json.loads(files[f"{module}/module.json"])["library_name"] != "libtenon_lite":
        sys.exit("module.json names another library")
    with open(os.path.join(ROOT, "tenon/lite.h"), "rb") as header:
        if files[f"{module}/include/tenon/lite.h"] != header.read():
            sys.exit("the header is another")
    for abi in ABIS:
        described = json.loads(files[f"{module}/libs/android.{abi}/abi.json"])
        if described != {"abi": abi, "api": 28, "ndk": 26, "stl": "none", "static": False}:
            sys.exit(f"abi.json holds {described}")
        if files[f"{module}/libs/android.{abi}/libtenon_lite.so"] != abi.encode():
            sys.exit(f"the library of {abi} is another's")
    if b'minSdkVersion="28"' not in files["AndroidManifest.xml"]:
        sys.exit("the manifest does not say which Android it needs")
    print(f"{len(files)} files")


main()
