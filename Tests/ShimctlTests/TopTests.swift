import Foundation
import TestSupport
import Testing

/// `stats` and `top` as people look at them: in the width of the terminal, sorted and filtered.
@Suite("what people look at") struct TopTests {
    private let fixture: StatsFixture

    init() throws {
        fixture = try StatsFixture()
        for (index, name) in ["alpha", "beta", "gamma"].enumerated() {
            fixture.record(index, pid: Int32(100 + index), start: 1, command: name)
            fixture.mount(index, 0, path: index == 2 ? "/mnt/other" : "/mnt/data", total: 3)
            fixture.calls(index, "PREAD", "SERVED", UInt64(1_000 * (index + 1)))
            fixture.calls(index, "PREAD", "COLD", 500)
            fixture.bytes(index, servedRead: UInt64(30 - index) << 20)
        }
        try fixture.write()
    }

    private func stats(_ arguments: String..., columns: Int = 80) throws -> Run {
        try shimctl(["stats"] + arguments, environment: fixture.environment.merging(["COLUMNS": "\(columns)"]) { $1 })
    }

    @Test("no line is wider than the terminal", arguments: [60, 80, 120])
    func width(columns: Int) throws {
        for arguments in [[], ["--by", "process"], ["--by", "mount"]] {
            let run = try shimctl(
                ["stats"] + arguments, environment: fixture.environment.merging(["COLUMNS": "\(columns)"]) { $1 })
            let widest = run.lines.map(\.count).max() ?? 0
            #expect(widest <= columns, "\(run.stdout)")
        }
    }

    @Test("the summary has a line for each program, and reasons are sentences with what to do")
    func summary() throws {
        let text = try stats().stdout
        #expect(text.hasPrefix("Program"))
        for name in ["alpha", "beta", "gamma"] { #expect(text.contains("\n\(name)")) }
        #expect(text.contains("1,500 (20.0 %) cold: file not used enough yet to be mapped"), "\(text)")
        #expect(text.contains("-> normal at the beginning"))
    }

    @Test("rows are sorted by what is asked for, and no more than are asked for")
    func sorted() throws {
        func names(_ arguments: String...) throws -> [String] {
            let run = try shimctl(["stats", "--by", "command"] + arguments, environment: fixture.environment)
            return run.lines.dropFirst(2).compactMap { $0.split(separator: " ").first.map(String.init) }
                .filter { ["alpha", "beta", "gamma"].contains($0) }
        }
        #expect(try names() == ["gamma", "beta", "alpha"])
        #expect(try names("--sort", "read") == ["alpha", "beta", "gamma"])
        #expect(try names("--sort", "name", "--limit", "2") == ["alpha", "beta"])
    }

    @Test("filters take what they name, and nothing else")
    func filtered() throws {
        let mount = try json(try stats("--mount", "/mnt/other", "--json").stdout)
        #expect(mount["processes"].items.compactMap { $0["command"].text } == ["gamma"])
        #expect(mount["total"]["served"] == .number(3_000))
        let command = try json(try stats("--command", "beta", "--json").stdout)
        #expect(command["total"]["served"] == .number(2_000))
        #expect(try json(try stats("--live", "--json").stdout)["processes"] == .array([]))
    }

    @Test("an unknown option is called that, and not a path")
    func unknownOption() throws {
        let run = try stats("--colour")
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("--colour"))
        #expect(try stats("--limit", "0").ending == .exited(64))
        #expect(try stats("--openmetrics", "--json").ending == .exited(64))
    }

    @Test("names with control characters are told as they are in JSON, and made harmless for a terminal")
    func oddNames() throws {
        let fixture = try StatsFixture()
        fixture.record(0, pid: 5, start: 1, command: "odd")
        fixture.mount(0, 0, path: "/mnt/\u{1b}[31mred")
        fixture.calls(0, "READ", "SERVED", 10)
        try fixture.write()
        let text = try shimctl("stats", environment: fixture.environment).stdout
        #expect(text.contains("/mnt/\\u{1b}[31mred"))
        #expect(!text.contains("\u{1b}"))
        let document = try json(try shimctl("stats", "--json", environment: fixture.environment).stdout)
        #expect(document["mounts"][0]["path"] == .string("/mnt/\u{1b}[31mred"))
        #expect(try !shimctl("stats", "--openmetrics", environment: fixture.environment).stdout.contains("\u{1b}"))
    }

    @Test("OpenMetrics: a type and a help line for each family, counters end in _total, and the end is marked")
    func openMetrics() throws {
        let lines = try stats("--openmetrics").lines
        #expect(lines.dropLast().last == "# EOF")
        let mark = "pmemshim_calls_total{mount=\"/mnt/data\",backing=\"memory\",call=\"pread\",outcome=\"served\"} 3000"
        #expect(lines.contains(Substring(mark)), "\(lines)")
        var families: Set<String> = []
        for line in lines where line.hasPrefix("# TYPE ") {
            let parts = line.split(separator: " ")
            #expect(families.insert(String(parts[2])).inserted, "\(line)")
            let samples = lines.filter { $0.hasPrefix(parts[2] + (parts[3] == "counter" ? "_total{" : "{")) }
            #expect(!samples.isEmpty, "\(line)")
        }
        #expect(families.count >= 6)
    }

    @Test("watching is a line for each mount and interval, titles first")
    func watch() throws {
        let lines = try stats("--watch", "0.05", "--count", "2").lines.filter { !$0.isEmpty }
        #expect(lines.count == 2 + 2 * 2, "\(lines)")
        #expect(lines[0].hasPrefix("Time"))
        #expect(try stats("--watch", "0.05", "--count", "1", "--pid", "4242").ending == .exited(1))
    }

    @Test("top shows one interval in a pipe")
    func topOnce() throws {
        let run = try shimctl("top", "--delay", "0.1", environment: fixture.environment)
        #expect(run.ending == .exited(0))
        #expect(run.stdout.hasPrefix("shimctl top"))
        #expect(run.output.allSatisfy { $0 >= 0x20 || $0 == 0x0a }, "no escape sequences")
    }

    @Test("top on a terminal takes keys, and gives the terminal back as it was", arguments: ["q", "signal"])
    func topTerminal(end: String) throws {
        // A terminal by script(1) of util-linux; stty before and after must be the same.
        let stop = end == "q" ? "printf 'mfr?pcsbt q'; sleep 1" : "sleep 3"
        let top = "timeout --foreground -s TERM 2 '\(try Shim.shimctl)' top -d 0.2"
        let command = "stty -g; \(top); echo \"end $?\"; stty -g"
        let run = try spawn(
            "/bin/sh", ["-c", "(sleep 0.5; \(stop)) | script -qec \"$0\" /dev/null", command],
            environment: fixture.environment.merging(["PATH": "/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C"]) { $1 })
        let lines = run.stdout.split(whereSeparator: \.isNewline)
        let settings = lines.filter { $0.contains(":") && $0.allSatisfy { $0.isHexDigit || $0 == ":" } }
        #expect(settings.count == 2 && settings.first == settings.last, "\(run.stdout)")
        #expect(run.stdout.contains("\u{1b}[?1049h") && run.stdout.contains("\u{1b}[?1049l"))
        // timeout(1) says 124 where it had to send its signal, which is an end like the key.
        #expect(run.stdout.contains(end == "q" ? "end 0" : "end 124"), "\(run.stdout)")
    }
}
