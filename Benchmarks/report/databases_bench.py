"""Runs of the drivers in Benchmarks/databases, natively and under the shim, and what the shim served of them."""

import json
import os
import shutil
import subprocess
import sys
import time

from databases_figures import ratio_interval, WIDEST

DRIVERS = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "databases")
DATA_CALLS = ("read", "pread", "readv", "preadv", "write", "pwrite", "writev", "pwritev")
PATIENCE = 180  # seconds for one run
MORE_PAIRS = 2  # times as many, where the interval is too wide; not in a quick run


class Failure(Exception):
    """A driver that failed, or whose data were not the same natively and under the shim."""


class Progress:
    """One line on a terminal that is written over; nothing elsewhere, where each row's result is news enough."""

    def __init__(self):
        self.begin, self.is_terminal, self.text = time.monotonic(), sys.stderr.isatty(), ""

    def at(self, number, count, name):
        passed = time.monotonic() - self.begin
        left = f", about {passed / number * (count - number) / 60:.0f} min left" if number else ""
        self.text = f"[{number + 1}/{count}, {passed / 60:.0f} min{left}] {name}"
        self.show("preparing")

    def show(self, step):
        if self.is_terminal:
            print(f"\r\033[K{self.text}: {step}", end="", file=sys.stderr, flush=True)

    def end(self):
        if self.is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options):
        self.options, self.progress, self.serial = options, Progress(), 0

    def environment(self, item=None, runtime=None):
        kept = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC", "DATABASES_PROGRAMS": self.options.programs}
        if runtime:
            kept |= {"LD_PRELOAD": self.options.library, "PMEMSHIM_MOUNTS": item, "PMEMSHIM_RUNTIME_DIR": runtime}
        return kept

    def driver(self, row):
        for directory in (self.options.programs, DRIVERS):
            path = os.path.join(directory, row.driver)
            if os.access(path, os.X_OK):
                return path
        raise Failure(f"there is no driver {row.driver}")

    def call(self, row, action, directory, environment, under=()):
        """What the driver prints. `under`: the words of a command that runs it."""
        words = [*under, self.driver(row), action, row.workload, directory]
        try:
            done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE,
                                  stdin=subprocess.DEVNULL, check=False)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"{action} took more than {PATIENCE} s") from late
        if done.returncode != 0:
            tail = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise Failure(f"{action} ended with {done.returncode}: {' '.join(tail)}")
        return done.stdout

    def pairs(self, row, place, count, generator):
        """Runs of each side: {"native": [...], "shim": [...]}. More pairs than asked for where they disagree."""
        work = os.path.join(place.directory, "work")
        os.mkdir(work, mode=0o711)
        sides, data = {"native": [], "shim": []}, {}
        try:
            template = os.path.join(work, "template")
            os.mkdir(template)
            self.call(row, "prepare", template, self.environment())
            for pair in range(count * (1 if self.options.quick else MORE_PAIRS)):
                if pair >= count and not self.is_wide(sides):
                    break
                for side in generator.sample(sorted(sides), 2):
                    self.progress.show(f"pair {pair + 1}, {side}")
                    found = self.once(row, place, work, template, side)
                    sides[side].append(found)
                    if data.setdefault("", found["data"]) != found["data"]:
                        raise Failure(f"the data differ ({side}): {found['data']!r}, not {data['']!r}")
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return sides

    @staticmethod
    def is_wide(sides):
        low, high = ratio_interval(sides, "cpu")
        return high > low * WIDEST

    def once(self, row, place, work, template, side):
        self.serial += 1
        directory = os.path.join(work, f"d{self.serial}")
        # In memory, apart from what is measured; its name must not be served.
        runtime = os.path.join("/dev/shm", f"pmemshim-databases.{os.getpid()}.{self.serial}")
        os.mkdir(runtime, mode=0o700)
        try:
            if subprocess.run(["cp", "-a", template, directory], check=False).returncode != 0:
                raise Failure("the data set cannot be copied")
            shimmed = self.environment(place.item, runtime) if side == "shim" else self.environment()
            lines = self.call(row, "run", directory, shimmed).splitlines()
            try:
                cpu, wall = (float(word) for word in lines[-1].split())
            except (IndexError, ValueError):
                raise Failure(f"the driver printed no figures: {lines[-1:]}") from None
            found = {"cpu": cpu, "wall": wall, "data": [text for text in lines if text.startswith("data ")]}
            for text in lines:
                name, *numbers = text.split() or [""]
                if name in ("latency", "first-latency"):
                    found[name] = [float(number) for number in numbers]
            if side == "shim":
                found |= self.served([runtime, os.path.join(directory, "runtime")])
            return found
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            shutil.rmtree(runtime, ignore_errors=True)

    def served(self, directories):
        """Data calls on files of the mount: served, passed on, and why."""
        served, passed, reasons = 0, 0, {}
        for directory in directories:
            if not os.path.exists(os.path.join(directory, "stats")):
                continue
            document = json.loads(self.statistics(directory))
            for mount in document["mounts"]:
                for name, family in mount["figures"]["families"].items():
                    if name not in DATA_CALLS:
                        continue
                    served += family["served"]
                    passed += family["passed_on"]
                    for reason, calls in family["reasons"].items():
                        reasons[reason] = reasons.get(reason, 0) + calls
        return {"served": served, "passed": passed, "reasons": reasons}

    def statistics(self, directory):
        """By the user whose they are: shimctl reads no other's."""
        owner, words = os.stat(directory), [self.options.shimctl, "stats", "--json"]
        if os.geteuid() == 0 and owner.st_uid != 0:
            words = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", "--", *words]
        done = subprocess.run(words, env={"PATH": os.environ["PATH"], "PMEMSHIM_RUNTIME_DIR": directory},
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"shimctl stats: {done.stderr.strip()}")
        return done.stdout
