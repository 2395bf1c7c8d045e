import CShimSys
import Testing

@testable import PmemShim

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
    @Test func countersOfAllThreadsGoToTheLineOfTheirMount() {
        let file = UnsafeMutablePointer<ps_stats_file>.allocate(capacity: 1)
        UnsafeMutableRawPointer(file).initializeMemory(
            as: UInt8.self, repeating: 0, count: MemoryLayout<ps_stats_file>.size)
        defer { file.deallocate() }
        let record = UnsafeMutableRawPointer(file).advanced(
            by: MemoryLayout<ps_stats_file>.offset(of: \.records) ?? 0
        ).assumingMemoryBound(to: ps_stats_record.self)
        record.pointee.mount_count = 1
        withUnsafeMutableBytes(of: &record.pointee.mounts.0.path) { $0.copyBytes(from: Array("/m".utf8)) }
        record.pointee.shards.0.mounts.0.faults = 3
        record.pointee.shards.15.mounts.0.faults = 4
        record.pointee.shards.2.mounts.0.calls.1.0 = 10
        for _ in 0..<2 { EndedFigures.add(record, to: file) }
        #expect(file.pointee.ended.0.processes == 2)
        #expect(file.pointee.ended.0.counters.faults == 14)
        #expect(file.pointee.ended.0.counters.calls.1.0 == 20)
        #expect(file.pointee.ended.1.processes == 0)
        EndedFigures.clear(record)
        #expect(record.pointee.shards.15.mounts.0.faults == 0)
        #expect(record.pointee.mounts.0.path.0 == 0)
    }
}
