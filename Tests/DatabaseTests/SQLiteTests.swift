import Foundation
import TestSupport
import Testing

/// An unmodified SQLite under the shim: the same answers and the same bytes as without it, and nothing torn or stale
/// when processes without the shim work on the same database.
@Suite struct SQLiteTests {
    @Test(
        "a database filled under the shim has the same bytes as one filled without it",
        arguments: SQLiteSettings.modes + SQLiteSettings.layouts, [0, nil])
    func sameBytes(settings: SQLiteSettings, mapAfter: Int?) throws {
        let sqlite = SQLite(mount: try ScratchMount(.tmpfs, mebibytes: 128))
        defer { sqlite.mount.close() }
        let fill = ["fill", "work.db", "steps=120"] + settings.options
        let native = try sqlite.run(SQLite.workload, fill, in: "native", preload: false)
        let served = try sqlite.run(SQLite.workload, fill, in: "served", preload: true, mapAfter: mapAfter)

        #expect(served.ending == .exited(0))
        #expect(served.stdout == native.stdout)
        #expect(served.stderr == native.stderr)
        #expect(try sqlite.bytes("work.db", in: "served") == sqlite.bytes("work.db", in: "native"))
        #expect(try sqlite.ask("PRAGMA integrity_check", of: "work.db", in: "served") == "ok\n")
        #expect(served.counts.notes == [])
        if mapAfter == 0 {
            // Mapped by SQLite itself, a database is read without calls.
            if settings.mapped == 0 { #expect(served.counts.servedReads > 0) }
            #expect(served.counts.servedWrites > 0)
        }
    }

    @Test("a dump under the shim is the same as one without it", arguments: SQLiteSettings.Journal.allCases)
    func sameDump(journal: SQLiteSettings.Journal) throws {
        let sqlite = SQLite(mount: try ScratchMount(.tmpfs, mebibytes: 128))
        defer { sqlite.mount.close() }
        let fill = ["fill", "work.db", "steps=60"] + SQLiteSettings(journal: journal).options
        #expect(try sqlite.run(SQLite.workload, fill, in: "work", preload: false).ending == .exited(0))
        let dump = ["work.db", "PRAGMA cache_size = 5", ".dump"]
        let native = try sqlite.run("/usr/bin/sqlite3", dump, in: "work", preload: false)
        let served = try sqlite.run("/usr/bin/sqlite3", dump, in: "work", preload: true)

        #expect(native.output.count > 100_000)
        #expect(served.output == native.output)
        #expect(served.ending == native.ending)
        #expect(served.counts.servedReads > 0)
    }

    @Test(
        "an open connection sees what a process without the shim changes, checkpoints and vacuums between",
        arguments: SQLiteSettings.layouts)
    func interleaved(settings: SQLiteSettings) throws {
        let sqlite = SQLite(mount: try ScratchMount(.tmpfs, mebibytes: 128))
        defer { sqlite.mount.close() }
        let script = [
            "\(SQLite.programs)/interleaved.sh", "\(settings.journal)", "\(settings.pageSize)", "\(settings.mapped)",
        ]
        let native = try sqlite.run("/usr/bin/bash", script, in: "native", preload: false)
        let served = try sqlite.run("/usr/bin/bash", script, in: "served", preload: true)

        #expect(native.ending == .exited(0), "\(native.stderr)")
        #expect(served.ending == native.ending)
        #expect(served.stdout == native.stdout)
        #expect(served.stderr == native.stderr)
        for file in ["work.db", "copy.db"] {
            #expect(try sqlite.bytes(file, in: "served") == sqlite.bytes(file, in: "native"))
        }
        #expect(served.counts.servedReads + served.counts.servedWrites > 0)
    }

    @Test(
        "readers and writers with and without the shim share a database with one that vacuums it",
        arguments: SQLiteSettings.layouts)
    func concurrent(settings: SQLiteSettings) throws {
        let sqlite = SQLite(mount: try ScratchMount(.tmpfs, mebibytes: 128))
        defer { sqlite.mount.close() }
        let script = try ["\(SQLite.programs)/concurrent.sh", SQLite.workload] + settings.options
        let served = try sqlite.run("/usr/bin/bash", script, in: "work", preload: true)

        #expect(served.stdout == "ok\nok\n200000|200\n")
        #expect(served.stderr == "")
        #expect(served.ending == .exited(0))
        #expect(served.counts.servedReads + served.counts.servedWrites > 0)
    }

    @Test("what was committed outlives a killed writer", arguments: SQLiteSettings.modes)
    func killed(settings: SQLiteSettings) throws {
        let sqlite = SQLite(mount: try ScratchMount(.tmpfs, mebibytes: 128))
        defer { sqlite.mount.close() }
        let script = try ["\(SQLite.programs)/killed.sh", SQLite.workload] + settings.options
        let served = try sqlite.run("/usr/bin/bash", script, in: "work", preload: true)

        let rounds = (1...10).map { "round \($0): ok 200000\n" }.joined()
        #expect(
            served.stdout == "fill: 10 steps, total 200000, 0 wrong\n\(rounds)watch: 1 steps, total 200000, 0 wrong\n")
        #expect(served.ending == .exited(0))
        #expect(served.counts.servedReads + served.counts.servedWrites > 0)
    }
}
