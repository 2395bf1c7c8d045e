import Foundation
import TestSupport
import Testing

/// What `scripts/bench databases` makes of what its drivers print, with a driver of our own in the place of a real one.
@Suite struct DatabaseBenchTests {
    private struct Report {
        let run: Run
        let document: [String: Any]
        var rows: [[String: Any]] { document["rows"] as? [[String: Any]] ?? [] }
    }

    /// Five pairs of the row threads/pread-1, whose driver is the shell script `body`.
    private func bench(_ body: String) throws -> Report {
        let mount = try ScratchMount(.tmpfs)
        defer { mount.close() }
        let programs = try ScratchDirectory()
        defer { programs.close() }
        let driver = "\(programs.path)/databases-threads"
        // The shell itself must not count.
        let head = "#!/bin/bash\nunder=${LD_PRELOAD:+yes}\nunset LD_PRELOAD\n"
        try (head + body).write(toFile: driver, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: driver)
        let json = "\(programs.path)/report.json"
        let run = try spawn(
            "/usr/bin/python3",
            [
                "\(Shim.packageRoot)/Benchmarks/report/databases.py", "run", "--programs", programs.path, "--library",
                Shim.library, "--shimctl", Shim.shimctl, "--place", "tmpfs=\(mount.directory)", "--seed", "1", "--json",
                json, "threads/pread-1",
            ], timeout: .seconds(120))
        let document = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: json)))
        return Report(run: run, document: document as? [String: Any] ?? [:])
    }

    @Test("a row has both sides, their ratio, its interval, and what was served")
    func row() throws {
        let report = try bench("echo data same; [[ $under ]] && echo 1000 5000 || echo 2000 5000\n")
        #expect(report.run.ending == .exited(0), "\(report.run.stdout)\(report.run.stderr)")
        let row = try #require(report.rows.first)
        #expect(row["cpu_ratio"] as? Double == 2)
        #expect(row["cpu_interval"] as? [Double] == [2, 2])
        #expect(row["wall_ratio"] as? Double == 1)
        #expect(row["pairs"] as? Int == 5)
        #expect(row["calls"] as? Int == 0)
        #expect((row["native"] as? [String: Any])?["cpu_ns"] as? Double == 2000)
        #expect((row["shim"] as? [String: Any])?["cpu_ns"] as? Double == 1000)
        #expect(report.run.stdout.contains("2.00 [2.00, 2.00]"), "\(report.run.stdout)")
    }

    @Test("a row whose data differ under the shim fails, and says so")
    func differentData() throws {
        let report = try bench("echo data same$under; echo 1000 5000\n")
        #expect(report.run.ending == .exited(1))
        #expect(report.rows.isEmpty)
        #expect(report.run.stdout.contains(#/threads/pread-1: FAILED: the data differ/#), "\(report.run.stdout)")
        #expect(report.document["failed"] as? [String] == ["tmpfs:threads/pread-1"])
    }

    @Test("a row that the machine is too noisy for gets twice the pairs, and then no ratio")
    func noise() throws {
        // $2 is the workload, $3 the directory, whose last digits are the number of the run.
        let report = try bench("n=${3##*d}; echo 1000 1000 | awk -v n=\"$n\" '{ print $1 * 2 ^ (n * 7 % 5), $2 }'\n")
        #expect(report.run.ending == .exited(0), "\(report.run.stdout)\(report.run.stderr)")
        let row = try #require(report.rows.first)
        #expect(row["pairs"] as? Int == 10)
        #expect(row["verdict"] as? String == "noisy")
        #expect(report.run.stdout.contains("too noisy: "), "\(report.run.stdout)")
    }

    @Test("a driver that fails is told by the last line it said")
    func failure() throws {
        let report = try bench("[[ $1 == prepare ]] || { echo 'no room' >&2; exit 3; }\n")
        #expect(report.run.ending == .exited(1))
        #expect(report.run.stdout.contains("FAILED: run ended with 3: no room"), "\(report.run.stdout)")
    }
}
