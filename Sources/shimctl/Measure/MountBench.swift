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
        let scratch = try Scratch(in: item.directory, size: fileSize)
        defer { scratch.remove() }
        let runtime = try PrivateRuntime()
        defer { runtime.remove() }
        var result = Result()
        for round in 0..<rounds {
            progress(round)
            // What comes first in one round comes last in the next.
            for side in round.isMultiple(of: 2) ? Side.allCases : Side.allCases.reversed() {
                for (name, time) in try worker(scratch.file, side, runtime) {
                    result.times[name, default: [:]][side, default: []].append(time)
                }
            }
        }
        let counters = try runtime.snapshot().mounts.reduce(into: CallCounters()) { $0 += $1.counters }
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

    private func worker(_ file: FilePath, _ side: Side, _ runtime: PrivateRuntime) throws -> [(String, Double)] {
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
            "/proc/self/exe", ["bench-worker", file.string, "\(slice)"] + rows.map(\.name), environment: variables)
        guard run.status == 0 else {
            throw Complaint(.failure, run.errors.trimmed.isEmpty ? "the measured process failed" : run.errors.trimmed)
        }
        return run.output.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let time = Double(words[1]) else { return nil }
            return (String(words[0]), time)
        }
    }
}

/// A directory with a file of random bytes, for the time of a measurement.
private struct Scratch {
    let directory: FilePath
    let file: FilePath

    init(in parent: FilePath, size: Int) throws {
        var template = Array("\(parent.string)/.pmemshim-bench.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Complaint(
                .failure, "\(parent.string.printable): no file can be made there: \(Errno(rawValue: errno))")
        }
        directory = FilePath(String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
        file = directory.appending("data")
        do {
            try fill(size)
        } catch {
            remove()
            let needed = Figures.bytes(UInt64(size + BenchWorker.mostAppended))
            throw Complaint(.failure, "\(parent.string.printable): \(error): \(needed) are needed")
        }
    }

    private func fill(_ size: Int) throws {
        let target = try FileDescriptor.open(
            file, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec], permissions: [.ownerReadWrite])
        try target.closeAfter {
            // Room for what grows beside it, too.
            let reason = posix_fallocate(target.rawValue, 0, off_t(size) + off_t(BenchWorker.mostAppended))
            guard reason == 0 else { throw Errno(rawValue: reason) }
            guard ftruncate(target.rawValue, off_t(size)) == 0 else { throw Errno(rawValue: errno) }
            let block = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8) }
            for _ in 0..<size >> 20 { try target.writeAll(block) }
        }
    }

    func remove() {
        for name in [file.string, file.string + ".append"] { _ = unlink(name) }
        _ = rmdir(directory.string)
    }
}
