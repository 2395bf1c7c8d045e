"""What bounds a row of databases.py: where the CPU time of its native run goes, by samples of its call chains.

The shim can take from a row what the kernel spends in read and write calls on files, and nothing else. So there is a
limit to its ratio: what it would be if those calls cost nothing at all. It cannot be reached, for a served call of
4 KiB takes half of its native time, and an appending one all of it.
"""

import collections
import os
import re
import shutil
import subprocess
import tempfile

FREQUENCY = 1999  # samples a second of CPU time

# The server alone, where the driver has clients and helpers beside it.
SERVERS = {"PostgreSQL": ("postgres",), "MariaDB": ("mariadbd",), "Redis": ("redis-server",)}
HELPERS = ("bash", "perf", "cp", "rm", "setpriv", "env", "sync")

KINDS = ("reads", "writes", "syncs", "locks", "names and sizes", "messages and waits", "memory and processes",
         "page faults", "rest of the kernel", "program")

CALLS = {
    "reads": "read pread64 readv preadv preadv2",
    "writes": "write pwrite64 writev pwritev pwritev2",
    "syncs": "fsync fdatasync sync_file_range msync sync_filesystem",
    "locks": "fcntl flock",
    "names and sizes": "open openat close unlink unlinkat rename renameat renameat2 stat fstat lstat newstat newfstat "
                       "newfstatat statx access faccessat faccessat2 ftruncate truncate fallocate lseek getdents64 "
                       "readlink readlinkat mkdir mkdirat rmdir chmod fchmod fchmodat utimensat link linkat fadvise64",
    "messages and waits": "recvfrom sendto recvmsg sendmsg poll ppoll select pselect6 epoll_wait epoll_pwait epoll_ctl "
                          "futex nanosleep clock_nanosleep sched_yield io_uring_enter io_submit io_getevents",
    "memory and processes": "mmap munmap mprotect madvise brk mremap clone clone3 fork vfork execve exit exit_group "
                            "wait4 waitid",
}
KIND_OF = {call: kind for kind, calls in CALLS.items() for call in calls.split()}

SYSTEM_CALL = re.compile(r"^(?:__x64_sys|__se_sys|__do_sys|do_sys|ksys|__x64_compat_sys)_(\w+)$")
STREAM = re.compile(r"^(?:sock|unix|tcp|inet|pipe|anon_pipe|eventfd|fifo|tty|n_tty)_")
FAULT = ("exc_page_fault", "asm_exc_page_fault", "do_user_addr_fault")
KERNEL = 1 << 63


def kind_of(chain):
    """`chain`: pairs of address and symbol, the innermost first."""
    kernel = [symbol for address, symbol in chain if address & KERNEL]
    if not kernel:
        return "program"
    for symbol in reversed(kernel):  # what was entered first
        if symbol in FAULT:
            return "page faults"
        found = SYSTEM_CALL.match(symbol)
        if found:
            return kind_of_call(found.group(1), kernel)
    # In the way into the kernel and out again: the function of libc that called it says for what.
    caller = next((symbol for address, symbol in chain if not address & KERNEL), "")
    return kind_of_call(caller.removeprefix("__").removeprefix("libc_"), kernel)


def kind_of_call(name, kernel):
    kind = KIND_OF.get(name) or KIND_OF.get(name + "64") or KIND_OF.get(name.removesuffix("64"), "rest of the kernel")
    if kind in ("reads", "writes") and any(STREAM.match(symbol) for symbol in kernel):
        return "messages and waits"
    return kind


def samples(text):
    """(command, chain) of each sample in the output of `perf script -F comm,ip,sym`."""
    command, chain = None, []
    for line in text.splitlines():
        if not line.strip():
            if command is not None:
                yield command, chain
            command, chain = None, []
        elif not line[0].isspace():
            command = line.strip()
        elif command is None:  # perf sets short commands in from the left
            command = line.strip()
        else:
            address, _, symbol = line.strip().partition(" ")
            chain.append((int(address, 16), symbol.split("+")[0]))
    if command is not None:
        yield command, chain


def shares(row, text):
    counts = collections.Counter()
    for command, chain in samples(text):
        servers = SERVERS.get(row.program)
        if command in servers if servers else command not in HELPERS:
            counts[kind_of(chain)] += 1
    total = sum(counts.values())
    return {kind: counts[kind] / total for kind in KINDS} | {"samples": total} if total else None


def bound(bench, row, place):
    """One native run under perf: the share of each kind, and how many samples there were."""
    work = tempfile.mkdtemp(prefix="bounds.", dir=place.directory)
    os.chmod(work, 0o711)
    try:
        data, record = os.path.join(work, "d"), os.path.join(work, "perf.data")
        os.mkdir(data)
        bench.call(row, "prepare", data, bench.environment())
        bench.call(row, "run", data, bench.environment(),
                   ["perf", "record", "--quiet", "-g", "-F", str(FREQUENCY), "-e", "cpu-clock", "-o", record, "--"])
        done = subprocess.run(["perf", "script", "-i", record, "-F", "comm,ip,sym"], capture_output=True, text=True,
                              check=True)
        return shares(row, done.stdout)
    finally:
        shutil.rmtree(work, ignore_errors=True)


HEADING = ("| row | mount | " + " | ".join(KINDS) + " | if reads and writes cost nothing | measured | target |\n"
           "|---|---|" + "---:|" * (len(KINDS) + 3))


def line(row, place, found, measured):
    cells = [f"{100 * found[kind]:.0f} %" for kind in KINDS]
    left = 1 - found["reads"] - found["writes"]
    ratio = f"{measured['cpu_ratio']:.2f}" if measured and measured.get("cpu_ratio") else ""
    target = f"{row.target:g}" if row.target else ""
    return (f"| {row.program}: {row.title} | {place.name} | " + " | ".join(cells) +
            f" | {1 / left:.2f} | {ratio} | {target} |")
