import TestSupport
import Testing

@Suite("Descriptions shared between descriptors, processes and streams have one offset and one set of flags")
struct SharingTests {
    typealias Kind = ScratchMount.Kind

    @Test("dup, dup2, dup3 and F_DUPFD share the offset", arguments: Kind.served)
    func duplicates(kind: Kind) throws {
        try expectSameAsNative("sharing", "duplicates", on: kind, serving: ["read"])
    }

    @Test("separate opens have offsets of their own", arguments: Kind.served)
    func separateOpens(kind: Kind) throws {
        try expectSameAsNative("sharing", "separate-opens", on: kind, serving: ["read"])
    }

    @Test("a forked child shares the offset with its parent", arguments: Kind.served)
    func forkedChild(kind: Kind) throws {
        try expectSameAsNative("sharing", "forked-child", on: kind, serving: ["read"])
    }

    @Test("parent and child read at once: every byte once", arguments: Kind.served)
    func forkedReadersAtOnce(kind: Kind) throws {
        try expectSameAsNative("sharing", "forked-readers-at-once", on: kind, serving: ["read"])
    }

    @Test("a vforked child, which shares memory but not descriptors", arguments: Kind.served)
    func vforkedChild(kind: Kind) throws {
        try expectSameAsNative("sharing", "vforked-child", on: kind, serving: ["pread"])
    }

    @Test("a cloned child with descriptors of its own, with and without shared memory", arguments: Kind.served)
    func clonedChild(kind: Kind) throws {
        try expectSameAsNative("sharing", "cloned-child", on: kind, serving: ["pread"])
    }

    @Test("descriptors given to a spawned program", arguments: Kind.served)
    func spawnedChild(kind: Kind) throws {
        try expectSameAsNative("sharing", "spawned-child", on: kind, serving: ["read"])
    }

    @Test("a program executed over an open description goes on at its offset", arguments: Kind.served)
    func overExec(kind: Kind) throws {
        try expectSameAsNative("sharing", "over-exec", on: kind, serving: ["read"])
    }

    @Test("a descriptor passed by SCM_RIGHTS shares the offset", arguments: Kind.served)
    func passedByMessage(kind: Kind) throws {
        try expectSameAsNative("sharing", "passed-by-message", on: kind, serving: ["read"])
    }

    @Test("O_APPEND switched on a duplicate holds at once", arguments: Kind.served)
    func appendSetOnADuplicate(kind: Kind) throws {
        try expectSameAsNative("sharing", "append-set-on-a-duplicate", on: kind, serving: ["pread"])
    }

    @Test("stdio streams and raw calls on one file", arguments: Kind.served)
    func streamsAndRawCalls(kind: Kind) throws {
        try expectSameAsNative("sharing", "streams-and-raw-calls", on: kind, serving: ["pread"])
    }
}
