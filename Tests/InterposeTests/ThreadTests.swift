import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Several threads on one descriptor and one file")
struct ThreadTests {
    typealias Kind = ScratchMount.Kind

    @Test("reads at one offset: every byte once", arguments: Kind.served)
    func readsShareOneOffset(kind: Kind) throws {
        try expectSameAsNative("threads-offset", "reads-share-one-offset", on: kind, serving: ["read", "readv"])
    }

    @Test("overwrites at one offset: every record once, in one piece", arguments: Kind.served)
    func writesShareOneOffset(kind: Kind) throws {
        try expectSameAsNative("threads-offset", "writes-share-one-offset", on: kind, serving: ["write", "writev"])
    }

    @Test("writes that extend the file at one offset leave no gap", arguments: Kind.served)
    func writesExtendAtOneOffset(kind: Kind) throws {
        try expectSameAsNative("threads-offset", "writes-extend-at-one-offset", on: kind, serving: ["pread"])
    }

    @Test("readers and writers at one offset never meet", arguments: Kind.served)
    func readersAndWritersShareOneOffset(kind: Kind) throws {
        try expectSameAsNative(
            "threads-offset", "readers-and-writers-share-one-offset", on: kind, serving: ["read", "write"])
    }

    @Test(
        "writers of one range do not mix, however long it is", arguments: Kind.served,
        ["small", "pages", "large", "huge"])
    func writersDoNotMix(kind: Kind, size: String) throws {
        try expectSameAsNative("threads-writers", size, on: kind, serving: ["pwrite"])
    }

    @Test("closed and replaced while others read", arguments: Kind.served)
    func closedWhileRead(kind: Kind) throws {
        try expectSameAsNative("threads-changes", "closed-while-read", on: kind, serving: ["pread"])
    }

    @Test("cut and lengthened while others read and write", arguments: Kind.served)
    func truncatedWhileCopied(kind: Kind) throws {
        try expectSameAsNative("threads-changes", "truncated-while-copied", on: kind, serving: ["pread"])
    }

    @Test("unlinked, and its name made anew, while others read", arguments: Kind.served)
    func unlinkedWhileCopied(kind: Kind) throws {
        try expectSameAsNative("threads-changes", "unlinked-while-copied", on: kind, serving: ["pread"])
    }

    @Test("a log replaced by dup2 loses no record that others write", arguments: Kind.served)
    func replacedWhileWritten(kind: Kind) throws {
        try expectSameAsNative(
            "threads-changes", "replaced-while-written", on: kind, serving: ["write"], mebibytes: 128)
    }

    @Test("a file replaced by dup2 while others read it in order: every record once", arguments: Kind.served)
    func replacedWhileRead(kind: Kind) throws {
        try expectSameAsNative("threads-changes", "replaced-while-read", on: kind, serving: ["read"], mebibytes: 128)
    }

    @Test(
        "a number given to another file in the middle of a call: the call goes on in its own", arguments: Kind.served,
        ["read-goes-on", "read-of-two-goes-on", "write-goes-on", "write-of-two-goes-on"])
    func replacedInTheMiddle(kind: Kind, testCase: String) throws {
        if geteuid() != 0 { try Test.cancel("only root may hold up a copy in the kernel (userfaultfd)") }
        try expectSameAsNative("threads-blocked", testCase, on: kind, serving: ["pread"])
    }
}

@Suite("More descriptors than most programs have")
struct ManyDescriptorTests {
    @Test("ten thousand open files")
    func tenThousandFiles() throws {
        try skipUnlessAllowed(10_100)
        try expectSameAsNative("threads-many", "ten-thousand-files", on: .tmpfs, serving: ["pread"], mebibytes: 160)
    }

    @Test("RLIMIT_NOFILE raised and lowered at run time", arguments: ScratchMount.Kind.served)
    func limitRaisedAtRunTime(kind: ScratchMount.Kind) throws {
        try skipUnlessAllowed(4_000)
        try expectSameAsNative("threads-many", "limit-raised-at-run-time", on: kind, serving: ["pread", "read"])
    }

    @Test("numbers above the shim's table pass on", arguments: ScratchMount.Kind.served)
    func aboveTheTable(kind: ScratchMount.Kind) throws {
        try skipUnlessAllowed(1_000_100)
        try expectSameAsNative("threads-many", "above-the-table", on: kind, serving: ["pread"])
    }

    private func skipUnlessAllowed(_ count: UInt) throws {
        let tried = try spawn("/usr/bin/prlimit", ["--nofile=\(count):\(count)", "/bin/true"])
        if tried.ending == .exited(0) { return }
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_max >= count else {
            try Test.cancel("\(count) descriptors are not allowed here (no CAP_SYS_RESOURCE)")
        }
    }
}
