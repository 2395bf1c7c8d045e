import TestSupport
import Testing

@Suite("A window pins nothing: right after close() all is as without the shim")
struct PinningTests {
    typealias Kind = ScratchMount.Kind

    struct Pin: Sendable, CustomTestStringConvertible {
        let testDescription, name: String
        let served: [String]

        /// `name`: what the program `pinning` does.
        init(_ description: String, _ name: String, _ served: String...) {
            (testDescription, self.name, self.served) = (description, name, served)
        }
    }

    static let pins = [
        Pin("flock locks are gone, also where a second descriptor is served", "flock", "pread", "pwrite"),
        Pin("open file description locks are gone", "open-description-lock", "pread"),
        Pin("POSIX record locks stay through served calls and go with close", "record-lock", "pread", "pwrite"),
        Pin("a program just written can be executed", "text-file-busy", "pwrite"),
        Pin("leases are given as if nobody had mapped the file", "leases", "pread"),
        Pin("no mapping of the file is left", "mappings-left-behind", "pread"),
    ]

    @Test("locks, leases and mappings", arguments: Kind.served, pins)
    func nothingIsPinned(kind: Kind, pin: Pin) throws {
        try expectSameAsNative("pinning", pin.name, on: kind, serving: pin.served, mebibytes: 100)
    }

    @Test("the space of an unlinked file is free", arguments: Kind.served)
    func spaceOfUnlinkedFiles(kind: Kind) throws {
        try expectSameAsNative(
            "pinning", "space-of-unlinked-files", on: kind, serving: ["pread"], mebibytes: 100, onWholeFileSystem: true)
    }
}
