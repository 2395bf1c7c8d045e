import Foundation
import TestSupport
import Testing

/// `report`, of recordings that a test has made up.
@Suite("reports of recordings") struct ReportTests {
    private let scratch: ScratchDirectory
    private var file: String { "\(scratch.path)/a.record" }

    init() throws { scratch = try ScratchDirectory() }

    private static let head = """
        {"head":{"schema":"pmemshim.record/1","version":"","command":"c","kernel":"","processor":"","time_unix_ns":0}}

        """

    private static func sample(second: Int, calls: Int, path: String = "/m") -> String {
        """
        {"sample":{"elapsed_ns":\(second * 1_000_000_000),"mounts":[{"path":"\(path)","backing":"memory",\
        "windows":0,"mapped_bytes":0,"calls":{"pread":{"served":\(calls)}},"served_read":0,"passed_read":0,\
        "served_written":0,"passed_written":0,"faults":0}]}}

        """
    }

    /// Calls in every other second, all of them served; none in the first and in the last.
    private func writeGaps() throws {
        let samples = [0, 0, 9, 9, 18, 18].enumerated().map { Self.sample(second: $0, calls: $1) }
        try Data((Self.head + samples.joined()).utf8).write(to: URL(filePath: file))
    }

    @Test("intervals without any call are blanks in the terminal's row of bars, also at its beginning and end")
    func blanks() throws {
        try writeGaps()
        let run = try shimctl("report", file)
        #expect(run.stdout.contains("served, % over time  0  @ @  100\n"), "\(run.stdout)\(run.stderr)")
    }

    @Test("intervals without any call are gaps in the page's curve, also at its beginning and end")
    func gaps() throws {
        try writeGaps()
        #expect(try shimctl("report", file, "--html", "\(scratch.path)/a.html").ending == .exited(0))
        let page = try String(contentsOfFile: "\(scratch.path)/a.html", encoding: .utf8)
        let chart = try #require(page.components(separatedBy: "</svg>").first)
        let curves = chart.components(separatedBy: "<path class=\"line served\"").dropFirst()
        // From 84 to 844 are five seconds.
        #expect(
            curves.map { $0.prefix { $0 != "/" } } == [
                " d=\"M 236.0 12.0 L 388.0 12.0\"", " d=\"M 540.0 12.0 L 692.0 12.0\"",
            ])
    }

    @Test("a recording of any size is read in little memory, to its last sample")
    func large() throws {
        let path = "/" + String(repeating: "m", count: 32 << 10)
        _ = FileManager.default.createFile(atPath: file, contents: Data(Self.head.utf8))
        let handle = try FileHandle(forWritingTo: URL(filePath: file))
        try handle.seekToEnd()
        var count = 0
        while try handle.offset() < 300 << 20 {
            let samples = (0..<100).map { Self.sample(second: count + $0, calls: count + $0, path: path) }
            try handle.write(contentsOf: Data(samples.joined().utf8))
            count += samples.count
        }
        try handle.close()
        let script = """
            import resource, subprocess, sys
            status = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
            print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 150 << 10)
            """
        let run = try spawn(
            "/usr/bin/python3", ["-c", script, Shim.shimctl, "report", file], environment: ["LC_ALL": "C"],
            timeout: .seconds(120))
        #expect(run.stdout == "0 True\n", "\(run.stderr)")
        let calls = "\((count - 1) / 1_000),\(String((count - 1) % 1_000 + 1_000).dropFirst())"
        #expect(run.stderr.contains("  \(calls)"), "\(calls) in \(run.stderr)")
    }

    @Test("a line that is longer than any of record's is refused with its number")
    func longLine() throws {
        let text = Self.head + String(repeating: " ", count: 65 << 20)
        try Data(text.utf8).write(to: URL(filePath: file))
        let run = try shimctl("report", file)
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("a.record, line 2, is not a line"), "\(run.stderr)")
    }
}
