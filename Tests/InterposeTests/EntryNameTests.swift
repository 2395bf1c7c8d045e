import TestSupport
import Testing

@Suite("Every name of a call does the same")
struct EntryNameTests {
    typealias Kind = ScratchMount.Kind

    @Test("64-bit aliases, leading underscores and checked twins of the reading calls", arguments: Kind.served)
    func readingNames(kind: Kind) throws {
        try expectSameAsNative("entry-names", "reading-names", on: kind, serving: ["read", "pread", "readv", "preadv"])
    }

    @Test("64-bit aliases and leading underscores of the writing calls", arguments: Kind.served)
    func writingNames(kind: Kind) throws {
        try expectSameAsNative(
            "entry-names", "writing-names", on: kind, serving: ["write", "pwrite", "writev", "pwritev"])
    }

    @Test("checked twins end a program whose buffer is too small", arguments: Kind.served)
    func checkedTwinsCheck(kind: Kind) throws {
        try expectSameAsNative("entry-names", "checked-twins-check", on: kind, serving: [])
    }

    @Test("the same calls through syscall()", arguments: Kind.served)
    func throughSyscall(kind: Kind) throws {
        try expectSameAsNative("entry-names", "through-syscall", on: kind, serving: ["pread"])
    }
}

@Suite("Programs compiled with _FORTIFY_SOURCE")
struct FortifiedTests {
    typealias Kind = ScratchMount.Kind

    @Test("data calls", arguments: Kind.served)
    func dataCalls(kind: Kind) throws {
        try expectSameAsNative("checked-fortified", "data-calls", on: kind, serving: ["read", "pread"])
    }

    @Test("opens whose flags are not known when compiling", arguments: Kind.served)
    func opens(kind: Kind) throws {
        try expectSameAsNative("checked-fortified", "opens", on: kind, serving: ["pread"])
    }

    @Test("an overflow is caught", arguments: Kind.served)
    func overflow(kind: Kind) throws {
        try expectSameAsNative("checked-fortified", "overflow", on: kind, serving: [])
    }
}
