"""scripts/crash mirror: a copier is killed at random moments, and what its mirror then holds takes the primary's place.

  mirror_crash.py run SHIMCTL LIBRARY DIRECTORY KILLS SEED FILE_SYSTEM     all of it; status 1 where something was lost
  mirror_crash.py sqlite|own DIRECTORY ACKNOWLEDGED                        a workload, until it is killed

A workload writes, makes durable, and only then notes a number and the time. A mirror whose last epoch is of a moment T
must have everything that was noted up to T.
"""

import hashlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import time

SLOTS = 1000


def acknowledge(file, number):
    file.write(struct.pack("<QQ", number, time.time_ns()))
    file.flush()


def sqlite(directory, acknowledged):
    database = sqlite3.connect(f"{directory}/work.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS t(number INTEGER PRIMARY KEY, filler BLOB)")
    number = database.execute("SELECT coalesce(max(number), 0) FROM t").fetchone()[0]
    with open(acknowledged, "ab") as file:
        while True:
            number += 1
            database.execute("INSERT INTO t VALUES(?, randomblob(700))", (number,))
            database.execute("UPDATE t SET filler = randomblob(700) WHERE number = ?", (random.randint(1, number),))
            acknowledge(file, number)


def record(number):
    head = struct.pack("<Q", number)
    return head + hashlib.sha256(head).digest() + bytes(24)


def own(directory, acknowledged):
    appended = os.open(f"{directory}/appended", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    slots = os.open(f"{directory}/slots", os.O_RDWR | os.O_CREAT, 0o600)
    number = os.fstat(appended).st_size // 64
    with open(acknowledged, "ab") as file:
        while True:
            number += 1
            os.write(appended, record(number))
            os.pwrite(slots, record(number) * 64, number % SLOTS * 4096)
            os.fdatasync(appended)
            os.fdatasync(slots)
            acknowledge(file, number)


def acknowledged_until(path, moment):
    """The last number that was noted up to then."""
    last = 0
    data = path.read_bytes()
    for number, when in struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]):
        if when <= moment:
            last = number
    return last


def check_sqlite(directory, last):
    path = f"{directory}/work.db"
    if last == 0:
        return []
    database = sqlite3.connect(path)
    faults = []
    if (found := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
        faults.append(f"SQLite: {found}")
    count, most = database.execute("SELECT count(*), coalesce(max(number), 0) FROM t").fetchone()
    if count != most or most < last:
        faults.append(f"SQLite: {count} rows up to {most}, but {last} were acknowledged")
    database.close()
    return faults


def check_own(directory, last):
    if last == 0:
        return []
    appended = pathlib.Path(f"{directory}/appended").read_bytes()
    faults = []
    for number in range(1, last + 1):
        if appended[(number - 1) * 64 : number * 64] != record(number):
            faults.append(f"own: record {number} of {last} is not there")
            break
    with open(f"{directory}/slots", "rb") as slots:
        for number in range(max(last - SLOTS + 1, 1), last + 1):
            slots.seek(number % SLOTS * 4096)
            page = slots.read(4096)
            held = struct.unpack_from("<Q", page)[0]
            # A later one may have taken its place; the last page may be half of it, for it was not acknowledged yet.
            if held < number or held <= last and page != record(held) * 64:
                faults.append(f"own: slot {number % SLOTS} has {held} and not {number}")
                break
    return faults


class Round:
    def __init__(self, shimctl, library, directory, seed, file_system):
        self.shimctl, self.library, self.file_system = shimctl, library, file_system
        self.directory = pathlib.Path(directory)
        self.random = random.Random(seed)
        self.name = f"crash-mirror-{os.getpid()}"
        self.mount, self.other = self.directory / "mount", self.directory / "other"
        self.workers = []

    def call(self, *words, check=True):
        result = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120)
        if check and result.returncode != 0:
            raise RuntimeError(f"{words}: {result.returncode} {result.stdout}{result.stderr}")
        return result

    def set_up(self):
        for place in (self.mount, self.other):
            place.mkdir()
        self.call(self.shimctl, "create", self.directory / "primary.img", "--size", "448M")
        self.call(self.shimctl, "attach", self.directory / "primary.img", "--name", self.name)
        self.call(f"mkfs.{self.file_system}", "-q", f"/dev/pmemshim/{self.name}")
        self.call("mount", f"/dev/pmemshim/{self.name}", self.mount)
        self.call(self.shimctl, "mirror", "add", self.name, self.directory / "mirror.img", "--log", "128M")
        runtime = self.directory / "runtime"
        runtime.mkdir(mode=0o700)
        environment = dict(
            os.environ, LD_PRELOAD=self.library, PMEMSHIM_MOUNTS=f"{self.mount}:pagecache",
            PMEMSHIM_RUNTIME_DIR=str(runtime), PMEMSHIM_FIRST_AFTER="0", PMEMSHIM_MAP_AFTER="0")
        for kind in ("sqlite", "own"):
            words = [sys.executable, __file__, kind, str(self.mount), str(self.directory / kind)]
            self.workers.append(subprocess.Popen(words, env=environment))
        self.call(self.shimctl, "mirror", "sync", self.name, "--freeze")

    def tear_down(self):
        for worker in self.workers:
            worker.kill()
            worker.wait()
        for place in (self.other, self.mount):
            self.call("umount", place, check=False)
        for name in (f"{self.name}-c", self.name):
            self.call(self.shimctl, "detach", name, check=False)

    def kill_once(self):
        words = [self.shimctl, "mirror", "run", self.name, "--every", "0.1", "--freeze"]
        copier = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(self.random.uniform(0.05, 0.8))
        copier.send_signal(signal.SIGKILL)
        copier.wait()
        before = [(self.directory / kind).stat().st_size for kind in ("sqlite", "own")]
        copy = self.directory / "copy.img"
        self.call("cp", "--sparse=always", self.directory / "mirror.img", copy)
        faults = self.check(copy)
        copy.unlink()
        # Nobody hangs in a file system that was left frozen.
        after = [(self.directory / kind).stat().st_size for kind in ("sqlite", "own")]
        if any(one == other for one, other in zip(before, after)):
            faults.append("a workload stands still")
        return faults

    def check(self, copy):
        status = json.loads(self.call(self.shimctl, "mirror", "status", copy, "--json").stdout)
        moment, blocks = status["epoch_unix_ns"], f"/dev/pmemshim/{self.name}-c"
        self.call(self.shimctl, "attach", copy, "--name", f"{self.name}-c", "--promote")
        faults = []
        try:
            if self.file_system == "ext4":
                if (fsck := self.call("e2fsck", "-f", "-n", blocks, check=False)).returncode != 0:
                    faults.append(f"e2fsck: {fsck.stdout}")
            options = "rw,nouuid" if self.file_system == "xfs" else "rw"
            self.call("mount", "-o", options, blocks, self.other)
            for kind, check in (("sqlite", check_sqlite), ("own", check_own)):
                faults += check(self.other, acknowledged_until(self.directory / kind, moment))
            self.call("umount", self.other)
            fsck = ("xfs_repair", "-n", blocks) if self.file_system == "xfs" else ("e2fsck", "-f", "-n", blocks)
            if (found := self.call(*fsck, check=False)).returncode != 0:
                faults.append(f"{fsck[0]} after use: {found.stdout}")
        finally:
            self.call("umount", self.other, check=False)
            self.call(self.shimctl, "detach", f"{self.name}-c")
        return faults


def run(shimctl, library, directory, kills, seed, file_system):
    work = Round(shimctl, library, directory, int(seed), file_system)
    failed = 0
    try:
        work.set_up()
        for number in range(1, int(kills) + 1):
            for fault in work.kill_once():
                print(f"FAILED: kill {number}: {fault}", flush=True)
                failed += 1
        counts = [(work.directory / kind).stat().st_size // 16 for kind in ("sqlite", "own")]
    finally:
        work.tear_down()
    print(f"crash mirror: {kills} kills on {file_system}, seed {seed}: {counts[0]} commits of SQLite and {counts[1]} "
          f"of our own acknowledged; {failed} faults", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit({"run": run, "sqlite": sqlite, "own": own}[sys.argv[1]](*sys.argv[2:]))
