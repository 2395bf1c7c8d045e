import FoundationEssentials
import Glibc

/// What happened between two samples, as `top` shows it.
struct TopFrame {
    /// A line of the table: a process on one mount, or a mount.
    struct Row {
        let pid: Int32
        let user: String
        let command: String
        let mount: String
        let counters: CallCounters
        let windows: UInt64
        let mapped: UInt64
        /// ns of CPU time; nothing where the mount was not measured.
        let saved: Double?

        var bytes: UInt64 {
            [counters.servedRead, counters.passedRead, counters.servedWritten, counters.passedWritten]
                .reduce(0) { $0.saturatingAdd($1) }
        }
    }

    /// Seconds between the samples.
    let interval: Double
    let time: UInt64
    let liveProcesses: Int
    let processes: [Row]
    let mounts: [Row]
    /// Of all mounts.
    let counters: CallCounters
    /// ns; nothing where no mount was measured.
    let saved: Double?

    init(
        from earlier: StatsSnapshot, to later: StatsSnapshot, interval: Double, calibrations: [String: Calibration]
    ) {
        self.interval = max(interval, 1e-3)
        time = later.time
        liveProcesses = later.processes.filter(\.isLive).count
        var before: [Key: StatsSnapshot.ProcessMount] = [:]
        for process in earlier.processes {
            for mount in process.mounts { before[Key(process, mount.path)] = mount }
        }
        func saved(_ counters: CallCounters, _ mount: String) -> Double? {
            calibrations[mount].map { Estimate(counters, processes: 0, by: $0).saved }
        }
        var rows: [Row] = []
        for process in later.processes {
            for mount in process.mounts {
                let known = before[Key(process, mount.path)]
                let change = mount.counters.since(known?.counters ?? CallCounters())
                // What has ended and done nothing meanwhile is of the past.
                guard process.isLive || change.total > 0 else { continue }
                rows.append(
                    Row(
                        pid: process.pid, user: process.user,
                        command: process.isLive ? ProcessView(pid: process.pid).title : process.command,
                        mount: mount.path,
                        counters: change, windows: mount.windows, mapped: mount.mappedBytes,
                        saved: saved(change, mount.path)))
            }
        }
        processes = rows
        let rates = StatsRates(from: earlier, to: later, interval: interval)
        mounts = rates.mounts.map { mount in
            Row(
                pid: 0, user: "", command: "", mount: mount.path, counters: mount.counters, windows: mount.windows,
                mapped: mount.mappedBytes, saved: saved(mount.counters, mount.path))
        }
        counters = mounts.reduce(into: CallCounters()) { $0 += $1.counters }
        let known = mounts.compactMap(\.saved)
        self.saved = known.isEmpty ? nil : known.reduce(0, +)
    }

    private struct Key: Hashable {
        let pid: Int32
        let start: UInt64
        let claimed: UInt64
        let mount: String

        init(_ process: StatsSnapshot.Process, _ mount: String) {
            pid = process.pid
            start = process.startTime
            claimed = process.claimed
            self.mount = mount
        }
    }

    func perSecond(_ count: UInt64) -> Double { Double(count) / interval }
}
