"""Runs one command and tells what it took: programs_cpu.py TIMES LIBRARY COMMAND [ARGUMENT...]

Adds a line `CPU_NS WALL_NS` to the file TIMES: user and system time of the command and of all its descendants that were
waited for, with exec and exit. The command is under the preload LIBRARY, unless that is empty; this program never is.
"""

import os
import signal
import sys
import time


def main():
    times, library, *command = sys.argv[1:]
    environment = dict(os.environ)
    if library:
        environment["LD_PRELOAD"] = library
    begin = time.perf_counter_ns()
    # Python ignores SIGPIPE and SIGXFSZ; the command must not inherit that.
    child = os.posix_spawnp(command[0], command, environment, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter_ns() - begin
    with open(times, "a", encoding="ascii") as file:
        file.write(f"{round((usage.ru_utime + usage.ru_stime) * 1e9)} {wall}\n")
    if status:
        sys.exit(f"programs: {' '.join(command)[:200]}: status {os.waitstatus_to_exitcode(status)}")


main()
