import TestSupport
import Testing

@Suite("Signals are what they are without the shim, after windows exist")
struct SignalTests {
    typealias Kind = ScratchMount.Kind

    @Test("sigaction, signal and their kin tell what was set", arguments: Kind.served)
    func actionsAreAsSet(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "actions-are-as-set", on: kind, serving: ["pread"])
    }

    @Test("the program's own handlers catch its own faults, and only those", arguments: Kind.served)
    func ownHandlersCatchOwnFaults(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "own-handlers-catch-own-faults", on: kind, serving: ["pread"])
    }

    @Test("handlers run on their stack and with their mask", arguments: Kind.served)
    func alternateStackAndMask(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "alternate-stack-and-mask", on: kind, serving: ["pread"])
    }

    @Test("masks are seen as set, and a fault in a served call is survived under any", arguments: Kind.served)
    func masksAreAsSet(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "masks-are-as-set", on: kind, serving: ["pread"])
    }

    @Test("reads in signal handlers that interrupt reads", arguments: Kind.served)
    func readsInSignalHandlers(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "reads-in-signal-handlers", on: kind, serving: ["pread"])
    }

    @Test("a crash kills with the same signal", arguments: Kind.served)
    func crashes(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "crashes", on: kind, serving: ["pread"])
    }

    @Test("signals waited for arrive", arguments: Kind.served)
    func waitedFor(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "waited-for", on: kind, serving: ["pread"])
    }

    @Test("contexts with masks of their own", arguments: Kind.served)
    func contexts(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "contexts", on: kind, serving: ["pread"])
    }

    @Test("a program that begins with every signal blocked", arguments: Kind.served)
    func beginsBlocked(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "begins-blocked", on: kind, serving: ["pread"])
    }

    @Test("threads that begin with every signal blocked", arguments: Kind.served)
    func threadsAndMasks(kind: Kind) throws {
        try expectSameAsNative("crash-signals", "threads-and-masks", on: kind, serving: ["pread"])
    }

    @Test(
        "masks that come back with jumps and contexts, and handlers during waits",
        arguments: Kind.served,
        [
            "by-siglongjmp", "by-longjmp", "out-of-handlers", "by-contexts", "by-stored-context", "waits-by-name",
            "waits-by-number", "taken-by-number",
        ])
    func masksThatComeBack(kind: Kind, testCase: String) throws {
        try expectSameAsNative("signals-returns", testCase, on: kind, serving: ["pread"])
    }

    @Test("masks that threads begin with, and that come back in threads", arguments: Kind.served)
    func masksOfThreads(kind: Kind) throws {
        try expectSameAsNative("signals-returns", "threads", on: kind, serving: ["pread"])
    }
}
