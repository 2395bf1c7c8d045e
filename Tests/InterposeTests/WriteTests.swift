import TestSupport
import Testing

@Suite("write, pwrite, writev, pwritev and pwritev2 do what they do without the shim")
struct WriteTests {
    typealias Kind = ScratchMount.Kind

    @Test("overwrites of any length follow the offset", arguments: Kind.served)
    func sequentialOverwrite(kind: Kind) throws {
        try expectSameAsNative("write-family", "sequential-overwrite", on: kind, serving: ["write"])
    }

    @Test("positioned overwrites land where they should, thousands in a row", arguments: Kind.served)
    func positionedOverwrite(kind: Kind) throws {
        try expectSameAsNative("write-family", "positioned-overwrite", on: kind, serving: ["pwrite"])
    }

    @Test("other processes see what was written, and are seen writing", arguments: Kind.served)
    func seenByOtherProcesses(kind: Kind) throws {
        try expectSameAsNative("write-family", "seen-by-other-processes", on: kind, serving: ["pread"])
    }

    @Test("a write across or past the end of file extends it", arguments: Kind.served)
    func extending(kind: Kind) throws {
        try expectSameAsNative("write-family", "extension", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("a write far past the end of file leaves a hole that reads as zeros", arguments: Kind.served)
    func holes(kind: Kind) throws {
        try expectSameAsNative("write-family", "holes", on: kind, serving: ["pread"])
    }

    @Test("O_APPEND appends, with pwrite and pwritev too", arguments: Kind.served)
    func append(kind: Kind) throws {
        try expectSameAsNative("write-family", "append", on: kind, serving: ["pread"])
    }

    @Test(
        "read-only, closed and directory descriptors and bad offsets give the kernel's errors", arguments: Kind.served)
    func badDescriptors(kind: Kind) throws {
        try expectSameAsNative("write-family", "bad-descriptors", on: kind, serving: ["pread"])
    }

    @Test("a buffer that cannot be read writes as much as the kernel writes of it", arguments: Kind.served)
    func badBuffers(kind: Kind) throws {
        try expectSameAsNative("write-family", "bad-buffers", on: kind, serving: ["pwrite"])
    }

    @Test("counts of zero and of more than SSIZE_MAX", arguments: Kind.served)
    func counts(kind: Kind) throws {
        try expectSameAsNative("write-family", "counts", on: kind, serving: ["pread"])
    }

    @Test("vectors of any shape are written in order", arguments: Kind.served)
    func vectored(kind: Kind) throws {
        try expectSameAsNative("write-family", "vectored", on: kind, serving: ["writev", "pwritev"])
    }

    @Test("bad vectors give the kernel's errors and write what it would write", arguments: Kind.served)
    func badVectors(kind: Kind) throws {
        try expectSameAsNative("write-family", "bad-vectors", on: kind, serving: ["pread"])
    }

    @Test("pwritev2 honours its flags, known and unknown, and the offset -1", arguments: Kind.served)
    func pwritev2Flags(kind: Kind) throws {
        try expectSameAsNative("write-family", "pwritev2-flags", on: kind, serving: ["pwritev"])
    }

    @Test("the buffer may be a mapping of the very file", arguments: Kind.served)
    func fromAMappingOfTheFile(kind: Kind) throws {
        try expectSameAsNative("write-family", "from-a-mapping-of-the-file", on: kind, serving: ["pread"])
    }

    @Test("synchronous descriptors write the same", arguments: Kind.served)
    func synchronous(kind: Kind) throws {
        try expectSameAsNative("write-family", "synchronous", on: kind, serving: ["pread"])
    }

    @Test("no write leaves the file's times older than itself", arguments: Kind.served)
    func times(kind: Kind) throws {
        try expectSameAsNative("write-family", "times", on: kind, serving: ["pwrite"])
    }

    @Test("set-user-id bits fall with the first write of who may not keep them", arguments: Kind.served)
    func setUserIdBits(kind: Kind) throws {
        try expectSameAsNative("write-family", "set-user-id-bits", on: kind, serving: ["pread"])
    }

    @Test("threads that write one page or share one offset do not mix their bytes", arguments: Kind.served)
    func writersDoNotMix(kind: Kind) throws {
        try expectSameAsNative("write-family", "writers-do-not-mix", on: kind, serving: ["pwrite"])
    }
}

@Suite("Limits and full devices stop writes as they do without the shim")
struct WriteLimitTests {
    typealias Kind = ScratchMount.Kind

    @Test("RLIMIT_FSIZE refuses and cuts writes while it is set, by whichever call", arguments: Kind.served)
    func fileSizeLimit(kind: Kind) throws {
        try expectSameAsNative("write-limits", "file-size-limit", on: kind, serving: ["pwrite"])
    }

    @Test("RLIMIT_FSIZE is inherited over fork and exec", arguments: Kind.served)
    func fileSizeLimitInherited(kind: Kind) throws {
        try expectSameAsNative("write-limits", "file-size-limit-inherited", on: kind, serving: ["pread"])
    }

    @Test("a write beyond RLIMIT_FSIZE kills by SIGXFSZ", arguments: Kind.served)
    func fileSizeLimitKills(kind: Kind) throws {
        try expectSameAsNative("write-limits", "file-size-limit-kills", on: kind, serving: ["pread"])
    }

    @Test("on a full file system overwrites succeed and holes give ENOSPC", arguments: Kind.served)
    func noSpace(kind: Kind) throws {
        try expectSameAsNative(
            "write-limits", "no-space", on: kind, serving: ["pread"], mebibytes: 20, onWholeFileSystem: true)
    }
}
