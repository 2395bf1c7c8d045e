import TestSupport
import Testing

@Suite("Files that change between served calls")
struct ChangingFileTests {
    typealias Kind = ScratchMount.Kind

    @Test("ftruncate and truncate, shorter and longer", arguments: Kind.served)
    func truncatedByUs(kind: Kind) throws {
        try expectSameAsNative("changing-files", "truncated-by-us", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("truncated on another descriptor, by O_TRUNC and by streams", arguments: Kind.served)
    func truncatedOnAnotherDescriptor(kind: Kind) throws {
        try expectSameAsNative("changing-files", "truncated-on-another-descriptor", on: kind, serving: ["pread"])
    }

    @Test("truncated, grown and rewritten by a program without the shim", arguments: Kind.served)
    func truncatedByAnotherProgram(kind: Kind) throws {
        try expectSameAsNative("changing-files", "truncated-by-another-program", on: kind, serving: ["pread"])
    }

    @Test("cut inside the very page that is read or written next", arguments: Kind.served)
    func cutInsideAPage(kind: Kind) throws {
        try expectSameAsNative("changing-files", "cut-inside-a-page", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("bytes, holes and growth by a program without the shim", arguments: Kind.served)
    func changedByAnotherProgram(kind: Kind) throws {
        try expectSameAsNative("changing-files", "changed-by-another-program", on: kind, serving: ["pread"])
    }

    @Test("fallocate: punch, zero, collapse, insert, allocate", arguments: Kind.served)
    func fallocated(kind: Kind) throws {
        try expectSameAsNative("changing-files", "fallocated", on: kind, serving: ["pread"])
    }

    @Test("reopened with O_TRUNC and written anew", arguments: Kind.served)
    func reopenedWithTruncation(kind: Kind) throws {
        try expectSameAsNative("changing-files", "reopened-with-truncation", on: kind, serving: ["pread"])
    }

    @Test("renamed, linked and unlinked while open; inode numbers come again", arguments: Kind.served)
    func renamedAndUnlinked(kind: Kind) throws {
        try expectSameAsNative("changing-files", "renamed-and-unlinked", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("mapped by the program beside its calls", arguments: Kind.served)
    func mappedByTheProgram(kind: Kind) throws {
        try expectSameAsNative("changing-files", "mapped-by-the-program", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("fsync, fdatasync, sync_file_range and their errors", arguments: Kind.served)
    func synced(kind: Kind) throws {
        try expectSameAsNative("changing-files", "synced", on: kind, serving: ["pread"])
    }

    @Test("copy_file_range, sendfile and splice from and to served files", arguments: Kind.served)
    func copiedByTheKernel(kind: Kind) throws {
        try expectSameAsNative("changing-files", "copied-by-the-kernel", on: kind, serving: ["pread"])
    }

    @Test("truncated by another thread while being read", arguments: Kind.served)
    func truncatedWhileRead(kind: Kind) throws {
        try expectSameAsNative("changing-files", "truncated-while-read", on: kind, serving: ["pread"])
    }

    @Test("O_DIRECT beside ordinary descriptors", arguments: Kind.served)
    func directly(kind: Kind) throws {
        try expectSameAsNative("changing-files", "directly", on: kind, serving: ["pread"])
    }

    @Test("mode changes and the immutable flag", arguments: Kind.served)
    func sealedAndImmutable(kind: Kind) throws {
        try expectSameAsNative("changing-files", "sealed-and-immutable", on: kind, serving: ["pread"])
    }
}
