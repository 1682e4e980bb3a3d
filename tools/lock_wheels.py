#!/usr/bin/env python3
"""Resolves the wheels of the shipped images for CPython 3.11 on x86-64 Linux, pinned by hash.

    tools/lock_wheels.py [NAME ...]    of tenon/image/declarations (`gpu/cuda` is one); default: all

In a declaration the line `# wheels of REQUIREMENT ...` above `wheels:` says what to resolve; the
list below is written anew. A later layer keeps to the versions of the layers before it and lists
what they lack. pip asks the index that it is configured for; declarations name files and digests.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "tenon/image/declarations")
LIST = re.compile(r"( *)# wheels of (.+)\n *wheels:\n(?: +- \{name: .*\n)*")


def resolve(requirements, pins):
    """{name: (version, file, sha256)} of the requirements and what they need."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = os.path.join(folder, "constraints"), os.path.join(folder, "report")
        with open(constraints, "w", encoding="utf-8") as f:
            f.writelines(f"{name}=={version}\n" for name, (version, _, _) in pins.items())
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--dry-run",
                        "--ignore-installed", "--only-binary", ":all:",
                        "--disable-pip-version-check", "-c", constraints, "--report", report,
                        *requirements], check=True)
        with open(report, encoding="utf-8") as f:
            installed = json.load(f)["install"]
    found = {}
    for item in installed:
        info = item["download_info"]
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        file = urllib.parse.unquote(info["url"].rpartition("/")[2])
        found[name] = (item["metadata"]["version"], file, info["archive_info"]["hashes"]["sha256"])
    return found


def locked(text):
    """The declaration with its lists of wheels written anew."""
    pins = {}

    def listed(match):
        indent, requirements = match.groups()
        found = {name: wheel for name, wheel in resolve(requirements.split(), pins).items()
                 if name not in pins}
        pins.update(found)
        lines = [f"{indent}  - {{name: {name}, version: \"{version}\", file: {file}, "
                 f"sha256: {digest}}}\n"
                 for name, (version, file, digest) in sorted(found.items())]
        return f"{indent}# wheels of {requirements}\n{indent}wheels:\n{''.join(lines)}"

    return LIST.sub(listed, text), len(pins)


def main():
    if sys.version_info[:2] != (3, 11):
        sys.exit("tools/lock_wheels.py wants Python 3.11, Debian 12's")
    files = glob.glob("**/*.yaml", root_dir=FOLDER, recursive=True)
    for name in sys.argv[1:] or sorted(file[:-len(".yaml")] for file in files):
        path = os.path.join(FOLDER, name + ".yaml")
        with open(path, encoding="utf-8") as f:
            text, count = locked(f.read())
        if count:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            print(f"{count} wheels in {os.path.relpath(path, ROOT)}")


if __name__ == "__main__":
    main()
