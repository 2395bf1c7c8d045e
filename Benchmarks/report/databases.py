#!/usr/bin/env python3
"""Database programs natively and under the shim, in turns: CPU and wall time, their ratios, and what was served.

  databases.py run --programs DIRECTORY --library SO --shimctl FILE --place NAME=DIRECTORY[:pagecache]...
                   [--quick] [--pairs N] [--minutes N] [--json FILE] [--plots DIRECTORY] [--list] [ROW...]
  databases.py bounds --programs DIRECTORY --place NAME=DIRECTORY[:pagecache]... [--against FILE] [ROW...]
                                           where the CPU time of native runs goes (`perf`); with a report to hold
                                           against: of the rows that miss their target
  databases.py table FILE                  print the table of a report as Markdown
  databases.py plot FILE DIRECTORY         databases.png and databases.svg
  databases.py publish FILE DOCUMENT...    put the table between the marks in each document: all of it, or its extremes

A row is a program and a workload on a kind of mount. Its data set is made once; each run gets a copy. A pair is one run
of each side, in an order drawn at random. The figure is the median of the pairs' ratios, with a bootstrap interval of
95 %. Where that is too wide after more pairs, the machine was too noisy, and no figure is reported.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import databases_bounds  # noqa: E402
from databases_bench import Bench, Failure  # noqa: E402
from databases_figures import figures, line, markdown, scaling, HEADING  # noqa: E402
from databases_rows import rows  # noqa: E402
from micro import machine  # noqa: E402


class Place:
    """A directory on a mount that is served. `item`: what PMEMSHIM_MOUNTS says of it."""

    def __init__(self, text):
        self.name, _, self.item = text.partition("=")
        self.directory = self.item.removesuffix(":pagecache")
        if not self.item.startswith("/"):
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIRECTORY")


def chosen_rows(options):
    """Pairs of a row and a place, in the order of the table: by place, then as the rows stand."""
    found = [(row, place) for place in options.place for row in rows()
             if place.name in row.places and (not options.quick or (row.quick and place.name == "tmpfs"))]
    if not options.rows:
        return found
    named = [(row, place) for row, place in found
             if any(name in (row.name, f"{place.name}:{row.name}", row.program) for name in options.rows)]
    known = {name for row, place in found for name in (row.name, f"{place.name}:{row.name}", row.program)}
    unknown = set(options.rows) - known
    if unknown:
        sys.exit(f"databases: no such row: {', '.join(sorted(unknown))} (--list tells them)")
    return named


def run(options):
    chosen = chosen_rows(options)
    if options.list:
        for row, place in chosen:
            print(f"{place.name + ':' + row.name:<36} {row.program}: {row.title}")
        return 0
    # Also where a shell had them ignored: what is measured so far is written, and nothing is left behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    bench, generator, report, failed = Bench(options), random.Random(options.seed), [], []
    print(HEADING, flush=True)
    try:
        for number, (row, place) in enumerate(chosen):
            bench.progress.at(number, len(chosen), f"{place.name}:{row.name}")
            try:
                report.append(figures(row, place, bench.pairs(row, place, options.pairs, generator)))
            except Failure as failure:
                failed.append(f"{place.name}:{row.name}")
                print(f"{place.name}:{row.name}: FAILED: {failure}", flush=True)
            else:
                print(line(report[-1]), flush=True)
    finally:
        bench.progress.end()
        document = {"machine": machine(), "quick": options.quick, "failed": failed, "rows": report}
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
    told = [found for found in report if found["verdict"] != "noisy"]
    missed = [found["id"] for found in told if found["verdict"] == "missed"]
    print(f"\n{len(report)} rows, {len(told)} told, {len(report) - len(told)} too noisy to tell, {len(failed)} failed; "
          f"{len(missed)} below their target" + (": " + " ".join(missed) if missed else ""))
    print("".join(f"{text}\n" for text in scaling(told)), end="")
    if options.plots and told:
        draw(document, options.plots)
    return 1 if failed else 0


def bounds(options):
    measured = {found["id"]: found for found in load(options.against)["rows"]} if options.against else {}
    bench, failed = Bench(options), 0
    print(databases_bounds.HEADING, flush=True)
    for row, place in chosen_rows(options):
        found = measured.get(f"{place.name}:{row.name}")
        if options.against and (not found or found["verdict"] not in ("missed", "unsure")):
            continue
        try:
            shares = databases_bounds.bound(bench, row, place)
        except (Failure, subprocess.CalledProcessError) as failure:
            failed += 1
            print(f"{place.name}:{row.name}: FAILED: {failure}", flush=True)
        else:
            print(databases_bounds.line(row, place, shares, found), flush=True)
    return 1 if failed else 0


def draw(document, directory):
    # Only here: it is in the environment of scripts/setup --databases.
    from databases_plot import plot  # pylint: disable=import-outside-toplevel
    for path in plot(document, directory):
        print(path)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


MARKS = "<!-- bench databases: begin{} -->", "<!-- bench databases: end -->"


def publish(options):
    document = load(options.file)
    for name in options.documents:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        for short in (False, True):
            begin = MARKS[0].format(" short" if short else "")
            if begin not in text:
                continue
            start = text.index(begin) + len(begin)
            end = text.index(MARKS[1], start)
            text = text[:start] + "\n" + markdown(document, short) + "\n" + text[end:]
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.set_defaults(function=run)
    command.add_argument("--programs", required=True)
    command.add_argument("--library", required=True)
    command.add_argument("--shimctl", required=True)
    command.add_argument("--place", type=Place, action="append", required=True)
    command.add_argument("--quick", action="store_true")
    command.add_argument("--pairs", type=int, default=5)
    command.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 20))
    command.add_argument("--json")
    command.add_argument("--plots")
    command.add_argument("--list", action="store_true")
    command.add_argument("rows", nargs="*")
    command = commands.add_parser("bounds")
    command.set_defaults(function=bounds, quick=False)
    command.add_argument("--programs", required=True)
    command.add_argument("--place", type=Place, action="append", required=True)
    command.add_argument("--against")
    command.add_argument("rows", nargs="*")
    for name, function in (
        ("table", lambda options: print(markdown(load(options.file))) or 0),
        ("plot", lambda options: draw(load(options.file), options.directory) or 0),
        ("publish", publish),
    ):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("file")
        if name == "plot":
            command.add_argument("directory")
        elif name == "publish":
            command.add_argument("documents", nargs="+")
    options = parser.parse_args()
    if getattr(options, "pairs", 5) < 5:
        parser.error("--pairs: at least 5")
    return options.function(options)


if __name__ == "__main__":
    sys.exit(main())
