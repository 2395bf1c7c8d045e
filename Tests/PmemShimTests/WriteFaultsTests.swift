import Testing

@testable import PmemShim

@Suite("Faults of a thread against the writes it had served")
struct WriteFaultsTests {
    private func areTooMany(faults: UInt32, writes: UInt32, after age: Int64 = 4_000_000) -> Bool {
        let before = WriteFaults(faults: .max, writes: .max &- 5, tick: 1 << 60)
        return WriteFaults(faults: before.faults &+ faults, writes: before.writes &+ writes, tick: before.tick &+ age)
            .areTooMany(since: before)
    }

    @Test func aFaultIsPaidForByFiveWrites() {
        #expect(areTooMany(faults: 100, writes: 100))
        #expect(areTooMany(faults: 21, writes: 100))
        #expect(!areTooMany(faults: 20, writes: 100))
        #expect(!areTooMany(faults: 0, writes: 100))
    }

    @Test func nothingIsSaidOfAFewWritesNorOfLongAgoNorWhenTheClockWasSetBack() {
        #expect(!areTooMany(faults: 15, writes: 15))
        #expect(areTooMany(faults: 16, writes: 16))
        #expect(!areTooMany(faults: 100, writes: 100, after: 200_000_000))
        #expect(!areTooMany(faults: 100, writes: 100, after: -1))
    }
}
