import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Sums, states and rates that `shimctl stats` makes of the file.
struct StatsFiguresTests {
    private func document(_ fixture: StatsFixture, _ arguments: String...) throws -> JSONValue {
        let run = try shimctl(["stats", "--json"] + arguments, environment: fixture.environment)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        return try json(run.stdout)
    }

    /// Field 22 of /proc/PID/stat.
    private func startTime(of pid: Int32) throws -> UInt64 {
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        return UInt64(fields[20]) ?? 0
    }

    @Test func sumsTheShardsOfAProcess() throws {
        let fixture = try StatsFixture()
        fixture.record(3, pid: 1, start: 1)
        fixture.mount(3, 0, path: "/mnt/a")
        for shard in 0..<16 {
            fixture.calls(3, shard: shard, "PREAD", "SERVED", UInt64(shard + 1))
            fixture.bytes(
                3, shard: shard, servedRead: 10, servedWritten: 20, passedRead: 30, passedWritten: 40, faults: 1)
        }
        try fixture.write()
        let figures = try document(fixture)["mounts"][0]["figures"]
        #expect(figures["families"]["pread"]["served"] == .number(136))
        #expect(figures["bytes_read"]["served"] == .number(160))
        #expect(figures["bytes_written"]["served"] == .number(320))
        #expect(figures["bytes_read"]["passed_on"] == .number(480))
        #expect(figures["bytes_written"]["passed_on"] == .number(640))
        #expect(figures["faults_survived"] == .number(16))
    }

    @Test func addsFoldedFiguresToThoseOfRecords() throws {
        let fixture = try StatsFixture()
        fixture.process(0, reads: 5)
        fixture.process(511, start: 2, shard: 15, reads: 70)
        fixture.ended(63, path: "/mnt/a", processes: 9)
        fixture.endedCalls(63, "READ", "SERVED", 900)
        try fixture.write()
        let document = try document(fixture)
        #expect(document["mounts"].items.count == 1)
        #expect(document["mounts"][0]["figures"]["served"] == .number(975))
        #expect(document["mounts"][0]["processes_ended"] == .number(11))
        #expect(document["mounts"][0]["processes_live"] == .number(0))
        #expect(document["ended_folded"][0]["processes"] == .number(9))
        #expect(document["ended_folded"][0]["figures"]["served"] == .number(900))
        #expect(document["total"]["served"] == .number(975))
    }

    @Test func keepsMountsAndBackingsApart() throws {
        let fixture = try StatsFixture()
        fixture.record(0, pid: 1, start: 1, mounts: 4)
        for (index, mount) in [("/b", 2), ("/a", 2), ("/a", 3), ("/c", 1)].enumerated() {
            fixture.mount(0, index, path: mount.0, backing: mount.1)
            fixture.calls(0, mount: index, "WRITE", "SERVED", UInt64(index + 1))
        }
        try fixture.write()
        let mounts = try document(fixture)["mounts"].items
        #expect(mounts.map { $0["path"].text } == ["/a", "/a", "/b", "/c"])
        #expect(mounts.map { $0["backing"].text } == ["memory", "pagecache", "memory", "dax"])
        #expect(mounts.map { $0["figures"]["served"].number } == [2, 3, 1, 4])
    }

    static let families = [
        "READ", "PREAD", "READV", "PREADV", "WRITE", "PWRITE", "WRITEV", "PWRITEV", "FSYNC", "FDATASYNC",
        "SYNC_FILE_RANGE", "MSYNC", "MMAP", "COPY", "RESIZE",
    ]
    static let reasons = [
        "COLD", "END", "SMALL", "TICK", "APPEND", "OFFSET", "FLAGS", "SPARSE", "FAULT", "LIMIT", "BUSY", "BACKING",
        "ARGUMENT", "GIVE_WAY", "KERNEL",
    ]

    @Test func namesEveryFamilyAndReasonAsTheHeaderDoes() throws {
        let fixture = try StatsFixture()
        fixture.record(0, pid: 1, start: 1)
        fixture.mount(0, 0, path: "/mnt/a")
        for (row, family) in Self.families.enumerated() {
            fixture.calls(0, family, "SERVED", UInt64(1000 + row))
            for (column, reason) in Self.reasons.enumerated() {
                fixture.calls(0, family, reason, UInt64(row * 100 + column + 1))
            }
        }
        try fixture.write()
        let families = try document(fixture)["mounts"][0]["figures"]["families"]
        #expect(families.keys == Set(Self.families.map { $0.lowercased() }))
        for (row, family) in Self.families.enumerated() {
            let line = families[family.lowercased()]
            #expect(line["served"] == .number(UInt64(1000 + row)))
            #expect(line["reasons"].keys == Set(Self.reasons.map { $0.lowercased() }))
            for (column, reason) in Self.reasons.enumerated() {
                #expect(line["reasons"][reason.lowercased()] == .number(UInt64(row * 100 + column + 1)))
            }
            #expect(line["passed_on"] == .number(UInt64(row * 1500 + 120)))
        }
    }

    @Test func tellsLiveProcessesFromEndedOnes() throws {
        let fixture = try StatsFixture()
        let own = getpid()
        let start = try startTime(of: own)
        fixture.record(0, pid: own, start: start, claimed: 4, command: "live")
        fixture.record(1, pid: own, start: start + 1, claimed: 3, command: "reused")
        fixture.record(2, pid: own, start: start, claimed: 2, superseded: 1, command: "before-exec")
        fixture.record(3, pid: 0x7fff_fff0, start: 1, claimed: 1, command: "gone")
        for index in 0..<4 { fixture.mount(index, 0, path: "/mnt/a", windows: 7, bytes: 4096, total: 9) }
        try fixture.write()
        let document = try document(fixture)
        #expect(document["processes"].items.map { $0["command"].text } == ["live", "reused", "before-exec", "gone"])
        #expect(document["processes"].items.map { $0["state"].text } == ["live", "ended", "ended", "ended"])
        #expect(document["processes"].items.map { $0["mounts"][0]["windows"].number } == [7, 0, 0, 0])
        #expect(document["processes"].items.map { $0["mounts"][0]["windows_total"].number } == [9, 9, 9, 9])
        #expect(document["mounts"][0]["windows"] == .number(7))
        #expect(document["mounts"][0]["mapped_bytes"] == .number(4096))
        #expect(document["mounts"][0]["processes_live"] == .number(1))
        #expect(document["mounts"][0]["processes_ended"] == .number(3))
    }

    @Test func leavesOutFreeRecordsAndThoseOfAnotherState() throws {
        let fixture = try StatsFixture()
        for state in [0, 2] {
            fixture.record(state, pid: 1, start: 1, state: state)
            fixture.mount(state, 0, path: "/mnt/a")
            fixture.calls(state, "READ", "SERVED", 5)
        }
        try fixture.write()
        #expect(try document(fixture)["processes"].items.isEmpty)
    }

    @Test func showsAtMostFourMountsOfARecord() throws {
        let fixture = try StatsFixture()
        fixture.record(0, pid: 1, start: 1, mounts: 4_000_000_000)
        for index in 0..<4 { fixture.mount(0, index, path: "/mnt/\(index)") }
        try fixture.write()
        #expect(try document(fixture)["processes"][0]["mounts"].items.count == 4)
    }

    @Test func saturatesInsteadOfOverflowing() throws {
        let fixture = try StatsFixture()
        fixture.process(0, shard: 0, reads: .max)
        fixture.calls(0, shard: 1, "READ", "SERVED", .max)
        fixture.calls(0, shard: 1, "READ", "COLD", .max)
        try fixture.write()
        let figures = try document(fixture)["mounts"][0]["figures"]
        #expect(figures["served"] == .number(.max))
        #expect(figures["families"]["read"]["passed_on"] == .number(.max))
    }

    @Test func saturatesTheNumberOfProcesses() throws {
        let fixture = try StatsFixture()
        fixture.ended(0, path: "/mnt/a", processes: .max)
        fixture.record(0, pid: 1, start: 1)
        fixture.mount(0, 0, path: "/mnt/a")
        try fixture.write()
        #expect(try document(fixture)["mounts"][0]["processes_ended"] == .number(.max))
    }

    @Test func cutsTextsThatHaveNoEnd() throws {
        let fixture = try StatsFixture()
        fixture.record(
            0, pid: 1, start: 1, command: String(repeating: "c", count: 16), note: String(repeating: "n", count: 128))
        fixture.mount(0, 0, path: String(repeating: "p", count: 256))
        try fixture.write()
        let process = try document(fixture)["processes"][0]
        #expect(process["command"].text?.count == 16)
        #expect(process["note"].text?.count == 128)
        #expect(process["mounts"][0]["path"].text?.count == 256)
    }

    @Test func showsOnlyTheProcessAskedFor() throws {
        let fixture = try StatsFixture()
        fixture.process(0, pid: 11, reads: 1)
        fixture.process(1, pid: 22, reads: 2)
        fixture.ended(0, path: "/mnt/a", processes: 1)
        fixture.endedCalls(0, "READ", "SERVED", 4)
        try fixture.write()
        let document = try document(fixture, "--pid", "22")
        #expect(document["processes"].items.map { $0["pid"].number } == [22])
        #expect(document["mounts"][0]["figures"]["served"] == .number(2))
        #expect(document["ended_folded"] == .array([]))
    }

    @Test func saysThatThereAreNoFiguresOfAProcess() throws {
        let fixture = try StatsFixture()
        try fixture.write()
        let run = try shimctl("stats", "--pid", "4242", environment: fixture.environment)
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("4242"))
    }

    @Test func roundsThePercentageDown() throws {
        let fixture = try StatsFixture()
        fixture.process(0, reads: 99_999)
        fixture.calls(0, "READ", "END", 1)
        try fixture.write()
        #expect(try document(fixture)["total"]["served_percent"] == .double(99.9))
    }

    @Test func showsTablesWithFamiliesReasonsAndNotes() throws {
        let fixture = try StatsFixture()
        fixture.record(0, pid: 4711, start: 1, command: "sqlite3", note: "PMEMSHIM_LOG cannot be opened")
        fixture.mount(0, 0, path: "/mnt/data")
        fixture.calls(0, "PREAD", "SERVED", 1_234_567)
        fixture.calls(0, "PREAD", "END", 89)
        fixture.bytes(0, servedRead: 3 << 30)
        try fixture.write()
        let run = try shimctl("stats", environment: fixture.environment)
        #expect(run.ending == .exited(0))
        for text in [
            "/mnt/data", "memory", "pread", "1,234,567", "end 89", "99.9", "3.00 GiB", "4711", "sqlite3", "Ended",
            "PMEMSHIM_LOG cannot be opened",
        ] {
            #expect(run.stdout.contains(text), "\(text) in\n\(run.stdout)")
        }
    }

    @Test func watchesForAsManyIntervalsAsAskedFor() throws {
        let fixture = try StatsFixture()
        fixture.process(0, reads: 1_000)
        try fixture.write()
        let run = try shimctl("stats", "--watch", "0.05", "--count", "3", "--json", environment: fixture.environment)
        #expect(run.ending == .exited(0))
        let lines = run.lines.filter { !$0.isEmpty }
        #expect(lines.count == 3)
        for line in lines {
            let sample = try json(String(line))
            #expect(sample["schema"] == .string("pmemshim.stats-interval/1"))
            // What was counted before the watch began is in no interval.
            #expect(sample["mounts"][0]["figures"]["served"] == .number(0))
        }
    }

    @Test func countsInAnIntervalWhatWasAddedInIt() throws {
        let fixture = try StatsFixture()
        fixture.process(0, reads: 1_000)
        try fixture.write()
        let directory = fixture.directory.path
        // The watcher says when it has taken its first sample: by the first line of output, an interval later.
        let script = """
            "$0" stats --watch 0.3 --count 40 --json | while read -r line; do
                echo "$line"
                [ -n "$written" ] ||
                    { printf 'calls 0 3 0 READ SERVED 50\\nended 0 2 1 /mnt/a\\n' | "$1" "$2"; written=1; }
                case $line in *'"served":50'*) break ;; esac
            done
            """
        let run = try spawn(
            "/bin/bash", ["-c", script, Shim.shimctl, try StatsFixture.writerPath, "\(directory)/stats"],
            environment: ["PMEMSHIM_RUNTIME_DIR": directory, "PATH": "/usr/bin:/bin"])
        let served = try run.lines.filter { !$0.isEmpty }.map {
            try json(String($0))["mounts"][0]["figures"]["served"].number ?? .max
        }
        #expect(served.first == 0)
        #expect(served.last == 50)
        #expect(served.reduce(0, +) == 50)
    }

    @Test(arguments: [
        ["--watch", "0"], ["--watch", "-1"], ["--watch", "nan"], ["--watch", "1e9"], ["--count", "2"],
        ["--watch", "1", "--count", "0"], ["--pid", "0"], ["--pid", "x"], ["--nonsense"],
    ]) func refusesBadOptions(_ arguments: [String]) throws {
        #expect(try shimctl(["stats"] + arguments).ending == .exited(64))
    }
}
