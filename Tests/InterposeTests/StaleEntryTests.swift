import TestSupport
import Testing

@Suite("Closed by whom it may be, a number never gives one byte of the file it once meant")
struct StaleEntryTests {
    typealias Kind = ScratchMount.Kind

    @Test("streams, commands, directories and mount tables", arguments: Kind.served)
    func streams(kind: Kind) throws {
        try expectSameAsNative("stale-closes", "streams", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("login_tty and daemon", arguments: Kind.served)
    func terminals(kind: Kind) throws {
        try expectSameAsNative("stale-closes", "terminals", on: kind, serving: ["pread"])
    }

    @Test("io_uring", arguments: Kind.served)
    func ioUring(kind: Kind) throws {
        // Once there is a ring nothing is served; before it, the file that is only made ready.
        try expectSameAsNative("stale-closes", "io-uring", on: kind, serving: ["pread"])
    }

    @Test("a library that is unloaded", arguments: Kind.served)
    func libraries(kind: Kind) throws {
        try expectSameAsNative("stale-closes", "libraries", on: kind, serving: ["pread"])
    }

    @Test("the libc of another namespace", arguments: Kind.served)
    func anotherLibc(kind: Kind) throws {
        try expectSameAsNative("stale-closes", "another-libc", on: kind, serving: ["pread"])
    }

    @Test("exec, of programs with the shim and without", arguments: Kind.served)
    func closedByExec(kind: Kind) throws {
        try expectSameAsNative("stale-closes", "exec", on: kind, serving: ["pread"])
    }

    @Test("system calls whose numbers have more than the kernel looks at", arguments: Kind.served)
    func oddNumbers(kind: Kind) throws {
        try expectSameAsNative("stale-closes", "odd-numbers", on: kind, serving: ["pread"])
    }

    @Test("all ways, with the default of calls before a file is mapped", arguments: ["streams", "libraries", "exec"])
    func byDefault(testCase: String) throws {
        try expectSameAsNative("stale-closes", testCase, on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("opened, closed, copied and passed at random", arguments: Kind.served, ["alone", "with-children"])
    func storm(kind: Kind, testCase: String) throws {
        try expectSameAsNative("stale-storm", testCase, on: kind, serving: ["read", "pread", "preadv", "pwrite"])
    }

    @Test("the same with the default of calls before a file is mapped, and another seed")
    func stormByDefault() throws {
        try expectSameAsNative(
            "stale-storm", "with-children", on: .tmpfs, serving: [], mapAfter: nil, environment: ["STORM_SEED": "7"])
    }

    @Test("closed and opened by bare instructions, checked by PMEMSHIM_PARANOID", arguments: Kind.served)
    func stormInHiding(kind: Kind) throws {
        try expectSameAsNative(
            "stale-storm", "in-hiding", on: kind, serving: ["read", "pread", "preadv", "pwrite"],
            environment: ["PMEMSHIM_PARANOID": "1"])
    }

    @Test("closed by a ring that nobody saw made, checked by PMEMSHIM_PARANOID")
    func ioUringInHiding() throws {
        try expectSameAsNative(
            "stale-closes", "io-uring-in-hiding", on: .tmpfs, serving: ["pread"],
            environment: ["PMEMSHIM_PARANOID": "1"])
    }
}
