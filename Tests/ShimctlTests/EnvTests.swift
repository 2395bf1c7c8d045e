import Foundation
import TestSupport
import Testing

/// `shimctl env`: what is printed is what the place it is for reads back.
@Suite("env") struct EnvTests {
    private let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory(in: "/dev/shm") }

    private func odd() throws -> String {
        let path = "\(directory.path)/it's 100%\" \\odd"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test("a shell that evaluates it has the value, whatever characters the path has")
    func shell() throws {
        let path = try odd()
        let text = try shimctl("env", "--mount", path).stdout
        let run = try spawn("/bin/sh", ["-c", text + "printf %s \"$PMEMSHIM_MOUNTS\""], environment: [:])
        #expect(run.stdout == path)
    }

    @Test("systemd's form escapes quotes, backslashes and percent signs")
    func systemd() throws {
        let path = try odd()
        let text = try shimctl("env", "--mount", path, "--format", "systemd").stdout
        let escaped = path.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("%", with: "%%")
        #expect(text.contains("Environment=\"PMEMSHIM_MOUNTS=\(escaped)\"\n"), "\(text)")
    }

    @Test("the cluster's form doubles quotation marks, and refuses a backslash, which it cannot hold")
    func cluster() throws {
        let path = "\(directory.path)/it's"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let text = try shimctl("env", "--mount", path, "--format", "debian-cluster").stdout
        #expect(text.contains("PMEMSHIM_MOUNTS = '\(path.replacing("'", with: "''"))'\n"), "\(text)")
        let refused = try shimctl("env", "--mount", try odd(), "--format", "debian-cluster")
        #expect(refused.ending == .exited(64))
    }

    @Test("it checks as run does")
    func checks() throws {
        #expect(try shimctl("env", "--mount", "/no/such/place").ending == .exited(64))
        let misspelt = try shimctl("env", "--mount", "/dev/shm", environment: ["PMEMSHIM" + "_MONTS": "/a"])
        #expect(misspelt.ending == .exited(64))
        #expect(try shimctl("env", "--mount", "/dev/shm", "--format", "other").ending == .exited(64))
    }

    @Test("all that is inherited and what options add is in it")
    func whole() throws {
        let run = try shimctl(
            "env", "--mount", "/dev/shm", "--format", "json", environment: ["PMEMSHIM_PARANOID": "1", "LD_PRELOAD": ""])
        let document = try json(run.stdout)
        #expect(document.keys == ["LD_PRELOAD", "PMEMSHIM_MOUNTS", "PMEMSHIM_PARANOID"])
        #expect(document["PMEMSHIM_MOUNTS"] == .string("/dev/shm"))
    }
}
