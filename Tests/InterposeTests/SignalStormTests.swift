import TestSupport
import Testing

@Suite("Signals at any moment of a call: handlers that work, jump, throw, cancel; crashes and debuggers")
struct SignalStormTests {
    typealias Kind = ScratchMount.Kind

    @Test("jumps out of calls leave nothing locked or mapped", arguments: Kind.served, ["alone", "beside-a-thread"])
    func jumpsOutOfCalls(kind: Kind, how: String) throws {
        try expectSameAsNative("signals-jumps", how, on: kind, serving: ["pread", "pwrite"])
    }

    @Test("jumps from an alternate stack")
    func jumpsFromAnotherStack() throws {
        try expectSameAsNative("signals-jumps", "from-another-stack", on: .tmpfs, serving: ["pread", "pwrite"])
    }

    @Test("threads that end after jumps", arguments: Kind.served)
    func threadsThatEnd(kind: Kind) throws {
        try expectSameAsNative("signals-jumps", "threads-that-end", on: kind, serving: ["pwrite"])
    }

    @Test("contexts switched by a timer, each in the middle of calls", arguments: Kind.served)
    func switchedByATimer(kind: Kind) throws {
        try expectSameAsNative("signals-jumps", "switched-by-a-timer", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("C++ exceptions out of handlers, through the calls they interrupted", arguments: Kind.served)
    func exceptionsOutOfCalls(kind: Kind) throws {
        try expectSameAsNative(
            "signals-exceptions", "exceptions-out-of-calls", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("C++ exceptions made of a program's own faults", arguments: Kind.served)
    func exceptionsFromFaults(kind: Kind) throws {
        try expectSameAsNative("signals-exceptions", "exceptions-from-faults", on: kind, serving: ["pread"])
    }

    @Test(
        "threads cancelled in the middle of calls leave nothing locked or mapped", arguments: Kind.served,
        ["deferred", "asynchronous"])
    func cancelled(kind: Kind, type: String) throws {
        try expectSameAsNative("signals-cancelled", type, on: kind, serving: ["pread", "pwrite", "read", "write"])
    }

    @Test("calls in handlers that interrupted calls on the same bytes, or malloc", arguments: Kind.served)
    func inHandlers(kind: Kind) throws {
        try expectSameAsNative("signals-crashes", "in-handlers", on: kind, serving: ["pread", "pwrite"])
        try expectSameAsNative(
            "signals-crashes", "in-handlers-beside-a-thread", on: kind, serving: ["pread", "pwrite"])
    }

    @Test(
        "faults survived with both signals blocked in every way", arguments: Kind.served,
        ["by-every-call", "by-contexts", "in-threads", "in-threads-with-stacks"])
    func blocked(kind: Kind, how: String) throws {
        try expectSameAsNative("signals-masks", how, on: kind, serving: ["pread"])
    }

    @Test("a crash is the same to the parent: signal, code, status, core", arguments: Kind.served)
    func crashes(kind: Kind) throws {
        try expectSameAsNative("signals-crashes", "as-the-parent-sees-it", on: kind, serving: ["pread"], mebibytes: 256)
    }

    @Test("a program that pages by its own SIGSEGV handler", arguments: Kind.served)
    func pagingOfItsOwn(kind: Kind) throws {
        try expectSameAsNative("signals-crashes", "paging-of-its-own", on: kind, serving: ["pread"])
    }

    @Test("null checks by SIGSEGV", arguments: Kind.served)
    func nullChecks(kind: Kind) throws {
        try expectSameAsNative("signals-crashes", "null-checks", on: kind, serving: ["pread"])
    }

    @Test("gdb and strace attach and leave", arguments: [Kind.tmpfs])
    func attached(kind: Kind) throws {
        try expectSameAsNative("signals-attached", "comes-and-leaves", on: kind, serving: ["pread", "pwrite"])
    }
}
