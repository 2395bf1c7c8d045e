import TestSupport
import Testing

@Suite("Children by every way there is share what the kernel shares, and nothing else")
struct ProcessTests {
    typealias Kind = ScratchMount.Kind

    @Test("forks, by libc, by syscall() and by the bare instruction", arguments: Kind.served)
    func forkedByEveryWay(kind: Kind) throws {
        try expectSameAsNative(
            "process-children", "forked-by-every-way", on: kind, serving: ["read", "pread", "pwrite"])
    }

    @Test("forks, with the default of calls before a file is mapped")
    func forkedByEveryWayByDefault() throws {
        try expectSameAsNative("process-children", "forked-by-every-way", on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("a forked child is served as its parent is", arguments: Kind.served)
    func servedInChildren(kind: Kind) throws {
        let mount = try ScratchMount(kind)
        let run = try run(
            Programs.path("process-children"), ["served-in-children", mount.directory], preload: true,
            mounts: [mount.item])
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(!run.stdout.contains("BAD"))
        // 8 children of 400 reads and 400 writes, of which few are the first of their tick.
        #expect(run.counts.served("pread") > 8 * 300, "\(run.counts.calls)")
        #expect(run.counts.served("pwrite") > 8 * 200, "\(run.counts.calls)")
    }

    @Test("a forked child knows every item of PMEMSHIM_MOUNTS, not only its parent's first")
    func allMountsInChildren() throws {
        let first = try ScratchMount(.tmpfs)
        let second = try ScratchMount(.tmpfs)
        let run = try run(
            Programs.path("process-children"), ["served-in-children", second.directory], preload: true,
            mounts: [first.item, second.item])
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.counts.served("pread") > 8 * 300, "\(run.counts.calls)")
    }

    @Test("children of children of children", arguments: Kind.served)
    func childrenOfChildren(kind: Kind) throws {
        try expectSameAsNative("process-children", "children-of-children", on: kind, serving: ["pread"])
    }

    @Test("a forked child sets actions for SIGSEGV and SIGBUS, and faults in served calls", arguments: Kind.served)
    func signalsInChildren(kind: Kind) throws {
        try expectSameAsNative("process-children", "signals-in-children", on: kind, serving: ["pread"])
    }

    @Test("forks beside threads that copy, learn, map and retire")
    func forkedBesideBusyThreads() throws {
        try expectSameAsNative(
            "process-children", "forked-beside-busy-threads", on: .tmpfs, serving: ["pread", "pwrite"])
    }

    @Test(
        "a fork in a handler that interrupted a served call: the child returns into it",
        arguments: ["while-reading", "while-writing", "that-maps"])
    func forkedInAHandler(how: String) throws {
        try expectSameAsNative(
            "process-children", "forked-in-a-handler-\(how)", on: .tmpfs,
            serving: how == "while-writing" ? ["pwrite"] : ["pread"])
    }

    @Test("a fork at each instruction of a served read: the child returns into it")
    func forkedInReads() throws {
        try expectSameAsNative("process-steps", "reads", on: .tmpfs, serving: ["pread", "preadv", "read", "readv"])
    }

    @Test("a fork at each instruction of a served write: the child returns into it")
    func forkedInWrites() throws {
        try expectSameAsNative("process-steps", "writes", on: .tmpfs, serving: ["pwrite", "pwritev", "write"])
    }

    @Test("a child that closes, opens, fails to exec and execs in its parent's memory", arguments: Kind.served)
    func vforkedChildThatWorks(kind: Kind) throws {
        try expectSameAsNative("process-children", "vforked-child-that-works", on: kind, serving: ["pread"])
    }

    @Test("a limit lifted by a child in its parent's memory is not its parent's", arguments: Kind.served)
    func vforkedChildAndLimits(kind: Kind) throws {
        try expectSameAsNative("process-children", "vforked-child-and-limits", on: kind, serving: ["pread"])
    }
}
