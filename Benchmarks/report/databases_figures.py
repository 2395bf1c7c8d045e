"""What comes of the runs of a row: ratios with bootstrap intervals, verdicts, and tables."""

import random
import statistics

LEVEL = 0.95
DRAWN = 2000
# An interval whose ends are further apart tells nothing: 1.35 means that 1.2 could as well be 0.9.
WIDEST = 1.35
# Reasons as sentences for people who run the program.
REASONS = {
    "append": "appends", "end": "the end of files", "cold": "files and regions too little used",
    "tick": "the first call after a change", "small": "small writes", "sparse": "holes",
    "flags": "O_DIRECT and the like",
    "unknown": "files not yet looked at", "offset": "shared offsets",
}
HEADING = (f"{'row':<34} {'native':>10} {'shim':>10}  {'native / shim, CPU':<22} {'wall':>6} {'served':>8}  "
           "target")


def ratios(sides, what):
    return [native[what] / shim[what] for native, shim in zip(sides["native"], sides["shim"])]


def ratio_interval(sides, what):
    """The bootstrap interval of the median of the pairs' ratios; the same for the same figures."""
    values, generator = ratios(sides, what), random.Random(1)
    medians = sorted(statistics.median(generator.choices(values, k=len(values))) for _ in range(DRAWN))
    outside = int(DRAWN * (1 - LEVEL) / 2)
    return medians[outside], medians[-1 - outside]


def side_figures(runs):
    cpu = [run["cpu"] for run in runs]
    return {
        "cpu_ns": statistics.median(cpu), "wall_ns": statistics.median(run["wall"] for run in runs),
        # The half of the runs in the middle, over their median.
        "spread": (statistics.quantiles(cpu, n=4)[2] - statistics.quantiles(cpu, n=4)[0]) / statistics.median(cpu),
        "runs": [{key: run[key] for key in run if key != "data"} for run in runs],
    }


def figures(row, place, sides):
    low, high = ratio_interval(sides, "cpu")
    served, passed, reasons = 0, 0, {}
    for run in sides["shim"]:
        served, passed = served + run["served"], passed + run["passed"]
        for reason, calls in run["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + calls
    found = {
        "id": f"{place.name}:{row.name}", "place": place.name, "program": row.program, "title": row.title,
        "advice": row.advice, "pairs": len(sides["native"]),
        "native": side_figures(sides["native"]), "shim": side_figures(sides["shim"]),
        "cpu_ratio": statistics.median(ratios(sides, "cpu")), "cpu_interval": [low, high],
        "wall_ratio": statistics.median(ratios(sides, "wall")), "wall_interval": list(ratio_interval(sides, "wall")),
        "served_percent": 100 * served / (served + passed) if served + passed else None,
        "calls": served + passed, "reasons": reasons,
        "target": row.target if place.name == "tmpfs" else None,
        "data_equal": bool(sides["native"][0]["data"]),
    }
    found["verdict"] = verdict(found)
    return found


def verdict(found):
    low, high = found["cpu_interval"]
    if high > low * WIDEST:
        return "noisy"
    if found["target"] is None:
        return "told"
    return "met" if low >= found["target"] else "missed" if high < found["target"] else "unsure"


def seconds(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def shown_ratio(found):
    low, high = found["cpu_interval"]
    if found["verdict"] == "noisy":
        return f"too noisy: {low:.2f} to {high:.2f}"
    return f"{found['cpu_ratio']:.2f} [{low:.2f}, {high:.2f}]"


def shown_served(found):
    return "none" if found["served_percent"] is None else f"{found['served_percent']:.1f} %"


def shown_wall(found):
    return "" if found["verdict"] == "noisy" else f"{found['wall_ratio']:.2f}"


def shown_target(found):
    if found["target"] is None:
        return ""
    verdicts = {"noisy": "", "met": " met", "missed": " MISSED", "unsure": " unsure"}
    return f">= {found['target']:.2f}{verdicts[found['verdict']]}"


def line(found):
    return (f"{found['id']:<34} {seconds(found['native']['cpu_ns']):>10} {seconds(found['shim']['cpu_ns']):>10}  "
            f"{shown_ratio(found):<22} {shown_wall(found):>6} {shown_served(found):>8}  {shown_target(found)}")


def passed_on(found):
    most = sorted(found["reasons"].items(), key=lambda item: -item[1])[:2]
    total = found["calls"] or 1
    return ", ".join(f"{REASONS.get(reason, reason)} {100 * calls / total:.0f} %"
                     for reason, calls in most if calls > total / 50)


def markdown(document, short=False):
    """`short`: one row for each program, the one with the most gain and the one with the least, on tmpfs."""
    chosen = document["rows"]
    if short:
        chosen = extremes([found for found in chosen if found["place"] == "tmpfs" and found["verdict"] != "noisy"])
    lines = ["| program | workload | mount | CPU, native / shim | wall | served | passed on, mostly | what to set |",
             "|---|---|---|---|---:|---:|---|---|"]
    for found in chosen:
        lines.append(
            f"| {found['program']} | {found['title']} | {found['place']} | {shown_ratio(found)} | {shown_wall(found)} "
            f"| {shown_served(found)} | {passed_on(found)} | {found['advice']} |")
    else:
        lines += [""] + scaling(chosen)[:-1]
    about = document["machine"]
    lines += ["", f"Above 1 the shim is faster. {about['cpu']}, {about['cpus']} CPUs "
              f"({about['virtual'] or 'bare'}), Linux {about['kernel']}, {about['libc']};",
              f"commit {about['commit']}, {about['time'][:10]}. Again: `scripts/bench databases`."]
    return "\n".join(lines)


def extremes(found):
    kept = []
    for program in dict.fromkeys(row["program"] for row in found):
        of_it = sorted((row for row in found if row["program"] == program), key=lambda row: row["cpu_ratio"])
        kept += [of_it[-1]] + ([of_it[0]] if len(of_it) > 1 else [])
    return kept


def scaling(report):
    """How two threads of the same work do against one, and the slowest calls, for rows NAME-1 and NAME-2."""
    by_id, lines = {found["id"]: found for found in report}, []
    for one_id, one in by_id.items():
        two = by_id.get(one_id.removesuffix("1") + "2")
        if not one_id.endswith("-1") or two is None or "first-latency" not in one["shim"]["runs"][0]:
            continue
        texts = []
        for side in ("native", "shim"):
            times = 2 * one[side]["wall_ns"] / two[side]["wall_ns"]
            warm, first = ([statistics.median(run[name][1] for run in found[side]["runs"]) for found in (one, two)]
                           for name in ("latency", "first-latency"))
            texts.append(f"{side} {times:.2f} times the calls a second; p99 with one thread {warm[0]:,.0f} ns, "
                         f"with two {warm[1]:,.0f} ns\n  (in the first half of the calls {first[0]:,.0f} and "
                         f"{first[1]:,.0f} ns)")
        lines += [f"Two threads of {one_id.removesuffix('-1')} against one:", ""]
        lines += [f"- {text}" for text in texts] + [""]
    return lines
