"""For gdb, on a program that runs under libpmemshim.so: SIGBUS and SIGSEGV of the library's own do not stop it.

A served call copies from a mapping of the file. Where the file has been cut meanwhile, or the caller's buffer is bad,
the copy faults, the library resumes behind it, and the kernel does the call: without this file gdb stops there. With it
gdb stops at a SIGBUS or SIGSEGV only where the instruction is not one of the library's guarded copies.

    (gdb) source libpmemshim.so-gdb.py
    (gdb) info pmemshim        where the guarded copies are, and how many faults of theirs were let pass

gdb loads it by itself when it lies beside the library, in a directory that `set auto-load safe-path` allows, or in
/usr/share/gdb/auto-load/DIRECTORY-OF-THE-LIBRARY. How it does it: the two signals are passed to the program without a
stop (`handle SIGBUS SIGSEGV nostop noprint pass`), and a catchpoint, which gdb asks all the same, stops for those that
are the program's own. No code runs at a stop, and nothing is continued behind a user's back: a fault of the library's
in the middle of `next`, `finish` or `until` leaves the command as it is.
"""

import gdb


class OwnFault(gdb.Function):
    """$pmemshim_own_fault(): 1 where the selected thread is at an instruction of a guarded copy, else 0."""

    passed = 0
    catchpoint = None

    def __init__(self):
        super().__init__("pmemshim_own_fault")

    def invoke(self):
        try:
            at = int(gdb.newest_frame().pc())
            begin, end, _ = guarded()
        except gdb.error:
            return 0  # The library is not there, or not yet: no fault is its own.
        if not begin <= at < end:
            return 0
        OwnFault.passed += 1
        return 1


class Info(gdb.Command):
    """Where the guarded copies of libpmemshim.so are, and how many faults in them were let pass."""

    def __init__(self):
        super().__init__("info pmemshim", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        try:
            begin, end, leave = guarded()
        except gdb.error:
            print("libpmemshim.so is not loaded.")
            return
        print("Guarded copies: %#x to %#x; a copy that faults goes on at %#x." % (begin, end, leave))
        print("Faults in them that were let pass: %d." % OwnFault.passed)


def guarded():
    """First address, end, and exit of the guarded copies; gdb.error where there is no library."""
    names = ["ps_guard_begin", "ps_guard_end", "ps_guard_exit"]
    return [int(gdb.parse_and_eval("(unsigned long) &%s" % name)) for name in names]


def deleted(breakpoint):
    """`delete` without a number takes our catchpoint as well: then gdb must stop at the signals as it always did."""
    if breakpoint.number == OwnFault.catchpoint:
        OwnFault.catchpoint = None
        gdb.execute("handle SIGBUS SIGSEGV stop print pass", to_string=True)


def install():
    if not hasattr(gdb, "pmemshim"):
        gdb.pmemshim = OwnFault
        OwnFault()
        Info()
        gdb.events.breakpoint_deleted.connect(deleted)
    if gdb.pmemshim.catchpoint is None:
        gdb.execute("handle SIGBUS SIGSEGV nostop noprint pass", to_string=True)
        gdb.execute("catch signal SIGBUS SIGSEGV", to_string=True)
        gdb.pmemshim.catchpoint = int(gdb.parse_and_eval("$bpnum"))
        gdb.execute("condition $bpnum !$pmemshim_own_fault()", to_string=True)


install()
