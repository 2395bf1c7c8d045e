import Foundation
import TestSupport
import Testing

/// The values that `shimctl run` sets or inherits: good ones reach the program, bad ones are refused by name.
struct RunValueTests {
    private func value(_ name: String, _ arguments: [String], _ environment: [String: String] = [:]) throws -> String {
        let run = try shimctl(["run"] + arguments + ["--", "/usr/bin/printenv", name], environment: environment)
        #expect(run.stderr == "")
        return String(run.stdout.dropLast())
    }

    @Test func makesARelativeMountAbsolute() throws {
        let scratch = try ScratchDirectory(in: "/dev/shm")
        let run = try shimctl(
            "run", "--mount", ".", "--", "/usr/bin/printenv", "PMEMSHIM_MOUNTS", workingDirectory: scratch.path)
        #expect(run.stdout == scratch.path + "\n")
    }

    @Test func resolvesSymbolicLinks() throws {
        let scratch = try ScratchDirectory()
        try FileManager.default.createSymbolicLink(atPath: "\(scratch.path)/link", withDestinationPath: "/dev/shm")
        #expect(try value("PMEMSHIM_MOUNTS", ["--mount", "\(scratch.path)/link"]) == "/dev/shm")
    }

    @Test func addsMountsToTheInheritedOnes() throws {
        let one = try ScratchDirectory(in: "/dev/shm")
        let two = try ScratchDirectory(in: "/dev/shm")
        let three = try ScratchDirectory(in: "/dev/shm")
        let mounts = try value(
            "PMEMSHIM_MOUNTS", ["--mount", two.path, "--mount", three.path, "--mount", one.path],
            ["PMEMSHIM_MOUNTS": ":\(one.path)::"])
        #expect(mounts == "\(one.path):\(two.path):\(three.path)")
    }

    @Test func keepsTheOptionOfAMount() throws {
        let scratch = try ScratchDirectory()
        let mounts = try value("PMEMSHIM_MOUNTS", ["--mount", "\(scratch.path):pagecache", "--mount", "/dev/shm"])
        #expect(mounts == "\(scratch.path):pagecache:/dev/shm")
    }

    @Test func keepsTheOptionOfAnInheritedMount() throws {
        let scratch = try ScratchDirectory()
        let mounts = try value(
            "PMEMSHIM_MOUNTS", [], ["PMEMSHIM_MOUNTS": "/dev/shm:\(scratch.path):pagecache"])
        #expect(mounts == "/dev/shm:\(scratch.path):pagecache")
    }

    @Test func makesTheLogFileAbsolute() throws {
        let scratch = try ScratchDirectory()
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--log", "files.log", "--", "/usr/bin/printenv", "PMEMSHIM_LOG",
            workingDirectory: scratch.path)
        #expect(run.stdout == "\(scratch.path)/files.log\n")
    }

    @Test func dropsEmptyValues() throws {
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", "/bin/sh", "-c", "echo ${PMEMSHIM_LOG-unset}",
            environment: ["PMEMSHIM_LOG": ""])
        #expect(run.stdout == "unset\n")
    }

    @Test(arguments: ["0", "1"]) func acceptsDisable(_ flag: String) throws {
        #expect(try value("PMEMSHIM_DISABLE", ["--mount", "/dev/shm"], ["PMEMSHIM_DISABLE": flag]) == flag)
    }

    @Test(arguments: ["0", "24", "1000000"]) func acceptsMapAfter(_ calls: String) throws {
        #expect(try value("PMEMSHIM_MAP_AFTER", ["--mount", "/dev/shm"], ["PMEMSHIM_MAP_AFTER": calls]) == calls)
    }

    struct Bad: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var arguments: [String] = []
        var environment: [String: String] = [:]
        /// All of these are in the message.
        let names: [String]
    }

    static let badValues = [
        Bad(testDescription: "no such mount", arguments: ["--mount", "/no/where"], names: ["/no/where", "not exist"]),
        Bad(
            testDescription: "a file", arguments: ["--mount", "/etc/passwd"],
            names: ["/etc/passwd", "not a directory"]),
        Bad(testDescription: "an empty mount", arguments: ["--mount", ""], names: ["--mount", "empty"]),
        Bad(
            testDescription: "unknown option", arguments: ["--mount", "/dev/shm:dax"], names: ["\"dax\"", "/dev/shm"]),
        Bad(testDescription: "proc", arguments: ["--mount", "/proc:pagecache"], names: ["/proc", "cannot be served"]),
        Bad(
            testDescription: "inherited: no such mount", environment: ["PMEMSHIM_MOUNTS": "/dev/shm:/no/where"],
            names: ["PMEMSHIM_MOUNTS", "/no/where"]),
        Bad(
            testDescription: "inherited: relative", environment: ["PMEMSHIM_MOUNTS": "data"],
            names: ["PMEMSHIM_MOUNTS", "\"data\"", "absolute"]),
        Bad(
            testDescription: "inherited: unknown option", environment: ["PMEMSHIM_MOUNTS": "/dev/shm:pagecach"],
            names: ["PMEMSHIM_MOUNTS", "\"pagecach\"", "/dev/shm"]),
        Bad(
            testDescription: "log without a directory", arguments: ["--log", "/no/where/log"],
            names: ["--log", "/no/where"]),
        Bad(testDescription: "log is a directory", arguments: ["--log", "/tmp"], names: ["/tmp", "is a directory"]),
        Bad(
            testDescription: "inherited log", environment: ["PMEMSHIM_LOG": "/no/where/log"],
            names: ["PMEMSHIM_LOG", "/no/where"]),
        Bad(testDescription: "disable", environment: ["PMEMSHIM_DISABLE": "yes"], names: ["DISABLE", "\"yes\""]),
        Bad(testDescription: "paranoid", environment: ["PMEMSHIM_PARANOID": "on"], names: ["PARANOID", "\"on\""]),
        Bad(
            testDescription: "map after", environment: ["PMEMSHIM_MAP_AFTER": "soon"],
            names: ["MAP_AFTER", "\"soon\""]),
        Bad(
            testDescription: "map after -1", environment: ["PMEMSHIM_MAP_AFTER": "-1"], names: ["MAP_AFTER", "\"-1\""]),
        Bad(
            testDescription: "map after, too many", environment: ["PMEMSHIM_MAP_AFTER": "1000001"],
            names: ["MAP_AFTER", "1000001"]),
        Bad(
            testDescription: "first after", environment: ["PMEMSHIM_FIRST_AFTER": "many"],
            names: ["FIRST_AFTER", "\"many\""]),
        Bad(testDescription: "memory", environment: ["PMEMSHIM_MEMORY": "8MB"], names: ["MEMORY", "\"8MB\""]),
        Bad(
            testDescription: "unknown variable", environment: ["PMEMSHIM_MOUNT": "/dev/shm"], names: ["PMEMSHIM_MOUNT "]
        ),
        Bad(
            testDescription: "relative runtime directory", environment: ["PMEMSHIM_RUNTIME_DIR": "run"],
            names: ["RUNTIME_DIR", "\"run\""]),
        Bad(
            testDescription: "runtime directory open to others", environment: ["PMEMSHIM_RUNTIME_DIR": "/tmp"],
            names: ["RUNTIME_DIR", "/tmp"]),
    ]

    @Test(arguments: badValues) func refusesBadValues(_ bad: Bad) throws {
        let run = try shimctl(
            ["run"] + bad.arguments + ["--", "/bin/echo", "must not run"], environment: bad.environment)
        #expect(run.ending == .exited(64))
        #expect(run.stdout == "")
        for name in bad.names { #expect(run.stderr.contains(name), "\(run.stderr)") }
    }

    @Test func refusesMoreMountsThanTheEngineTakes() throws {
        let scratch = try ScratchDirectory(in: "/dev/shm")
        let directories = (1...17).map { "\(scratch.path)/\($0)" }
        for directory in directories {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        }
        let run = try shimctl(["run"] + directories.flatMap { ["--mount", $0] } + ["--", "/bin/true"])
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("17 directories"))
    }

    @Test(.enabled(if: ScratchMount.Kind.ext4.unavailability == nil))
    func refusesAPlainFileSystemNotAskedFor() throws {
        let mount = try ScratchMount(.ext4, mebibytes: 16)
        let run = try shimctl("run", "--mount", mount.directory, "--", "/bin/true")
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("\(mount.directory):pagecache"))
        #expect(run.stderr.contains("ext4"))
    }

    @Test func refusesAnUnknownOption() throws {
        let run = try shimctl("run", "--mont", "/dev/shm", "--", "/bin/true")
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("--mont"))
    }

    @Test(arguments: [[], ["--"], ["--mount", "/dev/shm"]]) func refusesToRunNothing(_ arguments: [String]) throws {
        let run = try shimctl(["run"] + arguments)
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("Missing the command"))
    }
}
