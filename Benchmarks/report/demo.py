#!/usr/bin/env python3
"""The demo's report: `demo.py RESULTS STATS.json...`.

RESULTS has lines "DATABASE<tab>SIDE<tab>time|data<tab>NAME<tab>VALUE". Prints medians and ratios, compares the data of
all runs, and says how many of the reads of data files the shim served. Exit status 1 when data differ, or when fewer
than 90 % were served.
"""

import json
import os
import statistics
import sys

LEAST_SERVED = 0.90


def read_results(path):
    times, data = {}, {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            database, side, kind, name, value = line.rstrip("\n").split("\t")
            if kind == "time":
                times.setdefault(database, {}).setdefault(name, {}).setdefault(side, []).append(float(value))
            else:
                data.setdefault(database, {}).setdefault(name, []).append((side, value))
    return times, data


def print_times(times):
    line = "{:<12} {:<14} {:>10} {:>10} {:>8}"
    print(line.format("database", "phase", "native s", "shim s", "ratio"))
    for database, phases in times.items():
        total = {"native": 0.0, "shim": 0.0}
        for name, sides in phases.items():
            median = {side: statistics.median(values) for side, values in sides.items()}
            for side in total:
                total[side] += median[side]
            print(line.format(database, name, f"{median['native']:.3f}", f"{median['shim']:.3f}",
                              f"{median['native'] / median['shim']:.2f} x"))
        print(line.format(database, "all", f"{total['native']:.3f}", f"{total['shim']:.3f}",
                          f"{total['native'] / total['shim']:.2f} x"))
    print("medians of the runs of each side, which took turns; ratio: native / shim\n")


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
    times, data = read_results(sys.argv[1])
    print_times(times)
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
