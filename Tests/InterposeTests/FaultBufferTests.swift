import TestSupport
import Testing

@Suite("Buffers that are not wholly there give the kernel's counts and errors")
struct FaultBufferTests {
    typealias Kind = ScratchMount.Kind

    @Test("reads into buffers that end in unmapped, forbidden, read-only and cut-off pages", arguments: Kind.served)
    func readTargets(kind: Kind) throws {
        try expectSameAsNative("faults-buffers", "read-targets", on: kind, serving: ["pread", "read"])
    }

    @Test("vectored reads with a bad part first, in the middle and last", arguments: Kind.served)
    func vectoredTargets(kind: Kind) throws {
        try expectSameAsNative("faults-buffers", "vectored-targets", on: kind, serving: ["pread"])
    }

    @Test("writes from buffers that end in unmapped, forbidden and cut-off pages", arguments: Kind.served)
    func writeSources(kind: Kind) throws {
        try expectSameAsNative("faults-buffers", "write-sources", on: kind, serving: ["pwrite"])
    }

    @Test("addresses that are null, not canonical or the kernel's own", arguments: Kind.served)
    func absurdAddresses(kind: Kind) throws {
        try expectSameAsNative("faults-buffers", "absurd-addresses", on: kind, serving: ["pread"])
    }

    @Test("vectors that end at a border", arguments: Kind.served)
    func vectorsAtABorder(kind: Kind) throws {
        try expectSameAsNative("faults-buffers", "vectors-at-a-border", on: kind, serving: ["preadv"])
    }
}
