#!/usr/bin/env python3
"""The demo's report: `demo.py RESULTS STATS.json...`.

RESULTS has lines "DATABASE<tab>SIDE<tab>time|cpu|data<tab>NAME<tab>VALUE". Prints medians and ratios, compares the data
of all runs, and says how many of the reads of data files the shim served. Exit status 1 when data differ, or when
fewer than 90 % were served.
"""

import json
import os
import statistics
import sys

LEAST_SERVED = 0.90


def read_results(path):
    """(kind, database, phase, side) to values, in the order of the lines; and the data: database, name to values."""
    figures, data = {}, {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            database, side, kind, name, value = line.rstrip("\n").split("\t")
            if kind == "data":
                data.setdefault(database, {}).setdefault(name, []).append((side, value))
            else:
                figures.setdefault((database, name), {}).setdefault((kind, side), []).append(float(value))
    return figures, data


def print_times(figures):
    line = "{:<12} {:<14} {:>10} {:>10} {:>8} {:>14} {:>10} {:>8}"
    print(line.format("database", "phase", "native s", "shim s", "ratio", "native CPU s", "shim CPU s", "ratio"))
    columns = [("time", "native"), ("time", "shim"), ("cpu", "native"), ("cpu", "shim")]

    def show(database, name, values):
        ratios = [values[0] / values[1] if values[1] else 0, values[2] / values[3] if values[3] else 0]
        texts = [f"{value:.3f}" for value in values]
        print(line.format(database, name, *texts[:2], f"{ratios[0]:.2f} x", *texts[2:], f"{ratios[1]:.2f} x"))

    totals = {}
    for (database, name), sides in figures.items():
        medians = [statistics.median(sides[column]) for column in columns]
        show(database, name, medians)
        totals[database] = [a + b for a, b in zip(totals.get(database, [0.0] * 4), medians)]
    for database, values in totals.items():
        show(database, "all", values)
    print("medians of the runs of each side, which took turns; ratio: native / shim; "
          "CPU: of the program, of the server\n")


def print_data(data):
    """True when every run of both sides gave the same."""
    equal = True
    for database, names in data.items():
        for name, values in names.items():
            same = len({value for _, value in values}) == 1 and {side for side, _ in values} == {"native", "shim"}
            equal = equal and same
            if same:
                print(f"{database}: {name}: {values[0][1].strip()}, equal in all {len(values)} runs")
            else:
                print(f"{database}: {name}: DIFFERENT: " + ", ".join(f"{side} {value}" for side, value in values))
    return equal


def reads(document):
    """Calls of read and pread served, and made, on all mounts, and why others were not (`shimctl stats --json`)."""
    served, total, reasons = 0, 0, {}
    for mount in document["mounts"]:
        for name in ("read", "pread"):
            family = mount["figures"]["families"].get(name)
            if family:
                served += family["served"]
                total += family["served"] + family["passed_on"]
                for reason, count in family["reasons"].items():
                    reasons[reason] = reasons.get(reason, 0) + count
    return served, total, reasons


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    figures, data = read_results(sys.argv[1])
    print_times(figures)
    good = print_data(data)
    print()
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            served, total, reasons = reads(json.load(file))
        share = served / total if total else 0.0
        enough = share > LEAST_SERVED
        good = good and enough
        name = os.path.basename(path).removesuffix(".json")
        others = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items(), key=lambda r: -r[1]))
        print(f"{name}: {served:,} of {total:,} read and pread calls on data files were served: {100 * share:.2f} %"
              + (f" (the kernel's: {others})" if others else "")
              + ("" if enough else f"; MORE THAN {100 * LEAST_SERVED:.0f} % WERE DUE"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
