import CShimSys
import Testing

@testable import PmemShim

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Statistics: layouts and texts")
struct ObserveTests {
    @Test func countersLieWhereTheEngineAddsToThem() {
        #expect(MemoryLayout<ps_stats_counters>.offset(of: \.served_bytes_read) == CounterLayout.servedRead)
        #expect(MemoryLayout<ps_stats_counters>.offset(of: \.served_bytes_written) == CounterLayout.servedWritten)
        #expect(MemoryLayout<ps_stats_counters>.offset(of: \.passed_bytes_read) == CounterLayout.passedRead)
        #expect(MemoryLayout<ps_stats_counters>.offset(of: \.passed_bytes_written) == CounterLayout.passedWritten)
        #expect(MemoryLayout<ps_stats_counters>.offset(of: \.faults) == CounterLayout.faults)
        #expect(MemoryLayout<ps_stats_counters>.stride == CounterLayout.stride)
        #expect(Int(PS_OUTCOME_COUNT.rawValue) == CounterLayout.outcomes)
    }

    @Test func theArenaHoldsWhatItIsSaidToHold() {
        #expect(Layouts.hold)
    }

    @Test func aProcessIsToldFromItsNamesakesByItsStartTime() {
        var identity = ProcessIdentity()
        let line = "4242 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21\n"
        withBytes(line) { identity.parse($0) }
        #expect(identity.startTime == 987_654)
        let name = withUnsafeBytes(of: identity.command) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        #expect(name == "a) b (c")
    }

    @Test(arguments: ["", "42", "42 (", "42 ()", "42 (name) S 1 2 3"])
    func aBrokenStatLineGivesNoIdentity(line: String) {
        var identity = ProcessIdentity()
        withBytes(line) { identity.parse($0) }
        #expect(identity.startTime == 0)
    }

    @Test func textThatDoesNotFitIsCutAndNoticed() {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: 8)
        defer { room.deallocate() }
        var text = PathText(room, capacity: 8)
        text.append("/a/")
        text.append(1_234)
        #expect(text.isWhole)
        #expect(String(cString: text.text) == "/a/1234")
        text.append("x")
        #expect(!text.isWhole)
        #expect(text.count == 7)
    }

    @Test func numbersAreSpeltOut() {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: 64)
        defer { room.deallocate() }
        var text = PathText(room, capacity: 64)
        text.append(UInt64(0))
        text.append(" ")
        text.append(UInt64.max)
        #expect(String(cString: text.text) == "0 18446744073709551615")
    }
}

@Suite("Statistics of ended processes are folded, not lost")
struct EndedFiguresTests {
    /// A statistics file in memory: sparse, as the real one.
    final class File {
        let file: UnsafeMutablePointer<ps_stats_file>
        private let bytes = UnsafeMutableRawPointer(calloc(1, MemoryLayout<ps_stats_file>.size))

        init() throws { file = try #require(bytes).assumingMemoryBound(to: ps_stats_file.self) }
        deinit { free(bytes) }

        func record(_ index: Int) -> UnsafeMutablePointer<ps_stats_record> {
            UnsafeMutableRawPointer(file).advanced(by: MemoryLayout<ps_stats_file>.offset(of: \.records) ?? 0)
                .assumingMemoryBound(to: ps_stats_record.self) + index
        }

        /// Gives a record a mount and some figures, and to all the same state.
        func fill(_ indices: Range<Int>, state: UInt32) {
            for index in indices {
                let record = record(index)
                record.pointee.state = state
                record.pointee.mount_count = 1
                withUnsafeMutableBytes(of: &record.pointee.mounts.0.path) { $0.copyBytes(from: Array("/m".utf8)) }
                record.pointee.shards.0.mounts.0.faults = 3
            }
        }
    }

    static let records = Int(PS_STATS_RECORDS)
    /// No process can have it: pids have 22 bits.
    static let nobody: UInt32 = 0x0fff_ffff
    static let folding = UInt32(PS_STATS_FOLDING.rawValue)

    @Test func countersOfAllThreadsGoToTheLineOfTheirMount() throws {
        let memory = try File()
        memory.fill(0..<1, state: folding(by: 1))
        let record = memory.record(0)
        record.pointee.shards.15.mounts.0.faults = 4
        record.pointee.shards.2.mounts.0.calls.1.0 = 10
        EndedFigures.move(record, to: memory.file)
        #expect(memory.file.pointee.ended.0.processes == 1)
        #expect(memory.file.pointee.ended.0.counters.faults == 7)
        #expect(memory.file.pointee.ended.0.counters.calls.1.0 == 10)
        #expect(memory.file.pointee.ended.1.processes == 0)
        // Whoever goes on after one that was killed in the middle counts nothing twice.
        EndedFigures.move(record, to: memory.file)
        #expect(memory.file.pointee.ended.0.counters.faults == 7)
        #expect(record.pointee.shards.15.mounts.0.faults == 0)
        EndedFigures.clear(record)
        #expect(record.pointee.mounts.0.path.0 == 0)
    }

    @Test func aRecordWhoseClaimantWasKilledIsTakenOver() throws {
        let memory = try File()
        memory.fill(0..<Self.records, state: folding(by: Self.nobody))
        let claimed = try #require(StatisticsFile.claim(memory.file, 77, ProcessIdentity()))
        #expect(claimed.pointee.state == UInt32(PS_STATS_LIVE.rawValue))
        #expect(claimed.pointee.pid == 77)
        #expect(memory.file.pointee.ended.0.counters.faults == 3)
    }

    @Test func aRecordWhoseClaimantLivesIsLeftToIt() throws {
        let memory = try File()
        memory.fill(0..<Self.records, state: folding(by: UInt32(getpid())))
        #expect(StatisticsFile.claim(memory.file, 77, ProcessIdentity()) == nil)
        #expect(memory.file.pointee.ended.0.counters.faults == 0)
    }

    private func folding(by pid: UInt32) -> UInt32 { Self.folding | pid << 2 }
}
