import Foundation
import TestSupport
import Testing

@Suite("shimctl stats --heat")
struct HeatTests {
    /// A file of 16 MiB of which 4 to 6 MiB are read again and again, and the rest hardly.
    private func used(_ body: (_ file: String, _ runtime: String) throws -> Void) throws {
        let mount = try ScratchMount(.tmpfs)
        let runtime = try ScratchDirectory(in: "/dev/shm")
        let file = mount.path("data")
        try Data(repeating: 1, count: 16 << 20).write(to: URL(fileURLWithPath: file))
        let script = """
            import os, sys
            fd = os.open(sys.argv[1], os.O_RDONLY)
            for i in range(64): os.pread(fd, 4096, i * 262144)
            for i in range(1000): os.pread(fd, 4096, (4 << 20) + i % 512 * 4096)
            """
        let run = try run(
            "/usr/bin/python3", ["-c", script, file], preload: true, mounts: [mount.item], mapAfter: 24,
            runtimeDirectory: runtime.path)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.counts.served("pread") > 500)
        try body(file, runtime.path)
    }

    @Test("names the hot file and its hot 2 MiB, as text and as JSON")
    func hot() throws {
        try used { file, runtime in
            let environment = ["PMEMSHIM_RUNTIME_DIR": runtime]
            let text = try shimctl("stats", "--heat", environment: environment)
            #expect(text.ending == .exited(0), "\(text.stderr)")
            let row = text.lines.first { $0.hasPrefix(file) }
            #expect(try #require(row).contains("#"))
            #expect(try #require(row).contains("4.00 MiB"))

            let run = try shimctl("stats", "--heat", file, "--json", environment: environment)
            let document = try JSONSerialization.jsonObject(with: Data(run.output)) as? [String: Any]
            #expect(document?["schema"] as? String == "pmemshim.heat/1")
            let files = try #require(document?["files"] as? [[String: Any]])
            #expect(files.count == 1)
            #expect(files[0]["path"] as? String == file)
            #expect(files[0]["present"] as? Bool == true)
            let groups = try #require(files[0]["groups"] as? [[String: Any]])
            let hottest = groups.max { ($0["reads"] as? Int ?? 0) < ($1["reads"] as? Int ?? 0) }
            #expect(hottest?["offset"] as? Int == 4 << 20)
            #expect(hottest?["reads"] as? Int ?? 0 > 0)
        }
    }

    @Test("of another file there is none")
    func another() throws {
        try used { _, runtime in
            let run = try shimctl("stats", "--heat", "/etc/passwd", environment: ["PMEMSHIM_RUNTIME_DIR": runtime])
            #expect(run.ending == .exited(0))
            #expect(run.stdout == "No heat of that file.\n")
        }
    }

    @Test("a file that others could have written, or with noise in it, is no reason to fail badly")
    func hostile() throws {
        try used { _, runtime in
            let environment = ["PMEMSHIM_RUNTIME_DIR": runtime]
            let path = "\(runtime)/pages"
            let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try handle.seek(toOffset: 4_096)
            try handle.write(contentsOf: Data((0..<1 << 20).map { _ in UInt8.random(in: 0...255) }))
            try handle.close()
            let noise = try shimctl("stats", "--heat", environment: environment)
            #expect(noise.ending == .exited(0), "\(noise.stderr)")
            chmod(path, 0o644)
            let open = try shimctl("stats", "--heat", environment: environment)
            #expect(open.ending == .exited(1))
            #expect(open.stderr.contains("mode 644"))
        }
    }

    @Test("--mount shows the heat of the files below that directory only")
    func mount() throws {
        try used { file, runtime in
            let directory = String(file.dropLast("/data".count))
            let below = try paths(below: directory, runtime)
            #expect(below == [file])
            let beside = try paths(below: String(directory.dropLast()), runtime)
            #expect(beside == [])
        }
    }

    private func paths(below directory: String, _ runtime: String) throws -> [String?] {
        let run = try shimctl(
            "stats", "--heat", "--json", "--mount", directory, environment: ["PMEMSHIM_RUNTIME_DIR": runtime])
        return try json(run.stdout)["files"].items.map { $0["path"].text }
    }

    @Test("--limit shows so many parts of a file")
    func limit() throws {
        try used { file, runtime in
            let run = try shimctl(
                "stats", "--heat", "--limit", "1", file, environment: ["PMEMSHIM_RUNTIME_DIR": runtime])
            // The file's name, two lines of heading, a part, and how many more there are.
            let lines = run.lines.filter { !$0.isEmpty }
            #expect(lines.count == 5, "\(run.stdout)")
            #expect(lines.last?.hasPrefix("... and ") == true)
        }
    }

    @Test("a path alone is a bad option")
    func path() throws {
        #expect(try shimctl("stats", "/tmp").ending == .exited(64))
    }

    @Test(
        "what --heat, --watch or --openmetrics could not heed is refused by name",
        arguments: [
            ["--heat", "--watch", "1"], ["--heat", "--pid", "1"], ["--heat", "--command", "sh"], ["--heat", "--live"],
            ["--heat", "--sort", "read"], ["--heat", "--by", "mount"], ["--heat", "--all-users"],
            ["--watch", "1", "--by", "mount"], ["--watch", "1", "--sort", "read"], ["--watch", "1", "--limit", "5"],
            ["--openmetrics", "--by", "mount"], ["--openmetrics", "--limit", "5"], ["--openmetrics", "--json"],
        ])
    func refused(arguments: [String]) throws {
        let run = try shimctl(["stats"] + arguments)
        #expect(run.ending == .exited(64))
        let option = try #require(arguments.last { $0.hasPrefix("--") })
        #expect(run.stderr.contains(option), "\(run.stderr)")
    }
}
