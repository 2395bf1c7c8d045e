import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Which files `shimctl stats` reads, and that none makes it crash: the file is writable by every program of the user.
struct StatsFileTests {
    private func stats(_ fixture: StatsFixture, _ arguments: String...) throws -> Run {
        try shimctl(["stats"] + arguments, environment: fixture.environment)
    }

    /// Refused with a message that says all of `names`; no crash, no figures.
    private func expectRefusal(
        _ run: Run, _ names: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(run.ending == .exited(1), sourceLocation: sourceLocation)
        #expect(run.stdout == "", sourceLocation: sourceLocation)
        for name in names {
            #expect(run.stderr.contains(name), "\(run.stderr)", sourceLocation: sourceLocation)
        }
    }

    @Test func isFriendlyWithoutADirectory() throws {
        let run = try shimctl("stats", environment: ["PMEMSHIM_RUNTIME_DIR": "/tmp/no-such-runtime-directory"])
        #expect(run.ending == .exited(0))
        #expect(run.stdout.hasPrefix("No figures yet"))
        #expect(run.stderr == "")
    }

    @Test func isFriendlyWithoutAFile() throws {
        let run = try stats(StatsFixture())
        #expect(run.ending == .exited(0))
        #expect(run.stdout.hasPrefix("No figures yet"))
    }

    @Test func writesAnEmptyDocumentWithoutAFile() throws {
        let run = try stats(StatsFixture(), "--json")
        #expect(run.ending == .exited(0))
        let document = try json(run.stdout)
        #expect(document["schema"] == .string("pmemshim.stats/1"))
        #expect(document["mounts"] == .array([]))
        #expect(document["processes"] == .array([]))
        #expect(document["ended_folded"] == .array([]))
        #expect(document["total"]["served"] == .number(0))
        #expect(document["total"]["served_percent"] == .null)
        #expect(document["total"].keys.contains("served_percent"))
    }

    @Test func isFriendlyWhileTheFileIsStillEmpty() throws {
        let fixture = try StatsFixture()
        _ = FileManager.default.createFile(atPath: fixture.file, contents: nil, attributes: [.posixPermissions: 0o600])
        let run = try stats(fixture)
        #expect(run.ending == .exited(0))
        #expect(run.stdout.hasPrefix("No figures yet"))
    }

    @Test func readsAFileWithoutRecords() throws {
        let fixture = try StatsFixture()
        try fixture.write()
        let run = try stats(fixture)
        #expect(run.ending == .exited(0))
        #expect(run.stdout.hasPrefix("No figures yet"))
    }

    @Test(arguments: [1, 63, 4095, 4096, 100_000, 1_000_000]) func refusesATruncatedFile(_ size: Int) throws {
        let fixture = try StatsFixture()
        fixture.record(0, pid: 1, start: 1)
        try fixture.write()
        #expect(truncate(fixture.file, size) == 0)
        expectRefusal(try stats(fixture))
    }

    @Test func refusesAWrongMagicNumber() throws {
        let fixture = try StatsFixture()
        fixture.header("magic", 0x1234)
        try fixture.write()
        expectRefusal(try stats(fixture), fixture.file, "magic")
    }

    @Test func refusesAnotherVersion() throws {
        let fixture = try StatsFixture()
        fixture.header("version", 77)
        try fixture.write()
        expectRefusal(try stats(fixture), "version 77")
    }

    @Test(
        arguments: ["header_size", "record_size", "record_count", "ended_count"], [0, 1, 0x7fff_ffff, 0xffff_ffff])
    func refusesAbsurdCounts(_ field: String, _ value: UInt64) throws {
        let fixture = try StatsFixture()
        fixture.header(field, value)
        try fixture.write()
        expectRefusal(try stats(fixture), "damaged")
    }

    @Test func refusesASymbolicLink() throws {
        let fixture = try StatsFixture()
        let other = try StatsFixture()
        try other.write()
        try FileManager.default.createSymbolicLink(atPath: fixture.file, withDestinationPath: other.file)
        expectRefusal(try stats(fixture), "symbolic link")
    }

    @Test func refusesADirectoryBehindASymbolicLink() throws {
        let fixture = try StatsFixture()
        try fixture.write()
        let scratch = try ScratchDirectory()
        try FileManager.default.createSymbolicLink(
            atPath: "\(scratch.path)/link", withDestinationPath: fixture.directory.path)
        expectRefusal(try shimctl("stats", environment: ["PMEMSHIM_RUNTIME_DIR": "\(scratch.path)/link"]))
    }

    @Test(arguments: [0o644, 0o660, 0o606] as [mode_t]) func refusesAFileOpenToOthers(_ mode: mode_t) throws {
        let fixture = try StatsFixture()
        try fixture.write()
        #expect(chmod(fixture.file, mode) == 0)
        expectRefusal(try stats(fixture), "mode", String(mode, radix: 8))
    }

    @Test func refusesADirectoryOpenToOthers() throws {
        let fixture = try StatsFixture()
        try fixture.write()
        #expect(chmod(fixture.directory.path, 0o777) == 0)
        expectRefusal(try stats(fixture), "mode", "777")
    }

    @Test func refusesAFIFOWithoutWaitingForAWriter() throws {
        let fixture = try StatsFixture()
        #expect(mkfifo(fixture.file, 0o600) == 0)
        expectRefusal(try stats(fixture), "not a regular file")
    }

    @Test func refusesADirectoryInPlaceOfTheFile() throws {
        let fixture = try StatsFixture()
        try FileManager.default.createDirectory(
            atPath: fixture.file, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        expectRefusal(try stats(fixture), "not a regular file")
    }

    @Test(.enabled(if: geteuid() == 0, "needs root")) func refusesAnotherUsersFile() throws {
        let fixture = try StatsFixture()
        try fixture.write()
        #expect(chown(fixture.file, 65534, 65534) == 0)
        #expect(chown(fixture.directory.path, 65533, 65533) == 0)
        let readable = try ReadableShimctl()
        let run = try spawn(
            "/usr/bin/setpriv",
            ["--reuid=65533", "--regid=65533", "--clear-groups", readable.path, "stats"],
            environment: fixture.environment.merging(readable.environment) { $1 })
        expectRefusal(run)
    }

    @Test func survivesGarbage() throws {
        for seed in [1, 0x1234_5678, 0xdead_beef_cafe] as [UInt64] {
            let fixture = try StatsFixture()
            fixture.garbage(seed: seed)
            try fixture.write()
            #expect(try stats(fixture).ending == .exited(0), "seed \(seed)")
            let run = try stats(fixture, "--json")
            #expect(run.ending == .exited(0), "seed \(seed)")
            let document = try JSONSerialization.jsonObject(with: Data(run.output)) as? [String: Any]
            #expect(document?["schema"] as? String == "pmemshim.stats/1", "seed \(seed)")
        }
    }

    @Test(arguments: [0x01, 0x41, 0xff] as [UInt8]) func survivesARepeatedByte(_ byte: UInt8) throws {
        let fixture = try StatsFixture()
        fixture.fill(byte)
        try fixture.write()
        #expect(try stats(fixture).ending == .exited(0))
        #expect(try stats(fixture, "--json").ending == .exited(0))
    }

    @Test func printsNoControlCharactersOfTheFile() throws {
        let fixture = try StatsFixture()
        fixture.record(0, pid: 1, start: 1, command: "\u{1b}[31mred", note: "\u{1b}]0;title\u{07}")
        fixture.mount(0, 0, path: "/mnt/\u{1b}[2J\rx")
        fixture.calls(0, "READ", "SERVED", 1)
        try fixture.write()
        for run in [try stats(fixture), try stats(fixture, "--json")] {
            #expect(run.ending == .exited(0))
            #expect(!run.output.contains { $0 < 0x20 && $0 != 0x0a })
        }
    }
}

/// A copy of shimctl that every user may execute: a build directory may lie below one that is closed to others.
final class ReadableShimctl {
    private let scratch: ScratchDirectory
    var path: String { "\(scratch.path)/shimctl" }

    init() throws {
        scratch = try ScratchDirectory()
        guard chmod(scratch.path, 0o755) == 0 else { throw SetupError("chmod") }
        // By another process: a file that this one has open for writing could be in a child of another test for a
        // moment, and then it cannot be executed (ETXTBSY).
        let copy = try spawn("/usr/bin/install", ["--mode=755", Shim.shimctl, path])
        guard copy.ending == .exited(0) else { throw SetupError("install: \(copy.stderr)") }
    }

    let environment = ["LC_ALL": "C"]
}
