import Foundation
import TestSupport
import Testing

@Suite("Limits of the process, reached or set by whomever")
struct FaultLimitTests {
    typealias Kind = ScratchMount.Kind

    @Test(
        "RLIMIT_FSIZE sends SIGXFSZ to a handler as often as it should, for every kind of write", arguments: Kind.served
    )
    func fileSizeHandled(kind: Kind) throws {
        try expectSameAsNative("faults-limits", "file-size-handled", on: kind, serving: ["pwrite", "write"])
    }

    @Test("RLIMIT_FSIZE with SIGXFSZ blocked leaves it pending")
    func fileSizeBlocked() throws {
        try expectSameAsNative("faults-limits", "file-size-blocked", on: .tmpfs, serving: ["pwrite"])
    }

    @Test("RLIMIT_FSIZE set and lifted by another process holds from the next clock tick on", arguments: Kind.served)
    func fileSizeFromOutside(kind: Kind) throws {
        try expectSameAsNative("faults-limits", "file-size-from-outside", on: kind, serving: ["pwrite", "write"])
    }

    @Test("with no address space left", arguments: Kind.served)
    func addressSpaceExhausted(kind: Kind) throws {
        try expectSameAsNative("faults-limits", "address-space-exhausted", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("with no mappings left (vm.max_map_count)")
    func mappingsExhausted() throws {
        try expectSameAsNative("faults-limits", "mappings-exhausted", on: .tmpfs, serving: ["pread", "pwrite"])
    }

    @Test("with no mappings left, in a program of two threads, where a window may not simply be unmapped")
    func mappingsExhaustedWithThreads() throws {
        try expectSameAsNative(
            "faults-limits", "mappings-exhausted-with-threads", on: .tmpfs, serving: ["pread", "pwrite"])
    }

    @Test("a program started under RLIMIT_AS has the address space it has without the shim")
    func addressSpaceLimitedAtStart() throws {
        try expectSameAsNative(
            "faults-limits", "address-space-limited-at-start", on: .tmpfs, serving: ["pread", "pwrite"])
    }

    @Test("RLIMIT_AS set and lifted by another process")
    func addressSpaceLimitedFromOutside() throws {
        try expectSameAsNative(
            "faults-limits", "address-space-limited-from-outside", on: .tmpfs, serving: ["pread", "pwrite"])
    }

    @Test(
        "mlockall with every combination of its flags, by libc and by syscall(), locks no window",
        arguments: Kind.served)
    func memoryLockedOnFault(kind: Kind) throws {
        if geteuid() != 0 { try Test.cancel("only root may lock all memory whatever its limit") }
        try expectSameAsNative("faults-limits", "memory-locked-on-fault", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("mlockall while another thread reads")
    func memoryLockedWhileRead() throws {
        if geteuid() != 0 { try Test.cancel("only root may lock all memory whatever its limit") }
        try expectSameAsNative("faults-limits", "memory-locked-while-read", on: .tmpfs, serving: ["pread"])
    }
}

@Suite("System call filters")
struct FaultFilterTests {
    typealias Kind = ScratchMount.Kind

    @Test(
        "no call that only the shim wants is made once a filter is there, whatever it does with it",
        arguments: ["that-refuse", "that-do-not-know", "that-kill", "that-trap"])
    func filters(testCase: String) throws {
        try expectSameAsNative("faults-seccomp", testCase, on: .tmpfs, serving: ["pread"])
    }

    @Test("a filter that one thread sets for all, one of them in the middle of served calls", arguments: Kind.served)
    func forAllThreads(kind: Kind) throws {
        try expectSameAsNative("faults-seccomp", "for-all-threads", on: kind, serving: ["pread"])
    }

    @Test(
        "a program started under a filter that refuses what the shim wants goes on without it",
        arguments: ["inherited-that-refuse", "inherited-that-do-not-know"])
    func inherited(testCase: String) throws {
        try expectSameAsNative("faults-seccomp", testCase, on: .tmpfs, serving: ["pread"])
    }
}
