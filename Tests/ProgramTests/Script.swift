import Foundation
import TestSupport
import Testing

/// A program that works on files in its working directory and prints what it saw: `Programs/NAME`.
struct Script: Sendable, CustomTestStringConvertible {
    /// bash, with everything it starts, and itself the subject of the first.
    static let shell = ["bash", "cp", "dd", "gcc", "git", "rsync", "sort", "tar"].map {
        Script(name: $0, interpreter: "/usr/bin/bash", arguments: ["\(directory)/\($0).sh"])
    }
    static let python = Script(
        name: "python3", interpreter: "/usr/bin/python3", arguments: ["-B", "\(directory)/files.py"])
    static let all = shell + [python]

    var name: String
    var interpreter: String
    var arguments: [String]

    /// Reads files of more than one huge page: of smaller ones there, nothing can be served.
    var hasLargeFiles: Bool { ["dd", "sort", "tar"].contains(name) }

    var testDescription: String { name }

    private static let directory = "\(Shim.packageRoot)/Tests/ProgramTests/Programs"

    /// The Swift program, compiled once.
    static func swift() throws -> Script {
        Script(name: "Swift", interpreter: try compiledSwift.get().path("main"), arguments: [])
    }

    private static let compiledSwift: Result<ScratchProgram, any Error> = Result {
        try ScratchProgram(swift: "\(directory)/files.swift.txt")
    }
}

/// A program compiled into a directory of its own, removed when forgotten.
struct ScratchProgram: @unchecked Sendable {
    // Never changed after init.
    private let scratch: ScratchDirectory

    init(swift source: String) throws {
        scratch = try ScratchDirectory()
        try FileManager.default.copyItem(atPath: source, toPath: "\(scratch.path)/main.swift")
        let compiler = try spawn(
            "/usr/bin/env", ["swiftc", "-O", "main.swift", "-o", "main"], workingDirectory: scratch.path,
            timeout: .seconds(300))
        guard compiler.ending == .exited(0) else { throw SetupError("\(source) does not compile:\n\(compiler.stderr)") }
    }

    func path(_ name: String) -> String { "\(scratch.path)/\(name)" }
}
