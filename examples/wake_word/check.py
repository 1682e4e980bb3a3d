#!/usr/bin/env python3
"""Counts what was heard against what was said.

  check.py HEARD [WORDS.txt] [--missed PART] [--false N]

HEARD is what wake_word printed, WORDS.txt the ends of the wake words in seconds; without it none was said. A
detection is right up to 0.6 s after an end. More misses than that part, or more false alarms, fail.
"""
import argparse
import statistics
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("heard")
    parser.add_argument("words", nargs="?")
    parser.add_argument("--missed", type=float, default=1)
    parser.add_argument("--false", type=int, default=sys.maxsize)
    args = parser.parse_args()
    with open(args.heard) as file:
        heard = [float(line.split()[0]) for line in file]
    words = []
    if args.words:
        with open(args.words) as file:
            words = [float(line) for line in file]
    late, left = [], list(heard)
    for end in words:
        right = [at for at in left if end - 0.1 <= at <= end + 0.6]
        if right:
            left.remove(right[0])
            late.append(right[0] - end)
    text = f"{len(left)} false alarms"
    if words:
        text = f"{len(late)} of {len(words)} wake words heard, " + text
    if late:
        text += f"; {1e3 * statistics.median(late):.0f} ms after the word's end (median; at most {1e3 * max(late):.0f})"
    print(text)
    return len(left) > args.false or len(words) - len(late) > args.missed * len(words)


if __name__ == "__main__":
    sys.exit(main())
