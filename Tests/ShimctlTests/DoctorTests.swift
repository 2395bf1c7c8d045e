import Foundation
import TestSupport
import Testing

/// `doctor`: what is wrong is found, and what is right is not called wrong.
@Suite("doctor") struct DoctorTests {
    private let fixture: MeasuredProgram

    init() throws { fixture = try MeasuredProgram() }

    /// `doctor --pid` of a program that is served and holds its file open.
    private func ofProcess(_ environment: [String: String] = [:], mount: String? = nil) throws -> JSONValue {
        let script = """
            "$S" run \(mount ?? "--mount \(fixture.mount.directory)") -- /bin/sh -c 'exec 3< "$F"; exec sleep 30' & P=$!
            sleep 0.3; "$S" doctor --json --pid $P; kill $P
            """
        let run = try spawn(
            "/bin/sh", ["-c", script],
            environment: fixture.environment.merging(["S": Shim.shimctl, "F": fixture.file, "PATH": "/usr/bin:/bin"]) {
                $1
            }
            .merging(environment) { $1 })
        let sections = try json(run.stdout)["sections"].items
        return try #require(sections.last, "\(run.stderr)")["findings"]
    }

    private func texts(_ findings: JSONValue, _ level: String) -> [String] {
        findings.items.filter { $0["level"] == .string(level) }.compactMap { $0["text"].text }
    }

    @Test("a process that is served has the library of this version, its settings and no error")
    func served() throws {
        let findings = try ofProcess()
        #expect(texts(findings, "error").isEmpty, "\(findings)")
        #expect(texts(findings, "ok").contains { $0.contains("version 0.") }, "\(findings)")
        #expect(texts(findings, "ok").contains { $0.contains("PMEMSHIM_MOUNTS=\(fixture.mount.directory)") })
        #expect(texts(findings, "ok").contains { $0.hasPrefix("1 open on served mounts") }, "\(findings)")
    }

    @Test("a process without the library is told, with what to do")
    func without() throws {
        let run = try fixture.shimctl("doctor", "--json", "--pid", "\(getpid())")
        #expect(run.ending == .exited(1))
        let last = try #require(try json(run.stdout)["sections"].items.last)
        #expect(texts(last["findings"], "error").contains { $0.contains("does not have it") })
        #expect(last["findings"].items.contains { $0["cure"].text?.contains("shimctl run") == true })
    }

    @Test("a process that does not exist, and a bad number, are told")
    func missing() throws {
        #expect(try fixture.shimctl("doctor", "--pid", "4194303").ending == .exited(1))
        #expect(try fixture.shimctl("doctor", "--pid", "0").ending == .exited(64))
        #expect(try fixture.shimctl("doctor", "--pid", "-5").ending == .exited(64))
    }

    @Test("a directory that is served as named is right; one that is not is an error with its cure")
    func directories() throws {
        #expect(try fixture.shimctl("doctor", "--mount", fixture.mount.directory).ending == .exited(0))
        let other = try fixture.shimctl("doctor", "--mount", "/proc")
        #expect(other.ending == .exited(1))
        #expect(other.stdout.contains("never served"))
        let gone = try fixture.shimctl("doctor", "--mount", "/no/such/place")
        #expect(gone.ending == .exited(1))
        #expect(gone.stdout.contains("/no/such/place"))
        let ext4 = try ScratchMount(.ext4)
        #expect(try fixture.shimctl("doctor", "--mount", ext4.directory).stdout.contains("\(ext4.directory):pagecache"))
        #expect(try fixture.shimctl("doctor", "--mount", ext4.item).ending == .exited(0))
    }

    @Test("a runtime directory that others may write to is a warning, for nothing counts there")
    func runtime() throws {
        #expect(chmod(fixture.scratch.path, 0o755) == 0)
        let run = try fixture.shimctl("doctor", "--json")
        #expect(run.ending == .exited(0))
        let findings = try json(run.stdout)["sections"][0]["findings"]
        #expect(texts(findings, "warning").contains { $0.contains("mode 0700") }, "\(findings)")
    }

    @Test("findings are JSON with a count, and colours are for terminals only")
    func forms() throws {
        let document = try json(try fixture.shimctl("doctor", "--json").stdout)
        #expect(document["schema"] == .string("pmemshim.findings/1"))
        #expect(document["errors"].number != nil)
        #expect(try !fixture.shimctl("doctor").stdout.contains("\u{1b}"))
        let script = "script -qec \"'\(try Shim.shimctl)' doctor\" /dev/null"
        let environment = fixture.environment.merging(["PATH": "/usr/bin:/bin", "TERM": "xterm"]) { $1 }
        #expect(try spawn("/bin/sh", ["-c", script], environment: environment).stdout.contains("\u{1b}[32mok"))
        let quiet = environment.merging(["NO_COLOR": "1"]) { $1 }
        #expect(try !spawn("/bin/sh", ["-c", script], environment: quiet).stdout.contains("\u{1b}"))
    }
}
