"""The patterns of price.py: each with its command, and the bound of its ratio."""

NEVER_SLOWER = 1.03


class Row:
    """A pattern. `command`: a program with its arguments; {d} is a fresh directory on the mount that is served, {p} our
    programs, {b} our scripts. It prints CPU and wall time, or (`whole`) is measured from outside, exec and exit
    included.
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
    for name, what, options in (
        ("read", "read() of 4 KiB", "--calls 32768 --at-offset --in-order"),
        ("pread", "pread of 4 KiB", "--calls 32768 --in-order"),
        ("read-64k", "read() of 64 KiB", "--calls 2048 --length 65536 --at-offset --in-order"),
        ("random", "pread of 8 KiB at random", "--calls 16384 --length 8192"),
    ):
        yield pattern(f"once-{name}", f"a file of 128 MiB is read once by {what}, and closed, four times",
                      f"--files 1 --size 134217728 --rounds 4 {options}")
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
    yield pattern("read-and-closed", "a file of 1 GiB is read all over, at random, and closed",
                  "--files 1 --size 1073741824 --calls 1048576 --rounds 1 --close")
    yield Row("pgbench-fill", "PostgreSQL, filling a database (pgbench -i)", "{b}/pgbench fill", 1.0)
    yield Row("pgbench-connect", "PostgreSQL, a connection for each transaction (pgbench -C)", "{b}/pgbench connect",
              1.0)
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
