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
import shlex
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from micro import interval, machine  # noqa: E402

NEVER_SLOWER = 1.03


class Row:
    """A pattern. `command`: a program with its arguments; {d} is a fresh directory on the mount that is served, and {p}
    that of our programs. It prints CPU and wall time, or (`whole`) is measured from outside, exec and exit included.
    """

    def __init__(self, name, title, command, bound=NEVER_SLOWER, whole=False, prepare=None):
        self.name, self.title, self.command = name, title, command
        self.bound, self.whole, self.prepare = bound, whole, prepare


def pattern(name, title, options, bound=NEVER_SLOWER):
    return Row(name, title, "{p}/pattern --directory {d} " + options, bound)


def open_use_close(calls, what="", options="", bound=1.05):
    rounds = max(200, 60000 // (calls + 8))
    return pattern(
        f"open-{calls}-close{what and '-' + what}",
        f"open, {calls} x 4 KiB {what or 'pread'}, close; 32 files of 1 MiB",
        f"--calls {calls} --rounds {rounds} {options}", 0.75 if calls >= 512 else bound)


def rows():
    yield from (open_use_close(calls) for calls in (8, 16, 32, 64, 128, 256, 512))
    yield open_use_close(32, "pwrites", "--writes 50")
    yield open_use_close(32, "reads-in-order", "--at-offset --in-order")
    yield open_use_close(32, "two-threads", "--threads 2")
    for mode, bound in (("delete", 1.0), ("truncate", 1.0), ("persist", 1.0), ("wal", NEVER_SLOWER)):
        yield Row(f"sqlite-{mode}", f"SQLite, one-row transactions, journal_mode={mode}",
                  f"{{p}}/price-sqlite {{d}} transactions {mode} 2000 0", bound)
    for calls in (1, 10, 30, 100):
        yield Row(f"sqlite-connection-{calls}", f"SQLite, a connection for {calls} look-ups",
                  f"{{p}}/price-sqlite {{d}} connections delete {max(100, 3000 // calls)} {calls}", 1.0)
    for name, title in (("same", "to the same size"), ("grow", "by 4 KiB more"), ("down-up", "to half and back")):
        yield pattern(f"truncate-{name}", f"ftruncate of a file in use, {title}, after 8 preads",
                      f"--files 1 --keep --warm --calls 8 --rounds 4000 --resize {name}", 1.25)
    yield pattern("fallocate-keep", "fallocate(KEEP_SIZE) of a file in use, after 8 preads",
                  "--files 1 --keep --warm --calls 8 --rounds 4000 --resize keep", 1.25)
    yield pattern("fallocate-grow", "fallocate that extends a file in use, after 8 preads",
                  "--files 1 --keep --warm --calls 8 --rounds 4000 --resize allocate", 1.25)
    yield pattern("set-flags", "fcntl(F_SETFL) after 8 preads",
                  "--files 1 --keep --warm --calls 8 --rounds 4000 --resize flags", NEVER_SLOWER)
    yield pattern("preallocated", "pwrite 4 KiB in order into space that is only preallocated",
                  "--files 1 --size 268435456 --preallocated --calls 65536 --rounds 1 --writes 100 --in-order")
    yield pattern("large-reads", "pread 1 MiB in order",
                  "--files 1 --size 268435456 --length 1048576 --calls 1024 --rounds 1 --in-order", 1.0)
    yield pattern("large-writes", "pwrite 1 MiB at random",
                  "--files 1 --size 268435456 --length 1048576 --calls 512 --rounds 1 --writes 100", 1.0)
    yield pattern("cold-overwrites", "pwrite 4 KiB at random over 256 MiB, from the first call on",
                  "--files 1 --size 268435456 --calls 200000 --rounds 1 --writes 100", 1.0)
    yield pattern("journals", "a file is made, written 10 times, and unlinked",
                  "--files 1 --journal --calls 10 --writes 100 --in-order --rounds 4000")
    for calls in (1, 4, 16, 64):
        yield pattern(f"thread-{calls}", f"a thread for each {calls} preads of a file in use",
                      f"--files 1 --keep --warm --life threads --calls {calls} --rounds 2000", 1.05)
    for calls in (8, 64, 256):
        yield pattern(f"child-{calls}", f"a forked child for each {calls} preads of a file in use",
                      f"--files 1 --keep --warm --life children --calls {calls} --rounds 300", 1.05)
    for mode in ("map", "write"):
        yield Row(f"lmdb-{mode}-fill", f"LMDB, filling, {'MDB_WRITEMAP' if mode == 'map' else 'by writes'}",
                  f"{{p}}/price-lmdb {{d}} {mode} fill 100000", 1.0)
        yield Row(f"lmdb-{mode}", f"LMDB, one-key transactions, {'MDB_WRITEMAP' if mode == 'map' else 'by writes'}",
                  f"{{p}}/price-lmdb {{d}} {mode} transactions 5000", 1.0)
    make = ("head --bytes 1048576 /dev/urandom | base64 --wrap 60 | head --bytes 1048576 > {d}/file; "
            "cp {d}/file {d}/other")
    for name, command in (
        ("cat", "cat {d}/file"), ("wc", "wc -l {d}/file"), ("cmp", "cmp {d}/file {d}/other"),
        ("dd", "dd if={d}/file of=/dev/null bs=16k status=none"), ("cp", "cp {d}/file {d}/copy"),
        ("sort", "sort --output=/dev/null {d}/file"), ("grep", "grep --count needle {d}/file"),
        ("md5sum", "md5sum {d}/file"),
    ):
        yield Row(f"program-{name}", f"{name}, a file of 1 MB", command, whole=True, prepare=make)


class Bench:
    def __init__(self, options):
        self.options = options
        self.serial = 0
        self.runtime = os.path.join(options.scratch, "runtime")
        os.makedirs(self.runtime, mode=0o700, exist_ok=True)

    def environment(self, shimmed):
        kept = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        if shimmed:
            kept |= {"LD_PRELOAD": self.options.library, "PMEMSHIM_MOUNTS": self.options.scratch,
                     "PMEMSHIM_RUNTIME_DIR": self.runtime}
        return kept

    def once(self, row, shimmed):
        """CPU and wall time of one run, ns; of a row that is measured inside, of each round."""
        self.serial += 1
        directory = os.path.join(self.options.scratch, f"d{self.serial}")
        os.mkdir(directory)
        places = {"d": directory, "p": self.options.programs}
        try:
            if row.prepare:
                subprocess.run(row.prepare.format(**places), shell=True, check=True, env=self.environment(False))
            words = shlex.split(row.command.format(**places))
            if row.whole:
                return self.whole(words, shimmed)
            done = subprocess.run(words, env=self.environment(shimmed), check=True, capture_output=True, text=True)
            cpu, wall = done.stdout.split()[-2:]
            return float(cpu), float(wall)
        finally:
            subprocess.run(["rm", "-rf", directory], check=True)

    def whole(self, words, shimmed):
        # One run takes a millisecond: the mean of some is one figure.
        repeated, used = 20, 0.0
        begin = time.monotonic_ns()
        for _ in range(repeated):
            pid = os.posix_spawnp(words[0], words, self.environment(shimmed),
                                  file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
            _, status, usage = os.wait4(pid, 0)
            if os.waitstatus_to_exitcode(status) not in (0, 1):
                raise RuntimeError(f"{words}: {status}")
            used += (usage.ru_utime + usage.ru_stime) * 1e9
        return used / repeated, (time.monotonic_ns() - begin) / repeated

    def pairs(self, row, count, generator):
        sides = {False: [], True: []}
        for _ in range(count):
            for shimmed in generator.sample([False, True], 2):
                sides[shimmed].append(self.once(row, shimmed))
        return sides[False], sides[True]


def figures(row, native, shim):
    ratios = {at: [b[at] / a[at] for a, b in zip(native, shim)] for at in (0, 1)}
    low, high = interval(ratios[0]) or (min(ratios[0]), max(ratios[0]))
    return {
        "id": row.name, "title": row.title, "command": row.command, "bound": row.bound, "pairs": len(native),
        "native_cpu_ns": statistics.median(a[0] for a in native), "shim_cpu_ns": statistics.median(b[0] for b in shim),
        "cpu_ratio": statistics.median(ratios[0]), "cpu_interval": [low, high],
        "wall_ratio": statistics.median(ratios[1]), "met": low <= row.bound, "sure": not low <= row.bound < high,
    }


def line(found):
    verdict = ("met" if found["met"] else "MISSED") + ("" if found["sure"] else " (unsure)")
    low, high = found["cpu_interval"]
    return (f"{found['title']:<64} {found['native_cpu_ns']:>13,.0f} {found['shim_cpu_ns']:>13,.0f} "
            f"{found['cpu_ratio']:>6.3f} [{low:.3f}, {high:.3f}] {found['wall_ratio']:>7.3f}  "
            f"<= {found['bound']:.2f} {verdict}")


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
    missed = [found["id"] for found in report if not found["met"]]
    met = len(report) - len(missed)
    print(f"\n{met} of {len(report)} bounds met" + (": missed " + " ".join(missed) if missed else ""))
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
        verdict = ("met" if found["met"] else "MISSED") + ("" if found["sure"] else " (unsure)")
        lines.append(
            f"| {found['title']} | {found['native_cpu_ns'] / 1000:,.1f} | {found['shim_cpu_ns'] / 1000:,.1f} "
            f"| {found['cpu_ratio']:.2f} [{low:.2f}, {high:.2f}] | {found['wall_ratio']:.2f} "
            f"| <= {found['bound']:.2f} {verdict} |")
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


# ---- the search ---------------------------------------------------------------------------------------------------

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
