import FoundationEssentials
import Glibc
import SystemPackage

/// The runs of one comparison.
struct Comparison {
    enum Side: Int, CaseIterable { case native, shim }

    struct Sample {
        let ending: ChildProcess.Ending
        /// Of standard output: how many bytes, and their checksum.
        let output: OutputDigest?
        /// What the run has counted; nothing natively.
        let counters: CallCounters
    }

    private let options: CompareCommand
    private let setup: ShimSetup
    /// Of each pair, native and shim.
    private(set) var pairs: [[Sample]] = []
    /// Of all runs of these under the shim.
    var counters: CallCounters { pairs.joined().reduce(into: CallCounters()) { $0 += $1.counters } }

    init(_ options: CompareCommand, _ setup: ShimSetup) throws {
        self.options = options
        self.setup = setup
    }

    var command: String { options.program.words.text }

    func carryOut() throws -> Comparison {
        var result = self
        let count = options.warmup + options.pairs
        let progress = ProgressLine("compare", total: UInt64(count))
        for number in 0..<count {
            if !options.showOutput { progress.show(UInt64(number)) }
            var samples: [Side: Sample] = [:]
            for side in Bool.random() ? Side.allCases : Side.allCases.reversed() {
                samples[side] = try sample(side)
            }
            if number >= options.warmup { result.pairs.append(Side.allCases.compactMap { samples[$0] }) }
        }
        progress.end()
        return result
    }

    private func sample(_ side: Side) throws -> Sample {
        try Subprocess.prepare(options.preparation)
        // One for each run: what an earlier one has left running goes on counting in its own.
        let runtime = try PrivateRuntime()
        defer { runtime.remove() }
        // Natively without any variable of ours that is inherited.
        let changes = side == .shim ? setup.changes(with: runtime) : setup.nativeChanges
        let output = options.showOutput ? nil : try OutputFile()
        defer { output?.close() }
        let ending = try ChildProcess.run(
            last: options.program.words.count, changes: changes, output: output?.descriptor,
            readsNothing: true)
        guard !ending.isInterrupted else { throw Complaint(.failure, "interrupted") }
        guard ending.isSuccess || options.ignoreFailure else {
            throw Complaint(
                .failure,
                "the program ended with status \(ending.exitStatus) \(side == .shim ? "under the shim" : "natively")"
                    + " (--ignore-failure goes on)")
        }
        return Sample(ending: ending, output: try output?.digest(), counters: runtime.snapshot().counters)
    }
}

extension ShimSetup {
    /// What a program is started with that is not to be served.
    var nativeChanges: [(name: String, value: String?)] {
        let inherited = ProcessInfo.processInfo.environment
        let preloads = (inherited["LD_PRELOAD"] ?? "").split(whereSeparator: { $0 == ":" || $0 == " " })
            .filter { FilePath(String($0)).lastComponent?.string != ShimLibrary.fileName }
        let preload = preloads.isEmpty ? nil : preloads.joined(separator: ":")
        return inherited.keys.filter { $0.hasPrefix("PMEMSHIM_") }.map { ($0, nil) } + [("LD_PRELOAD", preload)]
    }
}
