import TestSupport
import Testing

@Suite("Numbers change their meaning while other threads use them")
struct DescriptorThreadTests {
    typealias Kind = ScratchMount.Kind

    @Test("swapped by dup2 while other threads read it", arguments: Kind.served)
    func swappedWhileRead(kind: Kind) throws {
        try expectSameAsNative("descriptor-threads", "swapped-while-read", on: kind, serving: ["pread"])
    }

    @Test("opened and closed by several threads at once", arguments: Kind.served)
    func numbersWanderBetweenThreads(kind: Kind) throws {
        try expectSameAsNative(
            "descriptor-threads", "numbers-wander-between-threads", on: kind, serving: ["pread", "pwrite"])
    }
}
