"""What `shimctl advise` expects of native runs, beside the truth.

  estimates.py line NAME    reads one document of `advise --verify --json`, prints its figures on a line
  estimates.py table        reads such lines, prints a table in Markdown; status 1 where an estimate is off by more
                            than 15 %
"""

import json
import statistics
import sys

BOUND = 0.15


def line(name):
    text = sys.stdin.read()
    # The program may have written to standard error, too: the document begins with a line of its own.
    found = json.JSONDecoder().raw_decode(text[text.index("{\n"):])[0]
    names = ("elapsed_ns", "expected_native_elapsed_ns", "native_elapsed_ns", "cpu_ns", "expected_native_cpu_ns",
             "native_cpu_ns", "calls_native_ns", "saved_ns")
    figures = found["figures"]
    served = 100 * figures["served"] / max(figures["served"] + figures["passed_on"], 1)
    print("\t".join([name] + [str(found[key] or 0) for key in names] + [str(served)]))


def seconds(value):
    return f"{value / 1e9:.2f} s"


def table():
    runs = {}
    for text in sys.stdin:
        name, *numbers = text.rstrip("\n").split("\t")
        runs.setdefault(name, []).append([float(number) for number in numbers])
    print("| program | under the shim | of that CPU | natively, expected | natively, in truth | off by | "
          "CPU, expected | CPU, in truth | off by | served |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    worst = 0
    for name, found in runs.items():
        wall, expected, truth, cpu, expected_cpu, truth_cpu, _, _, served = (
            statistics.median(column) for column in zip(*found))
        # Of each run by itself: a machine is not the same for all of them.
        off = statistics.median(run[1] / run[2] - 1 for run in found)
        off_cpu = statistics.median(run[4] / run[5] - 1 for run in found)
        worst = max(worst, abs(off))
        print(f"| {name} | {seconds(wall)} | {seconds(cpu)} | {seconds(expected)} | {seconds(truth)} | "
              f"{100 * off:+.1f} % | {seconds(expected_cpu)} | {seconds(truth_cpu)} | {100 * off_cpu:+.1f} % | "
              f"{served:.0f} % |")
    return 1 if worst > BOUND else 0


if __name__ == "__main__":
    sys.exit(line(sys.argv[2]) if sys.argv[1] == "line" else table())
