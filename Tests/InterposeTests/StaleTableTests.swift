import TestSupport
import Testing

@Suite("Descriptor tables shared with others: numbers that change where this process makes no call")
struct StaleTableTests {
    typealias Kind = ScratchMount.Kind

    @Test("a process that shares the table, but not the memory, closes and opens", arguments: Kind.served)
    func tableSharedWithAProcess(kind: Kind) throws {
        try expectSameAsNative("stale-tables", "table-shared-with-a-process", on: kind, serving: ["pread"])
    }

    @Test("a process that shares the table and the memory", arguments: Kind.served)
    func tableAndMemoryShared(kind: Kind) throws {
        try expectSameAsNative("stale-tables", "table-and-memory-shared", on: kind, serving: ["pread"])
    }

    @Test("a process that shares the table, by default of calls before a file is mapped")
    func tableSharedByDefault() throws {
        try expectSameAsNative(
            "stale-tables", "table-shared-with-a-process", on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("a table that changes at any moment")
    func tableChangedAtAnyMoment() throws {
        try expectSameAsNative("stale-tables", "table-changed-at-any-moment", on: .tmpfs, serving: ["pread"])
    }

    @Test("a process that shares the memory, but not the table", arguments: Kind.served)
    func memorySharedWithAProcess(kind: Kind) throws {
        try expectSameAsNative("stale-tables", "memory-shared-with-a-process", on: kind, serving: ["pread"])
    }

    @Test("threads that get a table of their own", arguments: Kind.served)
    func threadsThatPart(kind: Kind) throws {
        try expectSameAsNative("stale-tables", "threads-that-part", on: kind, serving: ["pread"])
    }

    @Test("the same calls with one thread, which part from nobody", arguments: Kind.served)
    func oneThreadThatParts(kind: Kind) throws {
        try expectSameAsNative("stale-tables", "one-thread-that-parts", on: kind, serving: ["pread"])
    }

    @Test("CLOSE_RANGE_CLOEXEC closes at exec, and not before", arguments: Kind.served)
    func markedForExec(kind: Kind) throws {
        try expectSameAsNative("stale-tables", "marked-for-exec", on: kind, serving: ["pread"])
    }
}
