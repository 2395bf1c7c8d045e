"""Runs of a pattern natively and under the shim, in turns, and what comes of them."""

import os
import shlex
import statistics
import subprocess
import time

from micro import interval


DRIVERS = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "price")


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
        places = {"d": directory, "p": self.options.programs, "b": DRIVERS}
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
        "wall_ratio": statistics.median(ratios[1]),
    }
