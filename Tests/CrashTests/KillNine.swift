import Foundation
import TestSupport

/// One call of `kill-nine`, and what it said.
struct KillNine {
    let run: Run
    /// The numbers before the words of its last line: `kills`, `acknowledged`, `checked`, `lost`, `torn`, `hangs`.
    private(set) var counts: [String: Int] = [:]
    /// What the shim has served of the workers' writes.
    private(set) var servedWrites = 0
    /// Records of the statistics file that are in the hands of nobody, or of somebody who lives, after the last kill:
    /// no process could ever have them.
    /// The JSON answers of `shimctl stats` that were asked for right after kills.
    private(set) var answers: [Data] = []

    /// - Parameters:
    ///   - preload: workers under the shim; it is never loaded into kill-nine itself, which checks.
    ///   - statisticsEvery: `shimctl stats` is asked after every so many kills.
    init(
        on kind: ScratchMount.Kind, kills: Int, seed: UInt64, preload: Bool, statisticsEvery: Int = 4,
        options: [String] = []
    ) throws {
        let mount = try ScratchMount(kind, mebibytes: 128)
        defer { mount.close() }
        let runtime = try ScratchDirectory()
        let documents = try ScratchDirectory()
        defer {
            runtime.close()
            documents.close()
        }
        var arguments = ["--directory", mount.directory, "--kills", "\(kills)", "--seed", "\(seed)"] + options
        if preload {
            arguments += try [
                "--library", Shim.library, "--mounts", mount.item, "--runtime", runtime.path, "--shimctl", Shim.shimctl,
                "--documents", documents.path, "--stats-every", "\(statisticsEvery)",
            ]
        }
        run = try TestSupport.run(
            Programs.path("kill-nine"), arguments, preload: false, timeout: .seconds(300))
        for line in run.lines {
            if line.hasPrefix("good: ") || line.hasPrefix("BAD: ") { readVerdict(line) }
            if line.hasPrefix("served: ") { readServed(line) }
        }
        answers = try FileManager.default.contentsOfDirectory(atPath: documents.path).sorted()
            .filter { $0.hasSuffix(".json") }
            .map { try Data(contentsOf: URL(filePath: "\(documents.path)/\($0)")) }
    }

    /// `good: 60 kills, 151148 acknowledged writes, 48386 checked, 0 lost, 0 torn, 0 hangs`
    private mutating func readVerdict(_ line: Substring) {
        for part in line.split(separator: ":", maxSplits: 1).last?.split(separator: ",") ?? [] {
            let words = part.split(separator: " ")
            if words.count > 1, let number = Int(words[0]) { counts[String(words[1])] = number }
        }
    }

    /// `served: 510815 of 852569 writes (59.9 %), ...; statistics: 64 records of processes, 0 notes`
    private mutating func readServed(_ line: Substring) {
        let words = line.split(separator: " ")
        servedWrites = words.count > 1 ? Int(words[1]) ?? 0 : 0
    }
}
