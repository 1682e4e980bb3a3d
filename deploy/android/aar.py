#!/usr/bin/env python3
"""Packs builds of libtenon_lite.so into an AAR with a prefab package: the same bytes from the same files.

    deploy/android/aar.py --out OUT.aar --api 28 --ndk 26 ABI=libtenon_lite.so ...

The format: https://google.github.io/prefab/ (schema version 2).
"""
import argparse
import json
import os
import re
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULE = "prefab/modules/tenon_lite"
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="tenon.lite" android:versionName="{version}">
  <uses-sdk android:minSdkVersion="{api}"/>
</manifest>
"""


def text(value):
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def version():
    return re.search(r"^project\(tenon VERSION (\S+)", read(ROOT, "CMakeLists.txt").decode(), re.M)[1]


def contents(libraries, api, ndk):
    """Path in the archive -> its bytes."""
    files = {
        "AndroidManifest.xml": MANIFEST.format(version=version(), api=api).encode(),
        "prefab/prefab.json": text({"schema_version": 2, "name": "tenon", "version": version(), "dependencies": []}),
        f"{MODULE}/module.json": text({"export_libraries": [], "library_name": "libtenon_lite", "android": {}}),
        f"{MODULE}/include/tenon/lite.h": read(ROOT, "tenon/lite.h"),
        "LICENSE": read(ROOT, "LICENSE"),
    }
    for library in libraries:
        abi, path = library.split("=", 1)
        folder = f"{MODULE}/libs/android.{abi}"
        # The interface is C and the C++ library a part of it, so that any app may link it.
        files[f"{folder}/abi.json"] = text({"abi": abi, "api": api, "ndk": ndk, "stl": "none", "static": False})
        files[f"{folder}/libtenon_lite.so"] = read(path)
    return files


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--api", type=int, required=True)
    parser.add_argument("--ndk", type=int, required=True)
    parser.add_argument("libraries", nargs="+", metavar="ABI=FILE")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(contents(arguments.libraries, arguments.api, arguments.ndk).items()):
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


if __name__ == "__main__":
    main()
