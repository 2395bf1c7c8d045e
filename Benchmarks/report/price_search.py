"""The search of price.py for the pattern that loses most: draws at random, and goes on from the worst."""

import random
import time

from price_bench import Bench, figures
from price_rows import pattern

CHOICES = {
    "files": [1, 2, 8, 32, 200], "size": [4096, 20000, 1 << 16, 1 << 20, 1 << 24],
    "calls": [1, 4, 8, 9, 16, 32, 64, 100, 200, 400], "length": [1, 100, 512, 4096, 65536],
    "writes": [0, 0, 10, 50, 100], "order": ["", "--in-order", "--at-offset --in-order"],
    "keep": ["", "", "--keep", "--keep --close"], "kind": ["", "", "--sparse", "--preallocated", "--journal"],
    "threads": [1, 1, 1, 2], "life": ["one", "one", "threads", "children"],
    "resize": ["none", "none", "same", "grow", "down-up", "keep", "flags"], "every": [0, 1, 4, 32],
}


def drawn(generator, origin=None):
    """A pattern at random; from an origin, one that differs from it in one or two choices."""
    if origin is None:
        return {name: generator.choice(values) for name, values in CHOICES.items()}
    changed = dict(origin)
    for name in generator.sample(list(CHOICES), generator.choice([1, 1, 2])):
        changed[name] = generator.choice(CHOICES[name])
    return changed


def row_of(choice):
    total = choice["calls"] * choice["length"] / 4096 + 8 + (30 if choice["life"] == "children" else 0)
    if choice["resize"] != "none":
        total += choice["calls"] / max(choice["every"], 1)
    rounds = max(20, int(20000 / total))
    return pattern(
        "search", "search",
        f"--files {choice['files']} --size {choice['size']} --calls {choice['calls']} --length {choice['length']} "
        f"--writes {choice['writes']} {choice['order']} {choice['keep']} {choice['kind']} "
        f"--threads {choice['threads']} "
        f"--life {choice['life']} --resize {choice['resize']} --every {choice['every']} --rounds {rounds}")


def makes_sense(choice):
    if choice["length"] > choice["size"]:
        return False
    if choice["files"] * choice["size"] > 1 << 28:
        return False
    journal = choice["kind"] == "--journal"
    if choice["keep"] and (journal or choice["files"] > 32):
        return False
    if choice["threads"] > 1 and (journal or choice["resize"] != "none" or choice["life"] != "one"):
        return False
    return not (journal and choice["life"] != "one")


def again(bench, found):
    """The command, to be run with and without LD_PRELOAD and PMEMSHIM_MOUNTS=/dev/shm."""
    return found["command"].format(p=bench.options.programs, d="/dev/shm")


def search(options):
    bench, generator = Bench(options), random.Random(options.seed)
    end = time.monotonic() + options.seconds
    best, tried = [], 0
    while time.monotonic() < end:
        origin = generator.choice(best)[1] if best and generator.random() < 0.6 else None
        choice = drawn(generator, origin)
        if not makes_sense(choice):
            continue
        row, tried = row_of(choice), tried + 1
        found = figures(row, *bench.pairs(row, 3, generator))
        if len(best) == 8 and found["cpu_ratio"] <= best[-1][0]:
            continue
        # Three pairs make suspects, some are mere noise; eleven make a finding.
        found = figures(row, *bench.pairs(row, 11, generator))
        best = sorted(best + [(found["cpu_ratio"], choice, found)], key=lambda each: -each[0])[:8]
        if best[0][2] is found:
            print(f"after {tried} patterns: {found['cpu_ratio']:.3f} {again(bench, found)}", flush=True)
    print(f"\nseed {options.seed}: {tried} patterns; the worst:")
    for ratio, _, found in best:
        low, high = found["cpu_interval"]
        print(f"{ratio:.3f} [{low:.3f}, {high:.3f}]  {again(bench, found)}")
    return 0
