import Foundation
import TestSupport
import Testing

@Suite("Programs that lock themselves in: the shim steps aside")
struct GivingWayTests {
    typealias Kind = ScratchMount.Kind

    @Test("strict seccomp allows no system call the program does not make itself", arguments: Kind.served)
    func seccompStrict(kind: Kind) throws {
        try expectSameAsNative("giving-way", "seccomp-strict", on: kind, serving: ["pread"])
    }

    @Test("a seccomp filter that allows only the program's own calls", arguments: Kind.served)
    func seccompFilter(kind: Kind) throws {
        try expectSameAsNative("giving-way", "seccomp-filter", on: kind, serving: ["pread"])
    }

    @Test("the same before anything has been learnt: the filter may kill for the first call of ours")
    func seccompFilterAtOnce() throws {
        try expectSameAsNative("giving-way", "seccomp-filter", on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("mlockall and munlockall", arguments: Kind.served)
    func memoryLocked(kind: Kind) throws {
        // Without privilege the whole address space counts against RLIMIT_MEMLOCK, and the shim's is part of it.
        if geteuid() != 0 { try Test.cancel("only root may lock all memory whatever its limit") }
        try expectSameAsNative("giving-way", "memory-locked", on: kind, serving: ["pread"])
    }

    @Test("mlockall under RLIMIT_MEMLOCK", arguments: Kind.served)
    func memoryLockedUnderALimit(kind: Kind) throws {
        try expectSameAsNative("giving-way", "memory-locked-under-a-limit", on: kind, serving: ["pread"])
    }

    @Test("RLIMIT_AS set and lifted", arguments: Kind.served)
    func addressSpaceLimited(kind: Kind) throws {
        try expectSameAsNative("giving-way", "address-space-limited", on: kind, serving: ["pread"])
    }

    @Test("a thread with a descriptor table of its own", arguments: Kind.served)
    func descriptorsUnshared(kind: Kind) throws {
        try expectSameAsNative("giving-way", "descriptors-unshared", on: kind, serving: ["pread"])
    }

    @Test("served calls are cancellation points", arguments: Kind.served)
    func cancellation(kind: Kind) throws {
        try expectSameAsNative("giving-way", "cancellation", on: kind, serving: ["pread"])
    }

    @Test("RTLD_DEEPBIND and other namespaces", arguments: Kind.served)
    func deeplyBound(kind: Kind) throws {
        try expectSameAsNative("giving-way", "deeply-bound", on: kind, serving: ["pread"])
    }

    @Test("locking all memory makes no real memory of the sparse statistics file")
    func statisticsStaySparse() throws {
        let mount = try ScratchMount(.tmpfs)
        let runtime = try ScratchDirectory(in: "/dev/shm")
        let result = try run(
            Programs.path("giving-way"), ["memory-locked", mount.directory], preload: true, mounts: [mount.item],
            runtimeDirectory: runtime.path)
        #expect(result.counts.served() > 0)
        let used = try LibrarySymbols.output("/usr/bin/du", ["-k", "\(runtime.path)/stats"])
        let kibibytes = used.split(separator: "\t").first.flatMap { Int($0) }
        #expect(try #require(kibibytes) < 4096)
    }
}
