import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// Calls measured on a mount: by this program as a process of its own, natively and with the library, in turns.
struct MountBench {
    enum Side: CaseIterable { case native, shim }

    struct Result {
        /// Of each round, ns a call.
        fileprivate(set) var times: [String: [Side: [Double]]] = [:]
        /// Calls that were served, of all that were made with the library.
        fileprivate(set) var served: UInt64 = 0
        fileprivate(set) var total: UInt64 = 0

        func all(_ row: BenchRow, _ side: Side) -> [Double] { times[row.name]?[side] ?? [] }

        func median(_ row: BenchRow, _ side: Side) -> Double? { Statistics.median(all(row, side)) }
    }

    let item: MountItem
    let library: ShimLibrary
    let rows: [BenchRow]
    /// Bytes of the file that is read and written.
    let fileSize: Int
    /// ns for each row in each round, and how many rounds.
    let slice: UInt64
    let rounds: Int

    /// - Parameter progress: told before each round.
    /// - Throws: a `Complaint` where the directory has no room or cannot be written to, or nothing is served there.
    func run(progress: (_ round: Int) -> Void = { _ in }) throws -> Result {
        let runtime = try PrivateRuntime()
        defer { runtime.remove() }
        var result = Result()
        for round in 0..<rounds {
            progress(round)
            // What comes first in one round comes last in the next.
            for side in round.isMultiple(of: 2) ? Side.allCases : Side.allCases.reversed() {
                for (name, time) in try worker(side, runtime) {
                    result.times[name, default: [:]][side, default: []].append(time)
                }
            }
        }
        let counters = runtime.snapshot().counters
        result.served = counters.served
        result.total = counters.total
        guard result.served > 0 else {
            throw Complaint(
                .failure,
                "\(item.directory.string.printable): nothing was served there: shimctl doctor --mount"
                    + " \(item.directory.string.printable) may tell why")
        }
        return result
    }

    private func worker(_ side: Side, _ runtime: PrivateRuntime) throws -> [(String, Double)] {
        var variables = ProcessInfo.processInfo.environment.filter {
            $0.key != "LD_PRELOAD" && !$0.key.hasPrefix("PMEMSHIM_")
        }
        if side == .shim {
            variables["LD_PRELOAD"] = library.path.string
            variables[ps_setting.mounts.variable] = item.description
            // The steady state is measured: what comes before it has rows of its own.
            variables[ps_setting.mapAfter.variable] = "0"
            variables[ps_setting.runtimeDirectory.variable] = runtime.directory.string
        }
        let run = try Subprocess.output(
            "/proc/self/exe", ["bench-worker", item.directory.string, "\(fileSize)", "\(slice)"] + rows.map(\.name),
            environment: variables)
        guard run.status == 0 else {
            let text = run.errors.trimmed.replacing("shimctl bench: ", with: "")
            throw Complaint(.failure, text.isEmpty ? "the measured process failed" : text)
        }
        return run.output.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let time = Double(words[1]) else { return nil }
            return (String(words[0]), time)
        }
    }
}
