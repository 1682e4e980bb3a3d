#!/usr/bin/env python3
"""The documentation holds together: links resolve, docs/index.md leads to every page, every page begins with a command.

    tools/check_docs.py [--tenon build/tenon]     with the program: the flags of that first command exist
    tools/check_docs.py --self-test               each rule on an example that breaks it
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("tenon", "./dev", "build/", "curl", "cmake", "TENON_")  # what a page's first command may start with


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def anchors(text):
    """The anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ +(.+?) *$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code(text):
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def broken_links(root, pages):
    for page in pages:
        text = without_code(read(os.path.join(root, page)))
        targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
        for target in targets:
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = os.path.normpath(os.path.join(root, os.path.dirname(page), path)) if path else os.path.join(root, page)
            if not os.path.exists(file):
                yield f"{page}: the link {target} leads nowhere"
            elif anchor and file.endswith(".md") and anchor not in anchors(read(file)):
                yield f"{page}: {target}: there is no such heading"


def first_command(text):
    """The lines of the first code block, joined where they end with a backslash; [] when it comes after the first section."""
    block = re.search(r"^(?:    .*\n)+|^```\w*\n(.*?)^```", text, re.M | re.S)
    section = re.search(r"^## ", text, re.M)
    if not block or (section and section.start() < block.start()):
        return []
    lines = (block.group(1) or block.group(0)).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip()]


def flags_of(tenon, verb):
    done = subprocess.run([tenon, "help", *verb], capture_output=True, text=True, check=False)
    return set(re.findall(r"--([a-z][a-z0-9_]*)", done.stdout)) if done.returncode == 0 else None


def wrong_commands(root, pages, tenon):
    for page in pages:
        commands = first_command(read(os.path.join(root, page)))
        if not commands or not commands[0].startswith(PROGRAMS):
            yield f"{page}: does not begin with a command"
            continue
        for command in commands if tenon else []:
            words = command.split()
            if words[0] != "tenon" or len(words) < 2:
                continue
            verb = words[1:3] if words[1] == "image" else words[1:2]
            known = flags_of(tenon, verb if verb != ["help"] else [])
            if known is None:
                yield f"{page}: `{command}`: there is no such verb"
                continue
            for flag in re.findall(r"(?<=\s)--([\w-]+)", command.split(" #")[0]):
                if flag.replace("-", "_") not in known:
                    yield f"{page}: `{command}`: there is no flag --{flag}"


def check(root, tenon):
    docs = sorted(os.path.relpath(path, root) for path in glob.glob(os.path.join(root, "docs", "*.md")))
    others = [name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md") if os.path.exists(os.path.join(root, name))]
    others += [os.path.relpath(path, root) for path in glob.glob(os.path.join(root, "examples", "*", "README.md"))]
    index = read(os.path.join(root, "docs", "index.md"))
    yield from broken_links(root, docs + others)
    for page in docs:
        name = os.path.basename(page)
        if name != "index.md" and f"({name})" not in index:
            yield f"docs/index.md does not lead to {name}"
    yield from wrong_commands(root, docs, tenon)


def self_test():
    broken = {"index.md": "# I\n\n    tenon help\n\n[a](a.md) [x](x.md) [h](a.md#nothing) `[code](code.md)`\n",
              "a.md": "# A\n\nWords.\n\n## Section\n\n    tenon run\n", "b.md": "# B\n\n    rm -r /\n",
              "c.md": "# C\n\n    tenon fly --model x \\\n      --hgih\n    tenon ops --jsno\n"}
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "docs"))
        for name, text in broken.items():
            with open(os.path.join(root, "docs", name), "w", encoding="utf-8") as f:
                f.write(text)
        program = os.path.join(root, "tenon")
        with open(program, "w", encoding="utf-8") as f:
            f.write('#!/bin/sh\n[ "$2" != fly ] && echo "  --json  one JSON object a line"\n')
        os.chmod(program, 0o755)
        found = "\n".join(check(root, program))
    for want in ("the link x.md leads nowhere", "a.md#nothing: there is no such heading", "does not lead to b.md", "does not lead to c.md",
                 "docs/a.md: does not begin", "docs/b.md: does not begin", "there is no such verb", "there is no flag --jsno"):
        if want not in found:
            sys.exit(f"FAIL nothing says '{want}':\n{found}")
    if "code.md" in found or "docs/index.md: does not begin" in found:
        sys.exit(f"FAIL what is right is reported:\n{found}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        self_test()
        return 0
    problems = list(check(ROOT, options.tenon))
    print("\n".join(problems) or "the documentation holds together")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
