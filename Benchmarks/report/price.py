#!/usr/bin/env python3
"""What surrounds a served call, natively and under the shim in one run: CPU and wall time, and their ratio.

  price.py run --programs DIRECTORY --library SO --scratch DIRECTORY [--pairs N] [--json FILE] [--list] [ROW...]
  price.py table FILE                      print the table of a report as Markdown
  price.py publish FILE DOCUMENT           put that table between the marks in DOCUMENT
  price.py search --programs DIRECTORY --library SO --scratch DIRECTORY --seconds N [--seed N]

A row is a pattern of use. Each pair is one run of each side, in an order drawn at random; the ratio is that of a pair,
and the figure is the median of the pairs, with the interval in which the true median lies in 95 of 100 cases. `search`
draws patterns at random, goes on from the worst, and prints the command that reproduces it.
"""

import argparse
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from micro import machine  # noqa: E402
from price_bench import Bench, figures  # noqa: E402
from price_rows import rows  # noqa: E402
from price_search import search  # noqa: E402

def verdict(found):
    """Of the bound: "met" or "MISSED" by the whole interval; else it cannot be told."""
    low, high = found["cpu_interval"]
    return "met" if high <= found["bound"] else "MISSED" if low > found["bound"] else "unsure"


def line(found):
    low, high = found["cpu_interval"]
    return (f"{found['title']:<64} {found['native_cpu_ns']:>13,.0f} {found['shim_cpu_ns']:>13,.0f} "
            f"{found['cpu_ratio']:>6.3f} [{low:.3f}, {high:.3f}] {found['wall_ratio']:>7.3f}  "
            f"<= {found['bound']:.2f} {verdict(found)}")


def run(options):
    chosen = [row for row in rows() if not options.rows or row.name in options.rows]
    unknown = set(options.rows) - {row.name for row in chosen}
    if unknown:
        sys.exit(f"price: no such row: {', '.join(sorted(unknown))} (--list tells them)")
    if options.list:
        print("\n".join(f"{row.name:<28} {row.title}" for row in chosen))
        return 0
    bench, generator, report = Bench(options), random.Random(options.seed), []
    print(f"{'pattern':<64} {'native ns':>13} {'shim ns':>13}  ratio of CPU time     of wall  bound", flush=True)
    for row in chosen:
        report.append(figures(row, *bench.pairs(row, options.pairs, generator)))
        print(line(report[-1]), flush=True)
    missed = [found["id"] for found in report if verdict(found) == "MISSED"]
    met = sum(verdict(found) == "met" for found in report)
    print(f"\n{len(report)} bounds: {met} met, {len(missed)} missed, {len(report) - met - len(missed)} unsure"
          + (": missed " + " ".join(missed) if missed else ""))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "rows": report}, file, indent=1)
    return 1 if missed and options.strict else 0


# ---- the table ----------------------------------------------------------------------------------------------------

MARKS = "<!-- bench price: begin -->", "<!-- bench price: end -->"


def markdown(report):
    lines = ["| pattern | native us | shim us | CPU time, shim / native | wall time | bound |",
             "|---|---:|---:|---|---:|---|"]
    for found in report["rows"]:
        low, high = found["cpu_interval"]
        lines.append(
            f"| {found['title']} | {found['native_cpu_ns'] / 1000:,.1f} | {found['shim_cpu_ns'] / 1000:,.1f} "
            f"| {found['cpu_ratio']:.2f} [{low:.2f}, {high:.2f}] | {found['wall_ratio']:.2f} "
            f"| <= {found['bound']:.2f} {verdict(found)} |")
    about = report["machine"]
    lines += ["", f"{about['cpu']}, {about['cpus']} CPUs ({about['virtual'] or 'bare'}), Linux {about['kernel']},",
              f"{about['libc']}; commit {about['commit']}, {about['time'][:10]}. Again: `scripts/bench price`."]
    return "\n".join(lines)


def table(options):
    with open(options.file, encoding="utf-8") as file:
        print(markdown(json.load(file)))
    return 0


def publish(options):
    with open(options.file, encoding="utf-8") as file:
        text = markdown(json.load(file))
    with open(options.document, encoding="utf-8") as file:
        document = file.read()
    begin, end = (document.index(mark) for mark in MARKS)
    with open(options.document, "w", encoding="utf-8") as file:
        file.write(document[:begin] + MARKS[0] + "\n" + text + "\n" + document[end:])
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, function in (("run", run), ("search", search)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--programs", required=True)
        command.add_argument("--library", required=True)
        command.add_argument("--scratch", required=True)
        command.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 20))
        if name == "run":
            command.add_argument("--pairs", type=int, default=15)
            command.add_argument("--json")
            command.add_argument("--strict", action="store_true")
            command.add_argument("--list", action="store_true")
            command.add_argument("rows", nargs="*")
        else:
            command.add_argument("--seconds", type=float, default=1800)
    for name, function in (("table", table), ("publish", publish)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("file")
        if name == "publish":
            command.add_argument("document")
    options = parser.parse_args()
    return options.function(options)


if __name__ == "__main__":
    sys.exit(main())
