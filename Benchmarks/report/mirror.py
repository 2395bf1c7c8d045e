#!/usr/bin/env python3
"""The table of `scripts/bench mirror-dax`: `mirror.py LINES`.

LINES has "title<tab>ROW<tab>TITLE" and "figure<tab>SIDE<tab>ROW<tab>NS<tab>CPU<tab>SHARE"; a nanosecond is an
instruction there. Prints a Markdown table: what a period of passes adds to the program's own instructions and to its
elapsed time, and the copier's share of the processor. Exit status 1 when figures are missing.
"""

import argparse
import math
import sys

from dax import lines_of


def read(path):
    titles, lines = lines_of(path)
    figures = {}
    for words in lines:
        if len(words) == 6:
            figures.setdefault(words[2], {})[words[1]] = tuple(map(float, words[3:]))
    return titles, figures


def more(figure, alone):
    return f"{(figure / alone - 1) * 100:+.1f} %"


def table(path):
    titles, figures = read(path)
    periods = []
    for sides in figures.values():
        periods += [side for side in sides if side != "alone" and side not in periods]
    head = "| operation | alone |"
    for period in periods:
        head += f" own, every {period} s | elapsed | copier |"
    lines = [head, "|---|---:|" + "---:|" * (3 * len(periods))]
    whole = bool(figures) and bool(periods)
    for row, sides in figures.items():
        if "alone" not in sides:
            whole = False
            continue
        elapsed, worked, _ = sides["alone"]
        line = f"| {titles.get(row, row)} | {worked:,.0f} |"
        for period in periods:
            if period not in sides:
                whole = False
                line += " | | |"
                continue
            beside = sides[period]
            whole = whole and not math.isnan(beside[2])
            line += f" {more(beside[1], worked)} | {more(beside[0], elapsed)} | {beside[2] * 100:.1f} % |"
        lines.append(line)
    return "\n".join(lines), whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("lines")
    text, whole = table(parser.parse_args().lines)
    print(text)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
