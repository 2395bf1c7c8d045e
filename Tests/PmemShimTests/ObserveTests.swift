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
        #expect(MemoryLayout<ps_stats_counters>.offset(of: \.windows) == CounterLayout.windows)
        #expect(MemoryLayout<ps_stats_counters>.offset(of: \.mapped_bytes) == CounterLayout.mappedBytes)
        #expect(MemoryLayout<ps_stats_counters>.offset(of: \.windows_total) == CounterLayout.windowsTotal)
        let row = Int(PS_FAMILY_OTHER.rawValue) * CounterLayout.outcomes * MemoryLayout<UInt64>.size
        #expect(CounterLayout.windowedBytes == row && PS_FAMILY_OTHER.rawValue + 1 == PS_FAMILY_COUNT.rawValue)
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
struct StatisticsFileTests {
    /// A statistics file of a test's own, and what is read back of it.
    final class File {
        let statistics: StatisticsFile
        private let scratch = UnsafeMutableRawPointer.allocate(byteCount: Arena.scratchLength, alignment: 4_096)
        private let fd: Int32

        init() throws {
            var name = Array("/tmp/pmemshim-statistics-XXXXXX".utf8CString)
            fd = mkstemp(&name)
            try #require(fd >= 0 && unlink(name) == 0 && ftruncate(fd, MemoryLayout<ps_stats_file>.size) == 0)
            var facts = ps_own_facts()
            try #require(ps_sys_own_facts(fd, &facts) == 0)
            statistics = StatisticsFile(file: RuntimeFile(fd: fd, facts: facts), scratch: scratch)
        }
        deinit {
            close(fd)
            scratch.deallocate()
        }

        func put<Value: BitwiseCopyable>(_ value: Value, at offset: Int64, count: Int = MemoryLayout<Value>.size) {
            let written = withUnsafeBytes(of: value) { pwrite(fd, $0.baseAddress, count, Int(offset)) }
            #expect(written == count)
        }
        func get<Value: BitwiseCopyable>(_ value: Value, at offset: Int64) -> Value {
            var value = value
            let read = withUnsafeMutableBytes(of: &value) { pread(fd, $0.baseAddress, $0.count, Int(offset)) }
            #expect(read == MemoryLayout<Value>.size)
            return value
        }

        /// Makes record `index` that of process `pid`, with one mount: all of it, or the page that every record has.
        func fill(_ index: Int, pid: Int32, start: UInt64 = 1, whole: Bool = true) {
            var record = ps_stats_record()
            record.state = UInt32(PS_STATS_LIVE.rawValue)
            record.pid = pid
            record.start_time = start
            record.mount_count = 1
            record.shard_count = whole ? 16 : 1
            withUnsafeMutableBytes(of: &record.mounts.0.path) { $0.copyBytes(from: Array("/m".utf8)) }
            record.shards.0.mounts.0.faults = 3
            record.shards.15.mounts.0.faults = 4
            record.shards.2.mounts.0.calls.1.0 = 10
            record.shards.0.mounts.0.windows = 1
            put(
                record, at: StatisticsFile.offset(ofRecord: index),
                count: whole ? StatisticsFile.recordSize : StatisticsFile.page)
            put(
                ps_stats_entry(state: UInt32(PS_STATS_LIVE.rawValue), pid: pid),
                at: StatisticsFile.offset(ofEntry: index))
        }

        func record(_ index: Int) -> ps_stats_record {
            get(ps_stats_record(), at: StatisticsFile.offset(ofRecord: index))
        }
        func line(_ index: Int) -> ps_stats_ended {
            get(
                ps_stats_ended(),
                at: Int64(PS_STATS_AT_ENDED.rawValue) + Int64(index * MemoryLayout<ps_stats_ended>.size))
        }
    }

    static let records = Int(PS_STATS_RECORDS)
    /// No process can have it: pids have 22 bits.
    static let nobody: Int32 = 0x0fff_ffff
    static let me = getpid()

    @Test func countersOfAllThreadsGoToTheLineOfTheirMount() throws {
        let file = try File()
        file.fill(0, pid: Self.nobody)
        file.statistics.fold(0)
        #expect(file.line(0).processes == 1)
        #expect(file.line(0).counters.faults == 7)
        #expect(file.line(0).counters.calls.1.0 == 10)
        #expect(file.line(0).counters.windows == 0, "they went with the process")
        #expect(file.line(1).processes == 0)
        #expect(file.record(0).state == UInt32(PS_STATS_FREE.rawValue))
        // Whoever goes on after one that was killed in the middle counts nothing twice.
        file.statistics.fold(0)
        #expect(file.line(0).counters.faults == 7)
    }

    @Test func anEndedProcessStaysReadableWhileThereIsRoom() throws {
        let file = try File()
        file.fill(0, pid: Self.nobody)
        let claimed = try #require(file.statistics.claim(Self.me, ProcessIdentity()))
        #expect(claimed == 1)
        #expect(file.record(0).state == UInt32(PS_STATS_LIVE.rawValue))
        #expect(file.record(1).pid == Self.me)
        #expect(file.line(0).processes == 0)
    }

    @Test func afterSixtyFourAnEndedOneIsFoldedAndTakenOver() throws {
        let file = try File()
        for index in 0..<Int(PS_STATS_KEPT) { file.fill(index, pid: Self.nobody, whole: false) }
        let claimed = try #require(file.statistics.claim(Self.me, ProcessIdentity()))
        #expect(claimed < Int(PS_STATS_KEPT))
        #expect(file.record(claimed).pid == Self.me)
        #expect(file.record(claimed).shards.0.mounts.0.faults == 0)
        #expect(file.line(0).processes == 1)
        #expect(file.line(0).counters.faults == 3)
    }

    @Test func aFullFileHasRoomAgainOnceEndedOnesAreFolded() throws {
        let file = try File()
        let full = Int(PS_STATS_BYTES) / StatisticsFile.recordSize + 2
        for index in 0..<full { file.fill(index, pid: Self.nobody) }
        #expect(!file.statistics.mayGrow)
        let claimed = try #require(file.statistics.claim(Self.me, ProcessIdentity()))
        #expect(file.record(claimed).pid == Self.me)
        let folded = file.line(0)
        #expect(1...3 ~= folded.processes)
        #expect(folded.counters.faults == 7 * folded.processes)
    }

    @Test func aFileFullOfTheLivingIsLeftToThem() throws {
        let file = try File()
        for index in 0...Int(PS_STATS_BYTES) / StatisticsFile.recordSize { file.fill(index, pid: getppid()) }
        #expect(file.statistics.claim(Self.me, ProcessIdentity()) == nil)
        #expect(file.line(0).processes == 0)
    }

    @Test func aProcessThatExecsLeavesItsRecordAsEnded() throws {
        let file = try File()
        file.fill(5, pid: Self.me, start: 77)
        var identity = ProcessIdentity()
        identity.startTime = 77
        let claimed = try #require(file.statistics.claim(Self.me, identity))
        #expect(claimed != 5)
        #expect(file.record(5).superseded == 1)
    }

    @Test func recordsOfLivingProcessesAreLeftToThem() throws {
        let file = try File()
        for index in 0..<Self.records { file.fill(index, pid: getppid()) }
        #expect(file.statistics.claim(Self.me, ProcessIdentity()) == nil)
        #expect(file.line(0).processes == 0)
    }

    @Test func nobodyIsWaitedForWhoHoldsALock() throws {
        let file = try File()
        // Another open description of the same file.
        let other = open("/proc/self/fd/\(file.statistics.file.fd)", O_RDWR)
        defer { close(other) }
        #expect(ps_sys_try_lock(other, 0, 1 << 30) == 0)
        #expect(file.statistics.claim(Self.me, ProcessIdentity()) == nil)
        #expect(ps_sys_unlock(other, 0, 1 << 30) == 0)
        #expect(file.statistics.claim(Self.me, ProcessIdentity()) == 0)
    }
}
