import Foundation
import TestSupport
import Testing

/// What SQLite is asked to do with its files.
struct SQLiteSettings: Sendable, CustomTestStringConvertible {
    enum Journal: String, CaseIterable { case delete, truncate, persist, wal }
    enum Synchronous: String, CaseIterable { case off, normal, full }

    var journal: Journal
    var synchronous = Synchronous.full
    /// Bytes.
    var pageSize = 4096
    /// Bytes that SQLite itself may map; 0 has it read and write.
    var mapped = 0

    /// As the options of `sqlite-workload`.
    var options: [String] {
        ["journal=\(journal)", "synchronous=\(synchronous)", "page=\(pageSize)", "mmap=\(mapped)"]
    }

    var testDescription: String { options.joined(separator: " ") }

    /// Every journal mode with every synchronous setting.
    static let modes = Journal.allCases.flatMap { journal in
        Synchronous.allCases.map { SQLiteSettings(journal: journal, synchronous: $0) }
    }

    /// Every journal mode with small and large pages, read and mapped.
    static let layouts = Journal.allCases.flatMap { journal in
        [512, 4096, 65536].flatMap { page in
            [0, 64 << 20].map { SQLiteSettings(journal: journal, pageSize: page, mapped: $0) }
        }
    }
}

/// A directory on a mount, where SQLite's programs run with the shim and without it.
struct SQLite {
    let mount: ScratchMount

    static let programs = "\(Shim.packageRoot)/Tests/DatabaseTests/Programs"

    /// The program `sqlite-workload`, compiled once.
    static var workload: String { get throws { try compiled.get().path } }

    private static let compiled: Result<CompiledProgram, any Error> = Result {
        try CompiledProgram(
            c: "\(programs)/sqlite-workload.c", name: "sqlite-workload", libraries: ["-lsqlite3"])
    }

    /// Runs a program in the directory `name` of the mount, made where it is missing.
    func run(
        _ program: String, _ arguments: [String], in name: String, preload: Bool, mapAfter: Int? = 0
    ) throws -> Run {
        let directory = mount.path(name)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return try TestSupport.run(
            program, arguments, environment: ["PATH": "/usr/bin:/bin", "HOME": directory], preload: preload,
            mounts: [mount.item], mapAfter: mapAfter, workingDirectory: directory, timeout: .seconds(120))
    }

    /// What the sqlite3 shell answers without the shim.
    func ask(_ statement: String, of database: String, in name: String) throws -> String {
        let shell = try run("/usr/bin/sqlite3", [database, statement], in: name, preload: false)
        return shell.stdout + shell.stderr
    }

    func bytes(_ file: String, in name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(mount.path(name))/\(file)"))
    }
}

extension ServedCounts {
    var servedReads: Int { ["read", "pread", "readv", "preadv"].reduce(0) { $0 + served($1) } }
    var servedWrites: Int { ["write", "pwrite", "writev", "pwritev"].reduce(0) { $0 + served($1) } }
}
