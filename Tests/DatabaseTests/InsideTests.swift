import Foundation
import TestSupport
import Testing

/// SQLite on the DAX mounts of `scripts/dax-vm`.
@Suite("SQLite on DAX, where a commit must last", .enabled(if: Machine.isInside))
struct InsideSQLiteTests {
    static let settings = [
        SQLiteSettings(journal: .wal), SQLiteSettings(journal: .delete),
        SQLiteSettings(journal: .wal, mapped: 64 << 20),
    ]

    @Test(
        "a database filled under the shim has the same bytes as one filled without it", arguments: settings,
        ScratchMount.Kind.served)
    func sameBytes(settings: SQLiteSettings, kind: ScratchMount.Kind) throws {
        let sqlite = SQLite(mount: try ScratchMount(kind, mebibytes: 128))
        defer { sqlite.mount.close() }
        let fill = ["fill", "work.db", "steps=60"] + settings.options
        let native = try sqlite.run(SQLite.workload, fill, in: "native", preload: false)
        let served = try sqlite.run(SQLite.workload, fill, in: "served", preload: true)

        #expect(native.ending == .exited(0), "\(native.stderr)")
        #expect(served.ending == native.ending)
        #expect(served.stdout == native.stdout)
        #expect(served.stderr == native.stderr)
        #expect(try sqlite.bytes("work.db", in: "served") == sqlite.bytes("work.db", in: "native"))
        #expect(try sqlite.ask("PRAGMA integrity_check", of: "work.db", in: "served") == "ok\n")
        #expect(served.counts.notes == [])
        if settings.mapped == 0 { #expect(served.counts.servedReads > 0) }
        #expect(served.counts.servedWrites > 0)
    }
}
