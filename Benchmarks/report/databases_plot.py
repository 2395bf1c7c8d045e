"""The plot of a report of databases.py: a dot for each row, with its interval, about the line where nothing changes."""

import os

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

COLOURS = {"met": "#1b7f3b", "missed": "#c0392b", "unsure": "#7f8c8d", "told": "#1f5fa8"}


def plot(document, directory):
    """Writes databases.png and databases.svg; returns their paths."""
    found = [row for row in document["rows"] if row["verdict"] != "noisy"]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.24 * len(found)), layout="constrained")
    for at, row in enumerate(found):
        low, high = row["cpu_interval"]
        middle = row["cpu_ratio"]
        axes.errorbar(middle, at, xerr=[[max(middle - low, 0)], [max(high - middle, 0)]], fmt="o", markersize=4,
                      capsize=2, color=COLOURS[row["verdict"]])
        if row["target"] is not None:
            axes.plot([row["target"]] * 2, [at - 0.35, at + 0.35], color="#999999", linewidth=1)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(found)), [f"{row['program']}: {row['title']} ({row['place']})" for row in found],
                    fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log", base=2)
    ticks = [0.5, 0.7, 1, 1.4, 2, 2.8, 4]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    axes.set_xlabel("CPU time, native / shim: to the right of 1 the shim is faster; bar: target; interval: 95 %")
    about = document["machine"]
    axes.set_title(f"{about['cpu']}, Linux {about['kernel']}, commit {about['commit']}", fontsize=8)
    os.makedirs(directory, exist_ok=True)
    paths = [os.path.join(directory, f"databases.{kind}") for kind in ("png", "svg")]
    for path in paths:
        # Without the time: the same report gives the same file.
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.endswith("svg") else None)
    pyplot.close(figure)
    return paths
