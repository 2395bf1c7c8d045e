import Foundation
import TestSupport

/// What may be in a file that somebody takes for free: none of it may be overwritten unasked.
enum Occupant: String, CaseIterable {
    case sqlite, tar, partitions, gpt, ext4, random, text, late, last

    /// What shimctl calls it.
    var name: String {
        switch self {
        case .sqlite: "SQLite 3.x database"
        case .tar: "tar archive"
        case .partitions: "a dos partition table"
        case .gpt: "a gpt partition table"
        case .ext4: "ext4"
        case .random, .late, .last: "data (its first byte that is not 0 is at"
        case .text: "ASCII text"
        }
    }

    /// Makes a file of some MiB at `path` that holds it.
    func make(at path: String) throws {
        switch self {
        case .sqlite:
            let numbers = "with recursive c(i) as (select 1 union all select i + 1 from c where i < 150000)"
            try require(
                "/usr/bin/sqlite3",
                [path, "create table t(x); \(numbers) insert into t select hex(randomblob(50)) from c;"])
        case .tar:
            let options = ["--record-size=8M", "-C", "\(Shim.packageRoot)/Tests", "-cf", path, "Programs"]
            try require("/usr/bin/tar", options)
        case .partitions, .gpt:
            try require("/usr/bin/truncate", ["-s", "64M", path])
            let table = self == .gpt ? "label: gpt\n" : "label: dos\nstart=2048, size=65536, type=83\n"
            try require("/usr/sbin/sfdisk", ["--quiet", "--no-tell-kernel", path], stdin: table)
        case .ext4:
            try require("/usr/bin/truncate", ["-s", "64M", path])
            try require("/usr/sbin/mkfs.ext4", ["-q", "-F", path])
        case .random:
            // Not by chance the beginning of something known.
            try Data([0xf1, 0xf1] + (0..<8 << 20).map { _ in UInt8.random(in: 0...255) }).write(to: URL(filePath: path))
        case .text:
            try Data(String(repeating: "what somebody wrote line by line\n", count: 1 << 18).utf8)
                .write(to: URL(filePath: path))
        case .late:
            let noise = (0..<4 << 20).map { _ in UInt8.random(in: 0...255) }
            try Data([UInt8](repeating: 0, count: 4 << 20) + noise).write(to: URL(filePath: path))
        case .last:
            try require("/usr/bin/truncate", ["-s", "64M", path])
            let handle = try FileHandle(forUpdating: URL(filePath: path))
            try handle.seek(toOffset: (64 << 20) - 100)
            try handle.write(contentsOf: Data([7]))
            try handle.close()
        }
    }
}

func require(_ program: String, _ arguments: [String], stdin: String = "") throws {
    let run = try spawn(program, arguments, stdin: Array(stdin.utf8))
    guard run.ending == .exited(0) else { throw SetupError("\(program): \(run.ending), \(run.stderr)") }
}

/// Size and hash of a file.
func fingerprint(_ path: String) throws -> String {
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber
    return "\(size ?? 0) " + (try spawn("/usr/bin/sha256sum", [path])).stdout.prefix(64)
}
