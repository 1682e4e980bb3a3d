#!/usr/bin/env python3
"""Draws what `./dev demo` prints as a picture of a terminal, docs/demo.svg: runs it, or reads its output from a file.

    tools/make_demo_svg.py [--build build] [--from OUTPUT] [--output docs/demo.svg]

Epochs are left out (the first two and the last stay), so are digits after the first, and lines are cut at the picture's edge.
"""
import argparse
import html
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLUMNS, FONT_PX, LINE_PX, MARGIN_PX = 104, 13, 18, 18
COLUMN_PX = 7.83  # of the widest usual monospace font at FONT_PX
STYLE = ("text{font:%dpx ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d7dae0;white-space:pre}"
         ".step{fill:#8ec07c;font-weight:bold}.command{fill:#fabd2f}.dim{fill:#7c8490}" % FONT_PX)


def demo_output(build):
    done = subprocess.run(["examples/digits/demo.sh", build], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"the demo failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def without_middle_epochs(lines):
    """The first two epochs and the last; an epoch is a line `Epoch N/M` and those up to the next."""
    starts = [i for i, line in enumerate(lines) if re.match(r"Epoch \d+/\d+", line)]
    if len(starts) < 4:
        return lines
    return lines[:starts[2]] + ["..."] + lines[starts[-1]:]


def without_later_digits(lines):
    """What is printed of the first digit that is asked for; the step after it begins with an escape sequence."""
    asked = next((i for i, line in enumerate(lines) if line.startswith("by REST:")), None)
    if asked is None:
        return lines
    after = next(i for i in range(asked, len(lines)) if lines[i].startswith("\x1b[1m"))
    return lines[:asked + 1] + ["..."] + lines[after - 1:]


def css_class(line):
    if line.startswith("\x1b[1m"):
        return "step"
    if line.startswith("$"):
        return "command"
    return "dim" if line == "..." else ""


def draw(output):
    lines = without_later_digits(without_middle_epochs(["$ ./dev demo"] + output.replace("\r", "").rstrip().split("\n")))
    rows = []
    for number, line in enumerate(lines):
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
        plain = plain if len(plain) <= COLUMNS else plain[:COLUMNS - 1] + "…"
        style = css_class(line)
        rows.append(f'<text x="{MARGIN_PX}" y="{MARGIN_PX * 2 + number * LINE_PX + FONT_PX}"{f" class={chr(34)}{style}{chr(34)}" if style else ""}>'
                    f"{html.escape(plain)}</text>" if plain else "")
    width, height = round(COLUMNS * COLUMN_PX) + 2 * MARGIN_PX, len(lines) * LINE_PX + 3 * MARGIN_PX
    body = "\n".join(row for row in rows if row)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            f'aria-label="A terminal in which ./dev demo trains a model, serves it and asks it">\n<style>{STYLE}</style>\n'
            f'<rect width="{width}" height="{height}" rx="8" fill="#1d2128"/>\n{body}\n</svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--from", dest="source", metavar="OUTPUT")
    parser.add_argument("--output", default=os.path.join(ROOT, "docs", "demo.svg"))
    options = parser.parse_args()
    if options.source:
        with open(options.source, encoding="utf-8") as f:
            text = f.read()
    else:
        text = demo_output(os.path.abspath(options.build))
    with open(options.output, "w", encoding="utf-8") as f:
        f.write(draw(text))


if __name__ == "__main__":
    main()
