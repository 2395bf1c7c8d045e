import FoundationEssentials
import SystemPackage

/// One run of a program under the shim, with figures of its own.
struct MeasuredRun {
    let ending: ChildProcess.Ending
    let snapshot: StatsSnapshot
    /// Bytes that lay in windows by mount: for each process the most that was seen of its windows' address space, or of
    /// its memory that belongs to files, whichever is less.
    let mapped: [String: UInt64]

    /// Runs the program that the last `count` words of our own argument vector name.
    /// - Parameters:
    ///   - interval: seconds between samples.
    ///   - sample: gets the figures so far, after each interval and once at the end.
    static func run(
        last count: Int, setup: ShimSetup, interval: Double = 0.2,
        sample: (StatsSnapshot) throws -> Void = { _ in }
    ) throws -> MeasuredRun {
        let runtime = try PrivateRuntime()
        defer { runtime.remove() }
        var most: [Key: UInt64] = [:]
        func look() throws {
            let snapshot = try runtime.snapshot()
            for process in snapshot.processes where process.isLive {
                let present = ProcessView(pid: process.pid).fileMemory ?? .max
                for mount in process.mounts {
                    let key = Key(pid: process.pid, start: process.startTime, mount: mount.path)
                    most[key] = max(most[key] ?? 0, min(mount.mappedBytes, present))
                }
            }
            try sample(snapshot)
        }
        let ending = try ChildProcess.run(
            last: count, changes: setup.changes.filter { $0.name != runtime.change.name } + [runtime.change],
            interval: interval, tick: look)
        let snapshot = try runtime.snapshot()
        try sample(snapshot)
        var mapped: [String: UInt64] = [:]
        for (key, bytes) in most { mapped[key.mount] = (mapped[key.mount] ?? 0).saturatingAdd(bytes) }
        return MeasuredRun(ending: ending, snapshot: snapshot, mapped: mapped)
    }

    private struct Key: Hashable {
        let pid: Int32
        let start: UInt64
        let mount: String
    }

    /// What its calls took and would have taken, by the calibration of each mount.
    /// - Returns: nothing where no mount has one.
    func estimate(_ calibration: (String) throws -> Calibration?) rethrows -> Estimate? {
        var result: Estimate?
        for mount in snapshot.mounts {
            guard let found = try calibration(mount.path) else { continue }
            let windows = snapshot.processes.reduce(UInt64(0)) { sum, process in
                process.mounts.reduce(sum) { $1.path == mount.path ? $0.saturatingAdd($1.windowsTotal) : $0 }
            }
            let processes = snapshot.processes.count { process in
                process.mounts.contains { $0.path == mount.path && $0.windowsTotal > 0 }
            }
            let part = Estimate(
                mount.counters, windows: windows, mapped: mapped[mount.path] ?? 0, processes: UInt64(processes),
                by: found)
            if result == nil { result = part } else { result? += part }
        }
        return result
    }
}
