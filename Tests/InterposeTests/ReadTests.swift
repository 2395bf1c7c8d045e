import TestSupport
import Testing

@Suite("read, pread, readv, preadv and preadv2 do what they do without the shim")
struct ReadTests {
    typealias Kind = ScratchMount.Kind

    @Test("reads of any length follow the offset to the end of file", arguments: Kind.served)
    func sequential(kind: Kind) throws {
        try expectSameAsNative("read-family", "sequential", on: kind, serving: ["read"])
    }

    @Test("positioned reads of any length and alignment leave the offset alone", arguments: Kind.served)
    func positioned(kind: Kind) throws {
        try expectSameAsNative("read-family", "positioned", on: kind, serving: ["pread"])
    }

    @Test("a read that touches the end of file is as short as the kernel's", arguments: Kind.served)
    func atEndOfFile(kind: Kind) throws {
        try expectSameAsNative("read-family", "at-end-of-file", on: kind, serving: ["pread"])
    }

    @Test("negative offsets are refused", arguments: Kind.served)
    func negativeOffsets(kind: Kind) throws {
        try expectSameAsNative("read-family", "negative-offsets", on: kind, serving: ["pread"])
    }

    @Test("bad, closed, write-only, path and directory descriptors give the kernel's errors", arguments: Kind.served)
    func badDescriptors(kind: Kind) throws {
        try expectSameAsNative("read-family", "bad-descriptors", on: kind, serving: ["pread"])
    }

    @Test("a buffer that cannot be written gives EFAULT, or a short count at its border", arguments: Kind.served)
    func badBuffers(kind: Kind) throws {
        try expectSameAsNative("read-family", "bad-buffers", on: kind, serving: ["pread"])
    }

    @Test("counts of zero, of more than SSIZE_MAX, and of more than one call moves", arguments: Kind.served)
    func counts(kind: Kind) throws {
        try expectSameAsNative("read-family", "counts", on: kind, serving: ["pread"])
    }

    @Test("vectors of any shape are filled in order", arguments: Kind.served)
    func vectored(kind: Kind) throws {
        try expectSameAsNative("read-family", "vectored", on: kind, serving: ["readv", "preadv"])
    }

    @Test("bad vectors give the kernel's errors and move what it would move", arguments: Kind.served)
    func badVectors(kind: Kind) throws {
        try expectSameAsNative("read-family", "bad-vectors", on: kind, serving: ["pread"])
    }

    @Test("preadv2 honours its flags, known and unknown, and the offset -1", arguments: Kind.served)
    func preadv2Flags(kind: Kind) throws {
        try expectSameAsNative("read-family", "preadv2-flags", on: kind, serving: ["preadv"])
    }

    @Test("the buffer may be a mapping of the very file", arguments: Kind.served)
    func intoAMappingOfTheFile(kind: Kind) throws {
        try expectSameAsNative("read-family", "into-a-mapping-of-the-file", on: kind, serving: ["pread"])
    }

    @Test("threads that share an offset read every byte once", arguments: Kind.served)
    func threadsShareAnOffset(kind: Kind) throws {
        try expectSameAsNative("read-family", "threads-share-an-offset", on: kind, serving: ["read"])
    }

    @Test("every readable access mode reads the same", arguments: Kind.served)
    func accessModes(kind: Kind) throws {
        try expectSameAsNative("read-family", "access-modes", on: kind, serving: ["pread", "read"])
    }

    @Test("empty files, and files of a few bytes or pages", arguments: Kind.served)
    func smallAndEmptyFiles(kind: Kind) throws {
        // The last page is the kernel's, and of small files there is no other.
        try expectSameAsNative("read-family", "small-and-empty-files", on: kind, serving: [])
    }
}
