import TestSupport
import Testing

@Suite("A number that changes its meaning never gives one byte of the wrong file")
struct DescriptorReuseTests {
    typealias Kind = ScratchMount.Kind

    @Test("closed by every way, and opened again", arguments: Kind.served)
    func closedAndOpenedAgain(kind: Kind) throws {
        try expectSameAsNative("descriptor-reuse", "closed-and-opened-again", on: kind, serving: ["pread"])
    }

    @Test("replaced by dup2, dup3, syscall and freopen", arguments: Kind.served)
    func replaced(kind: Kind) throws {
        try expectSameAsNative("descriptor-reuse", "replaced", on: kind, serving: ["pread"])
    }

    @Test("closed, then given to whatever a call can return", arguments: Kind.served)
    func reusedByEveryWay(kind: Kind) throws {
        try expectSameAsNative("descriptor-reuse", "reused-by-every-way", on: kind, serving: ["pread"])
    }

    @Test("closed past the preload, then returned by a call", arguments: Kind.served)
    func closedInHiding(kind: Kind) throws {
        try expectSameAsNative("descriptor-reuse", "closed-in-hiding", on: kind, serving: ["pread"])
    }

    @Test("standard streams that change their meaning inside libc", arguments: Kind.served)
    func standardStreams(kind: Kind) throws {
        try expectSameAsNative("descriptor-reuse", "standard-streams", on: kind, serving: ["pread"])
    }

    @Test("directories and commands closed by closedir and pclose", arguments: Kind.served)
    func closedirAndFriends(kind: Kind) throws {
        try expectSameAsNative("descriptor-reuse", "closedir-and-friends", on: kind, serving: ["pread"])
    }
}
