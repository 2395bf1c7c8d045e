#!/usr/bin/env python3
"""The table of `scripts/bench dax`: `dax.py LINES [--strict] [--publish DOCUMENT]`.

LINES has "title<tab>ROW<tab>TITLE" and "figure<tab>SIDE<tab>ROW<tab>NS<tab>LEAST<tab>MOST"; a nanosecond is an
instruction there. Prints a Markdown table with ratios and targets. Exit status 1 when figures are missing, or, with
--strict, when a target is missed. With --publish it goes between the marks in DOCUMENT.
"""

import argparse
import sys

SIDES = ("native", "shim", "exclusive")

MARKS = ("<!-- bench dax: begin -->", "<!-- bench dax: end -->")

# Row: the least ratio native / shim by default, and with PMEMSHIM_EXCLUSIVE=1.
TARGETS = {"pwrite-4k-sync": (6.0, 20.0), "append-4k": (1.0, None), "append-4k-sync": (1.0, None)}


def lines_of(path):
    """Titles by row, and the words of each line that has figures."""
    titles, figures = {}, []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            words = line.rstrip("\n").split("\t")
            if words[0] == "title":
                titles[words[1]] = words[2]
            elif words[0] == "figure":
                figures.append(words)
    return titles, figures


def read(path):
    titles, lines = lines_of(path)
    figures = {}
    for words in lines:
        figures.setdefault(words[2], {}).setdefault(words[1], []).append(float(words[3]))
    means = {row: {side: sum(all) / len(all) for side, all in sides.items()} for row, sides in figures.items()}
    return titles, means


def verdict(row, ratios):
    """What the table says of the row's targets, and whether all are met."""
    texts, good = [], True
    for name, least, ratio in zip(("default", "exclusive"), TARGETS.get(row, (None, None)), ratios):
        if least is None:
            continue
        met = ratio >= least
        good = good and met
        texts.append(f"{name} >= {least:g} {'met' if met else 'MISSED'}")
    return "; ".join(texts), good


def table(path):
    """The table as Markdown; whether no figure is missing; whether all targets are met."""
    titles, figures = read(path)
    whole, good = bool(figures), True
    lines = ["| operation | native | shim | native / shim | exclusive | native / exclusive | target |",
             "|---|---:|---:|---:|---:|---:|---|"]
    for row, sides in figures.items():
        if any(side not in sides for side in SIDES):
            lines.append(f"| {titles.get(row, row)} | incomplete |")
            whole = False
            continue
        native, shim, exclusive = (sides[side] for side in SIDES)
        ratios = (native / shim, native / exclusive)
        text, met = verdict(row, ratios)
        good = good and met
        lines.append(
            f"| {titles.get(row, row)} | {native:,.0f} | {shim:,.0f} | {ratios[0]:.2f} x "
            f"| {exclusive:,.0f} | {ratios[1]:.2f} x | {text} |"
        )
    return "\n".join(lines), whole, good


def publish(text, document):
    with open(document, encoding="utf-8") as file:
        old = file.read()
    begin, end = (old.index(mark) for mark in MARKS)
    with open(document, "w", encoding="utf-8") as file:
        file.write(f"{old[:begin]}{MARKS[0]}\n{text}\n{old[end:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--publish", metavar="DOCUMENT")
    options = parser.parse_args()
    text, whole, good = table(options.lines)
    if options.publish:
        if not whole:
            sys.exit(f"{options.lines}: figures are missing")
        publish(text, options.publish)
    else:
        print(text)
        print("\ninstructions per operation, in kernel and program, of databases in the whole measured phase; "
              "exclusive: with PMEMSHIM_EXCLUSIVE=1")
    return 0 if whole and (good or not options.strict) else 1


if __name__ == "__main__":
    sys.exit(main())
