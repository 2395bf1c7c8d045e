#!/usr/bin/env python3
"""Makes a report of the micro benchmark's lines: table, JSON, Markdown; and says which targets are met.

  micro.py collect LINES... --json FILE    read the driver's lines, add machine data, write FILE, print the table
                                           (LINES.stats/ID.json: what the shim served, from shimctl stats --json)
  micro.py table FILE                      print the table of a report as Markdown
  micro.py publish FILE DOCUMENT...        put that table between the marks in DOCUMENT; of rows that the first mark
                                           names, and of times only, where it names rows
"""

import argparse
import json
import math
import os
import platform
import re
import subprocess
import sys
from datetime import datetime, timezone

# What is asked of each row. speedup: native / shim, at least. memcpy: shim / bare memcpy, at most. cost: shim / native,
# at most. Rows without a target of their own hold the law "never slower", within what the benchmark can tell.
NEVER_SLOWER = 1.03
TARGETS = {
    "pread-64": {"speedup": 10.0},
    "pread-64-in-order": {"speedup": 10.0},
    "pread-4k": {"speedup": 2.0, "memcpy": 1.15},
    "read-4k": {"speedup": 1.4},
    "pwrite-4k": {"speedup": 4.0},
    "extend": {"cost": 1.03},
    "extend-again": {"cost": 1.03},
    "extend-append": {"cost": 1.03},
    "extend-mapped": {"cost": 1.03},
    "open-read-close": {"cost": 1.03},
    "open-3read-close": {"cost": 1.03},
    "small-files": {"cost": 1.03},
    "exec": {"difference_ms": 0.1},
}
BEGIN, END = re.compile(r"<!-- bench micro: begin ?(.*?) -->"), "<!-- bench micro: end -->"


def interval(values, level=0.95):
    """Bounds of the median by order statistics (no assumption on the distribution), or None for too few values."""
    ordered, count = sorted(values), len(values)
    outside = 0.0
    for k in range(count // 2):
        outside += math.comb(count, k) / 2**count
        if 2 * outside > 1 - level:
            return (ordered[k - 1], ordered[count - k]) if k > 0 else None
    return None


def command(*arguments):
    try:
        return subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def machine():
    cpu = ""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="utf-8") as lines:
        memory = int(lines.readline().split()[1]) // 1024
    here = os.path.dirname(os.path.abspath(__file__))
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "memory_mib": memory,
        "virtual": command("systemd-detect-virt")
        or ("hypervisor" if "hypervisor" in open("/proc/cpuinfo").read() else ""),
        "kernel": platform.release(),
        "libc": "-".join(platform.libc_ver()),
        "commit": command("git", "-C", here, "describe", "--always", "--dirty"),
        "load_1min": os.getloadavg()[0],
    }


def judge_against_before(row):
    """Adds cost and interval to a row of which the first side is an earlier library. The one target: not worse."""
    if row["kind"] == "exec":
        low, _ = row["difference_interval"]
        row["targets"] = [{"what": "ms more", "bound": "<= 0 within the interval", "met": low <= 0, "sure": True}]
        return
    row["cost_ratio"] = 1 / row["speedup"]
    row["speedup_interval"] = interval(row["incarnation_speedup"])
    _, high = row["speedup_interval"] or (row["speedup"], row["speedup"])
    sure = row["speedup_interval"] is not None
    row["targets"] = [{"what": "after/before", "bound": "<= 1 within the interval", "met": high >= 1, "sure": sure}]


def judge(row):
    """Adds cost, intervals and the targets with their verdicts to a row."""
    if row["kind"] == "exec":
        wanted = TARGETS["exec"]["difference_ms"]
        met = row["difference_ms"] <= wanted
        row["targets"] = [{"what": "ms more", "bound": f"<= {wanted}", "met": met, "sure": True}]
        return
    row["cost_ratio"] = 1 / row["speedup"]
    row["speedup_interval"] = interval(row["incarnation_speedup"])
    target = TARGETS.get(row["id"].split("/")[-1], {})
    row["targets"] = []

    def add(what, bound, met, near):
        row["targets"].append({"what": what, "bound": bound, "met": bool(met), "sure": near is None or not near})

    low, high = row["speedup_interval"] or (None, None)
    if "speedup" in target:
        wanted = target["speedup"]
        add("native/shim", f">= {wanted:g}", row["speedup"] >= wanted, low and low < wanted < high)
    if "memcpy" in target:
        add("shim/memcpy", f"<= {target['memcpy']:g}", row["over_memcpy"] <= target["memcpy"], None)
    if "speedup" not in target:
        wanted = target.get("cost", NEVER_SLOWER)
        add("shim/native", f"<= {wanted:g}", row["cost_ratio"] <= wanted, low and 1 / high < wanted < 1 / low)


def served_share(lines, row):
    """What part of the row's calls the shim served, warm-up included, or None where there are no figures."""
    try:
        with open(os.path.join(f"{lines}.stats", row["id"].replace("/", ".") + ".json"), encoding="utf-8") as file:
            total = json.load(file)["total"]
    except FileNotFoundError:
        return None
    calls = total["served"] + total["passed_on"]
    return total["served"] / calls if calls else None


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def cells(row, first_side="native"):
    verdict = "; ".join(
        f"{t['what']} {t['bound']} " + ("met" if t["met"] else "MISSED") + ("" if t["sure"] else " (unsure)")
        for t in row["targets"]
    )
    if row["kind"] == "exec":
        low, high = row.get("difference_interval", (None, None))
        bounds = "" if low is None else f" [{low:+.3f}, {high:+.3f}]"
        return [row["title"], number(row["native_ms"] * 1e6), number(row["shim_ms"] * 1e6), "",
                f"{row['difference_ms']:+.3f} ms{bounds}", "", "", verdict]
    if row["cost"]:
        ratio = f"{row['cost_ratio']:.3f} of {first_side}"
        if row["speedup_interval"]:
            low, high = row["speedup_interval"]
            ratio += f" [{1 / high:.3f}, {1 / low:.3f}]"
    else:
        ratio = f"{row['speedup']:.2f} x"
    title = row["title"] + (f" ({row['id'].split('/')[0]})" if "/" in row["id"] else "")
    return [title, number(row["native_ns"]), number(row["shim_ns"]), number(row.get("memcpy_ns")), ratio,
            f"{row['over_memcpy']:.2f}" if "over_memcpy" in row else "",
            "" if row.get("served") is None else f"{100 * row['served']:.2f} %", verdict]


HEAD = ["operation", "native ns", "shim ns", "memcpy ns", "native / shim", "shim / memcpy", "served", "target"]
TIMES = 5  # of these columns


def plain_table(rows, against):
    head = HEAD if against != "before" else [
        "operation", "before ns", "after ns", "memcpy ns", "after / before", "after / memcpy", "served", "target"]
    table = [head] + [cells(row, "before" if against == "before" else "native") for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD))]
    text = []
    for line in table:
        padded = [c.ljust(w) if i in (0, 7) else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
        text.append("  ".join(padded).rstrip())
    text.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(text)


def markdown_table(report, names=()):
    """Of all rows, or the times of those that are named."""
    m = report["machine"]
    if names:
        by_name = {row["id"]: cells(row)[:TIMES] for row in report["rows"]}
        missing = [name for name in names if name not in by_name]
        if missing:
            sys.exit(f"the report has no row {', '.join(missing)}")
        lines = ["| " + " | ".join(HEAD[:TIMES]) + " |", "|---|" + "---:|" * (TIMES - 1)]
        lines += ["| " + " | ".join(by_name[name]) + " |" for name in names]
    else:
        lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * 6 + "---|"]
        lines += ["| " + " | ".join(cells(row)) + " |" for row in report["rows"]]
    where = f"{m['cpu']}, {m['cpus']} CPUs{' (virtual)' if m['virtual'] else ''}"
    lines += ["", f"{where}, Linux {m['kernel']}, {m['libc']};",
              f"commit {m['commit']}, {m['time'][:10]}. Again: `scripts/bench micro`."]
    return "\n".join(lines)


def collect(options):
    rows = []
    for name in options.lines:
        with open(name, encoding="utf-8") as lines:
            for row in (json.loads(line) for line in lines if line.strip()):
                if options.against == "before":
                    judge_against_before(row)
                    row["cost"] = True  # the ratio is shown with its interval
                else:
                    judge(row)
                row["served"] = served_share(name, row)
                rows.append(row)
    report = {"schema": 1, "machine": machine(), "against": options.against, "rows": rows}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    print(plain_table(rows, options.against))
    repeated = sum(row.get("repeated", 0) for row in rows)
    disturbed = sum(row.get("disturbed", 0) for row in rows)
    total = sum(row.get("rounds", 0) * (3 if "memcpy_ns" in row else 2) for row in rows)
    print(f"\n{total} slices kept, {repeated} preempted and done again, {disturbed} kept although preempted; "
          f"load {os.getloadavg()[0]:.1f}")
    bad = [row for row in rows if not all(t["met"] for t in row["targets"])]
    known = sum(len(row["targets"]) for row in rows)
    missed = sum(not t["met"] for row in rows for t in row["targets"])
    misses = ": missed by " + ", ".join(r["id"] for r in bad) if bad else ""
    print(f"{known - missed} of {known} targets met{misses}")
    return 1 if bad and options.strict else 0


def publish(options):
    with open(options.report, encoding="utf-8") as file:
        report = json.load(file)
    for name in options.documents:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        begin = BEGIN.search(text)
        end = text.find(END, begin.end()) if begin else -1
        if end < 0:
            sys.exit(f"{name}: the marks <!-- bench micro: begin --> and {END} are missing")
        table = markdown_table(report, begin.group(1).split())
        with open(name, "w", encoding="utf-8") as file:
            file.write(f"{text[:begin.end()]}\n{table}\n{text[end:]}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(required=True)
    action = actions.add_parser("collect")
    action.add_argument("lines", nargs="+")
    action.add_argument("--json")
    action.add_argument("--against", default="shim")
    action.add_argument("--strict", action="store_true")
    action.set_defaults(run=collect)
    action = actions.add_parser("table")
    action.add_argument("report")
    action.set_defaults(run=lambda o: print(markdown_table(json.load(open(o.report, encoding="utf-8")))) or 0)
    action = actions.add_parser("publish")
    action.add_argument("report")
    action.add_argument("documents", nargs="+")
    action.set_defaults(run=publish)
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
