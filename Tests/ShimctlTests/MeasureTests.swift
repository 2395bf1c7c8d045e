import Foundation
import TestSupport
import Testing

/// `stat`, `compare`, `bench` and `advise`: what they say of a program is what it did.
@Suite("measuring a program") struct MeasureTests {
    private let fixture: MeasuredProgram

    init() throws { fixture = try MeasuredProgram() }

    @Test("stat counts every call of the program, apart from all other figures, and leaves its output alone")
    func statCounts() throws {
        let run = try fixture.run(["stat", "--json"], calls: 1_000)
        #expect(run.ending == .exited(0))
        #expect(run.stdout == "7000\n")
        let document = try json(run.stderr)
        let figures = document["runs"][0]["figures"]
        #expect((figures["served"].number ?? 0) + (figures["passed_on"].number ?? 0) == 1_000)
        #expect(figures["served"].number ?? 0 > 900)
        #expect(document["runs"][0]["elapsed_ns"].number ?? 0 > 0)
        // The usual figures know nothing of it, and nothing is left of its own.
        #expect(try fixture.shimctl("stats").stdout.hasPrefix("No figures yet"))
        let left = try FileManager.default.contentsOfDirectory(atPath: "/dev/shm").filter {
            $0.hasPrefix("pmemshim-run.")
        }
        #expect(left.allSatisfy { (try? FileManager.default.contentsOfDirectory(atPath: "/dev/shm/\($0)")) != nil })
    }

    @Test("stat ends as the program does: its status, or 128 and its signal", arguments: [(37, 37), (-15, 143)])
    func statEnds(end: Int, status: Int32) throws {
        #expect(try fixture.run(["stat"], calls: 10, end: end).ending == .exited(status))
    }

    @Test("stat repeats, writes fields for other programs, and writes to a file")
    func statForms() throws {
        let run = try fixture.run(["stat", "-r", "3", "-x", ";"], calls: 200)
        #expect(run.stdout == "1400\n1400\n1400\n")
        #expect(run.stderr.split(separator: "\n").contains("200;;calls"), "\(run.stderr)")
        let file = "\(fixture.scratch.path)/out"
        let written = try fixture.run(["stat", "-j", "-o", file], calls: 200)
        #expect(written.stderr == "")
        #expect(try json(String(contentsOfFile: file, encoding: .utf8))["schema"] == .string("pmemshim.stat/1"))
    }

    @Test("a file that cannot be written costs nothing of the program's work")
    func statFullDisk() throws {
        let run = try fixture.run(["stat", "-o", "/no/such/directory/out"], calls: 10)
        #expect(run.ending == .exited(1))
        #expect(run.stdout == "")
        #expect(run.stderr.contains("/no/such/directory/out"))
    }

    @Test(
        "a program that cannot be started is told as env(1) does",
        arguments: [("/etc/passwd", 126), ("nosuch-program", 127)])
    func statMissing(program: String, status: Int32) throws {
        #expect(
            try fixture.shimctl("stat", "--mount", fixture.mount.directory, "--", program).ending == .exited(status))
    }

    @Test("compare runs both, and finds the same output")
    func compares() throws {
        let run = try fixture.run(["compare", "-n", "3", "-w", "0", "--json"], calls: 5_000)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let document = try json(run.stdout)
        #expect(document["native"].items.count == 3)
        #expect(document["shim"].items.count == 3)
        #expect(document["is_same"] == .bool(true))
        // 3 runs with the library, and none natively, have counted.
        let figures = document["figures"]
        #expect((figures["served"].number ?? 0) + (figures["passed_on"].number ?? 0) == 15_000)
    }

    @Test("compare tells a program whose output differs, and one that fails")
    func differs() throws {
        let mount = fixture.mount.directory
        let random = try fixture.shimctl(
            "compare", "-n", "2", "-w", "0", "--mount", mount, "--", "/bin/sh", "-c", "date +%N")
        #expect(random.ending == .exited(1))
        #expect(random.stdout.contains("OUTPUT DIFFERS"))
        let failing = try fixture.shimctl("compare", "-n", "2", "--mount", mount, "--", "/bin/false")
        #expect(failing.ending == .exited(1))
        #expect(failing.stderr.contains("status 1"))
        let prepared = try fixture.shimctl("compare", "-n", "2", "-p", "exit 3", "--mount", mount, "--", "/bin/true")
        #expect(prepared.stderr.contains("--prepare failed"))
    }

    @Test("compare prepares each run, and writes its table")
    func prepares() throws {
        let log = "\(fixture.scratch.path)/log"
        let table = "\(fixture.scratch.path)/table.md"
        let run = try fixture.shimctl(
            "compare", "-n", "2", "-w", "1", "-p", "echo x >> '\(log)'", "--export-markdown", table, "--mount",
            fixture.mount.directory, "--", "/bin/echo", "same")
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "x\nx\nx\nx\nx\nx\n")
        #expect(try String(contentsOfFile: table, encoding: .utf8).contains("| native |"))
    }

    @Test("bench measures a mount, keeps it for estimates in a file of mode 0600, and leaves nothing on the mount")
    func bench() throws {
        let run = try fixture.shimctl("bench", "--quick", "--json", fixture.mount.directory)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let document = try json(run.stdout)
        #expect(document["schema"] == .string("pmemshim.calibration/1"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.mount.directory) == ["file"])
        let kept = try FileManager.default.contentsOfDirectory(atPath: fixture.scratch.path)
            .filter { $0.hasPrefix("calibration-") }
        let name = try #require(kept.first)
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(fixture.scratch.path)/\(name)")
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        // From now on what was saved is told.
        #expect(try fixture.run(["stat", "-x", ";"], calls: 50_000).stderr.contains(";ns;saved"))
    }

    @Test(
        "a calibration that anybody has scribbled over counts as none", arguments: ["", "{}", "[1", "{\"schema\":7}"])
    func scribbled(text: String) throws {
        #expect(try fixture.shimctl("bench", "--quick", fixture.mount.directory).ending == .exited(0))
        let kept = try FileManager.default.contentsOfDirectory(atPath: fixture.scratch.path)
            .filter { $0.hasPrefix("calibration-") }
        for name in kept { try Data(text.utf8).write(to: URL(filePath: "\(fixture.scratch.path)/\(name)")) }
        let run = try fixture.run(["stat", "-x", ";"], calls: 5_000)
        #expect(run.ending == .exited(0))
        #expect(!run.stderr.contains("saved"))
    }

    @Test("bench refuses a directory that is not served, or has no room")
    func benchRefuses() throws {
        #expect(try fixture.shimctl("bench", "/proc").ending == .exited(64))
        #expect(try fixture.shimctl("bench", "/no/such/place").ending == .exited(64))
        let small = try ScratchMount(.tmpfs, mebibytes: 8)
        if !small.isWholeFileSystem { try Test.cancel("mounting needs root") }
        let run = try fixture.shimctl("bench", "--quick", small.directory)
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("are needed"), "\(run.stderr)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: small.directory) == [])
    }

    @Test("advise says what a program's calls took and would have taken, and ends as the program does")
    func advises() throws {
        let run = try fixture.run(["advise", "--json"], calls: 50_000, end: 5)
        #expect(run.ending == .exited(5))
        #expect(run.stdout == "350000\n")
        let document = try json(run.stderr)
        #expect(document["schema"] == .string("pmemshim.advice/1"))
        #expect(document["exit_status"] == .number(5))
        #expect(document["expected_native_elapsed_ns"] != .null)
        #expect(document["losses"].items.allSatisfy { $0["reason"].text != nil })
    }

    @Test("advise with --verify runs it natively as well")
    func verifies() throws {
        let run = try fixture.run(["advise", "--verify"], calls: 20_000)
        #expect(run.stdout == "140000\n140000\n")
        #expect(run.stderr.contains("the estimate is"), "\(run.stderr)")
    }

    @Test("advise of a directory has findings, and prices where something is served")
    func directory() throws {
        let run = try fixture.shimctl("advise", "--json", fixture.mount.directory)
        let titles = try json(run.stdout)["sections"].items.compactMap { $0["title"].text }
        #expect(titles.contains("This machine"))
        #expect(titles.contains("What calls cost there"))
        let other = try fixture.shimctl("advise", "/proc")
        #expect(other.ending == .exited(1))
        #expect(other.stdout.contains("never served"))
    }
}
