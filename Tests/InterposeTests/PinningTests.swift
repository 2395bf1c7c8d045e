import TestSupport
import Testing

@Suite("A window pins nothing: right after close() all is as without the shim")
struct PinningTests {
    typealias Kind = ScratchMount.Kind

    @Test("flock locks are gone, also where a second descriptor is served", arguments: Kind.served)
    func flock(kind: Kind) throws {
        try expectSameAsNative("pinning", "flock", on: kind, serving: ["pread", "pwrite"], mebibytes: 100)
    }

    @Test("open file description locks are gone", arguments: Kind.served)
    func openDescriptionLock(kind: Kind) throws {
        try expectSameAsNative("pinning", "open-description-lock", on: kind, serving: ["pread"], mebibytes: 100)
    }

    @Test("POSIX record locks stay through served calls and go with close", arguments: Kind.served)
    func recordLock(kind: Kind) throws {
        try expectSameAsNative("pinning", "record-lock", on: kind, serving: ["pread", "pwrite"], mebibytes: 100)
    }

    @Test("a program just written can be executed", arguments: Kind.served)
    func textFileBusy(kind: Kind) throws {
        try expectSameAsNative("pinning", "text-file-busy", on: kind, serving: ["pwrite"], mebibytes: 100)
    }

    @Test("leases are given as if nobody had mapped the file", arguments: Kind.served)
    func leases(kind: Kind) throws {
        try expectSameAsNative("pinning", "leases", on: kind, serving: ["pread"], mebibytes: 100)
    }

    @Test("the space of an unlinked file is free", arguments: Kind.served)
    func spaceOfUnlinkedFiles(kind: Kind) throws {
        try expectSameAsNative(
            "pinning", "space-of-unlinked-files", on: kind, serving: ["pread"], mebibytes: 100, onWholeFileSystem: true)
    }

    @Test("no mapping of the file is left", arguments: Kind.served)
    func mappingsLeftBehind(kind: Kind) throws {
        try expectSameAsNative("pinning", "mappings-left-behind", on: kind, serving: ["pread"], mebibytes: 100)
    }
}
