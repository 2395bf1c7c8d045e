import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// A program that works on files in its working directory and prints what it saw: `Programs/NAME`.
struct Script: Sendable, CustomTestStringConvertible {
    /// bash, with everything it starts, and itself the subject of the first.
    static let shell = ["bash", "cp", "dd", "gcc", "git", "rsync", "sort", "tar"].map {
        Script(name: $0, interpreter: "/usr/bin/bash", arguments: ["\(directory)/\($0).sh"])
    }
    static let python = Script(
        name: "python3", interpreter: "/usr/bin/python3", arguments: ["-B", "\(directory)/files.py"])
    /// What one descriptor means to several programs: the same script for two shells, which read in different ways.
    static let redirections = ["bash", "dash"].map {
        Script(name: "redirections-\($0)", interpreter: "/bin/\($0)", arguments: ["\(directory)/redirections.sh"])
    }
    static let all = shell + [python] + redirections
    /// Many processes at once: pipelines, parallel make, gc beside readers, Python's subprocess and multiprocessing.
    static let processes =
        ["pipelines", "git-gc"].map {
            Script(name: $0, interpreter: "/usr/bin/bash", arguments: ["\(directory)/\($0).sh"])
        }
        + [
            Script(
                name: "make -j2", interpreter: "/usr/bin/bash",
                arguments: ["\(directory)/make.sh", "\(Shim.packageRoot)/Tests/Programs/exerciser"]),
            Script(
                name: "multiprocessing", interpreter: "/usr/bin/python3",
                arguments: ["-B", "\(directory)/processes.py"]),
        ]
    /// File channels in several threads, and null checks, which are SIGSEGVs to the virtual machine.
    static let java = Script(
        name: "java", interpreter: "/usr/bin/java", arguments: ["\(directory)/FileChannels.java"])

    var name: String
    var interpreter: String
    var arguments: [String]
    var stdin: [UInt8] = []
    /// Whether any call of it can be served.
    var isServed = true
    /// Prints what went wrong, if anything did, and then fails without the shim as well.
    var mustSucceed = false
    /// What of its standard error counts.
    var filter: @Sendable (String) -> String = { $0 }

    /// Reads files of more than one huge page: of smaller ones there, nothing can be served.
    var hasLargeFiles: Bool { ["java", "sort", "tar"].contains(name) }

    var testDescription: String { name }

    static let directory = "\(Shim.packageRoot)/Tests/ProgramTests/Programs"

    /// The Swift program, compiled once.
    static func swift() throws -> Script {
        Script(name: "Swift", interpreter: try compiledSwift.get(), arguments: [])
    }

    private static let compiledSwift: Result<String, any Error> = Result {
        let source = "\(directory)/files.swift"
        let output = "\(Shim.packageRoot)/.build/test-programs"
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        let scratch = try ScratchDirectory()
        defer { scratch.close() }
        try FileManager.default.copyItem(atPath: source, toPath: "\(scratch.path)/main.swift")
        let compiler = try spawn(
            "/usr/bin/env", ["swiftc", "-O", "main.swift", "-o", "main"], workingDirectory: scratch.path,
            timeout: .seconds(300))
        guard compiler.ending == .exited(0) else { throw SetupError("\(source) does not compile:\n\(compiler.stderr)") }
        // Under a name of its own first: another test process may be running the program.
        let fresh = "\(output)/files-swift.\(getpid())"
        try FileManager.default.moveItem(atPath: "\(scratch.path)/main", toPath: fresh)
        guard rename(fresh, "\(output)/files-swift") == 0 else { throw SetupError("cannot rename \(fresh)") }
        return "\(output)/files-swift"
    }
}
