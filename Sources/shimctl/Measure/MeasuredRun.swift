import FoundationEssentials
import SystemPackage

/// One run of a program under the shim, with figures of its own.
struct MeasuredRun {
    let ending: ChildProcess.Ending
    let snapshot: StatsSnapshot
    /// Runs the program that the last `count` words of our own argument vector name.
    /// - Parameters:
    ///   - interval: seconds between samples.
    ///   - signals: held by the caller, for several runs.
    ///   - sample: gets the figures so far, after each interval and once at the end.
    ///   - end: gets the place of all its soft memory, which goes afterwards.
    static func run(
        last count: Int, setup: ShimSetup, interval: Double = 0.2, signals: HeldSignals? = nil,
        sample: (StatsSnapshot) throws -> Void = { _ in }, end: (RuntimePlace) throws -> Void = { _ in }
    ) throws -> MeasuredRun {
        let runtime = try PrivateRuntime()
        defer { runtime.remove() }
        let ending = try ChildProcess.run(
            last: count, changes: setup.changes(with: runtime), interval: interval,
            signals: signals, tick: { try sample(runtime.snapshot()) })
        let snapshot = runtime.snapshot()
        try sample(snapshot)
        try end(runtime.place)
        return MeasuredRun(ending: ending, snapshot: snapshot)
    }
}

extension StatsSnapshot {
    /// What all calls took and would have taken without the library; nothing where no mount has been measured.
    func estimate(by calibrations: [String: Calibration]) -> Estimate? {
        var result: Estimate?
        for mount in mounts {
            guard let found = calibrations[mount.path] else { continue }
            let part = Estimate(mount.counters, processes: processesWithWindows(on: mount.path), by: found)
            if result == nil { result = part } else { result? += part }
        }
        return result
    }

    /// How many of the processes that are known have mapped a window there.
    func processesWithWindows(on mount: String) -> UInt64 {
        UInt64(processes.count { process in process.mounts.contains { $0.path == mount && $0.windowsTotal > 0 } })
    }
}
