import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// What `stats` says where nothing is served: settings the shim refused, and where figures may be.
@Suite("shimctl stats says why there is nothing") struct RefusedSettingsTests {
    private func write(_ text: String, in directory: String) throws {
        let path = "\(directory)/refused"
        try Data(text.utf8).write(to: URL(filePath: path))
        #expect(chmod(path, 0o600) == 0)
    }

    @Test("lines of the file `refused` are shown, the same ones once, the last first")
    func shown() throws {
        let fixture = try StatsFixture()
        try write(
            """
            1700000000 41 postgres: PMEMSHIM_MOUNTS: /var/lib/postgres: no such directory
            1700000005 42 a: b: PMEMSHIM_MAP_AFTER: "x" is no number
            1700000009 43 postgres: PMEMSHIM_MOUNTS: /var/lib/postgres: no such directory

            """, in: fixture.directory.path)
        let run = try shimctl(["stats"], environment: fixture.environment)
        #expect(run.ending == .exited(0))
        let first = run.lines.firstIndex { $0.contains("postgres (43): PMEMSHIM_MOUNTS: /var/lib/postgres: no such") }
        let second = run.lines.firstIndex { $0.contains("a (42): b: PMEMSHIM_MAP_AFTER") }
        #expect(try #require(first) < #require(second), "\(run.stdout)")
        #expect(run.stdout.contains("(2 times)"))
        #expect(run.stdout.contains("2023-11-14T22:13:29Z"))
        let document = try json(try shimctl(["stats", "--json"], environment: fixture.environment).stdout)
        let lines = document["refused_settings"]
        #expect(lines.items.count == 2)
        #expect(lines[0]["count"].number == 2 && lines[0]["pid"].number == 43 && lines[0]["command"].text == "postgres")
        let one = try shimctl(["stats", "--pid", "42"], environment: fixture.environment)
        #expect(one.ending == .exited(1) || one.stdout.contains("(42)"))
        #expect(!one.stdout.contains("postgres"))
    }

    @Test("whatever has been scribbled over the file is shown as text, and only 64 KiB of it")
    func scribbled() throws {
        let fixture = try StatsFixture()
        let noise = (0..<200_000).map { _ in UInt8.random(in: 0...255) }
        let seeds = ["1 2 \u{1b}[31mred\u{7}: \u{202e}text\n", "1 2 x\n", "99999999999999999999 1 a: b\n", "\n\n: \n"]
        for text in seeds + [String(decoding: noise, as: UTF8.self), String(repeating: "5 6 c: d\n", count: 20_000)] {
            try write(text, in: fixture.directory.path)
            let run = try shimctl(["stats"], environment: fixture.environment)
            #expect(run.ending == .exited(0), "\(run.stderr)")
            #expect(run.output.allSatisfy { $0 >= 0x20 || $0 == 0x0a }, "\(run.stdout)")
        }
        // 64 KiB hold 7,281 lines of 9 bytes.
        #expect(try shimctl(["stats"], environment: fixture.environment).stdout.contains("(7,281 times)"))
        try FileManager.default.removeItem(atPath: "\(fixture.directory.path)/refused")
        #expect(mkfifo("\(fixture.directory.path)/refused", 0o600) == 0)
        #expect(try shimctl(["stats"], environment: fixture.environment).stderr.contains("not a regular file"))
    }

    @Test("without figures it names what may be wrong: the environment's settings, and where it looked")
    func advice() throws {
        let fixture = try StatsFixture()
        let bad = fixture.environment.merging(["PMEMSHIM_MOUNTS": "/no/such/place"]) { $1 }
        let run = try shimctl(["stats"], environment: bad)
        #expect(run.ending == .exited(0))
        #expect(run.stdout.contains("\"/no/such/place\" does not exist"), "\(run.stdout)")
        #expect(run.stdout.contains(fixture.directory.path))
        #expect(run.stdout.contains(":pagecache"))
        let check = try shimctl(["check", "/bin/cat"], environment: bad)
        #expect(check.ending == .exited(0))
        #expect(check.stderr.contains("\"/no/such/place\" does not exist"), "\(check.stderr)")
        #expect(try shimctl(["check", "/bin/cat"], environment: fixture.environment).stderr == "")
    }

    @Test("root is told which users have figures, and reads them with --user; a forged owner does not count")
    func users() throws {
        if geteuid() != 0 { try Test.cancel("another user's figures need root") }
        let user: uid_t = 64_017
        let directory = "/dev/shm/pmemshim-\(user)"
        let fixture = try StatsFixture()
        fixture.record(0, pid: 4_711, start: 1, command: "service")
        fixture.mount(0, 0, path: "/srv/served")
        fixture.calls(0, "PREAD", "SERVED", 5)
        try fixture.write()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: fixture.file, toPath: "\(directory)/stats")
        #expect(chmod(directory, 0o700) == 0 && chmod("\(directory)/stats", 0o600) == 0)

        // Root's own directory by another's name: nobody has figures there.
        #expect(try !shimctl(["stats"]).stdout.contains("\(user)"))
        let forged = try shimctl(["stats", "--user", "\(user)"])
        #expect(forged.ending == .exited(1))
        #expect(forged.stderr.contains("belongs to user 0, not to user \(user)"), "\(forged.stderr)")

        #expect(chown(directory, user, user) == 0 && chown("\(directory)/stats", user, user) == 0)
        let told = try shimctl(["stats"])
        let isTold = told.lines.contains { $0.hasPrefix("Other users have figures:") && $0.contains("\(user)") }
        #expect(isTold, "\(told.stdout)")
        let users = try json(try shimctl(["stats", "--json"]).stdout)["other_users"]
        #expect(users.items.contains { $0["uid"].number == UInt64(user) })
        let shown = try shimctl(["stats", "--user", "\(user)"])
        #expect(shown.ending == .exited(0))
        #expect(shown.stdout.contains("/srv/served"), "\(shown.stdout)\(shown.stderr)")
        #expect(try shimctl(["stats", "--user", "no-such-user"]).ending == .exited(64))

        let other = try spawn(
            "/usr/bin/setpriv",
            ["--reuid", "64018", "--clear-groups", Shim.shimctl, "stats", "--user", "\(user)"], environment: [:])
        #expect(other.ending == .exited(1))
        #expect(other.stderr.contains("only root may"), "\(other.stderr)")
    }
}
