import FoundationEssentials
import Glibc

/// The figures at one moment.
struct StatsSnapshot {
    /// One mount of one process.
    struct ProcessMount {
        let path: String
        let backing: Backing
        /// Mapped now; none once the process has ended.
        let windows: UInt64
        let mappedBytes: UInt64
        /// Mapped since the process began.
        let windowsTotal: UInt64
        let counters: CallCounters
    }

    /// One record: a process, or what a process was before an exec.
    struct Process {
        let pid: Int32
        /// Clock ticks after boot: with the pid it names the process for good.
        let startTime: UInt64
        /// Nanoseconds since 1970.
        let claimed: UInt64
        let command: String
        let note: String
        let isLive: Bool
        /// Version of the library in it; empty: before 0.2.
        let version: String
        let mounts: [ProcessMount]
        /// Whose it is; empty where only one user's are looked at.
        var user = ""

        func with(_ mounts: [ProcessMount]) -> Process {
            Process(
                pid: pid, startTime: startTime, claimed: claimed, command: command, note: note, isLive: isLive,
                version: version, mounts: mounts, user: user)
        }

        func of(user: String) -> Process {
            var copy = self
            copy.user = user
            return copy
        }

        var counters: CallCounters { mounts.reduce(into: CallCounters()) { $0 += $1.counters } }
    }

    /// Processes that have ended and whose records were needed for others.
    struct Ended {
        let path: String
        let backing: Backing
        let processes: UInt64
        let counters: CallCounters
        var user = ""

        func of(user: String) -> Ended {
            var copy = self
            copy.user = user
            return copy
        }
    }

    /// All that is known of one mount.
    struct Mount {
        let path: String
        let backing: Backing
        var liveProcesses: UInt64 = 0
        var endedProcesses: UInt64 = 0
        var windows: UInt64 = 0
        var mappedBytes: UInt64 = 0
        var counters = CallCounters()
    }

    /// Nanoseconds since 1970.
    let time: UInt64
    /// Live ones first, then the newest.
    let processes: [Process]
    let ended: [Ended]

    /// Nobody has counted anything.
    var isEmpty: Bool { processes.isEmpty && ended.isEmpty }

    /// Of all mounts.
    var counters: CallCounters { mounts.reduce(into: CallCounters()) { $0 += $1.counters } }

    /// Sums by mount, in order of path.
    var mounts: [Mount] {
        struct Key: Hashable {
            let path: String
            let backing: Backing
        }
        var sums: [Key: Mount] = [:]
        func update(_ path: String, _ backing: Backing, _ change: (inout Mount) -> Void) {
            change(&sums[Key(path: path, backing: backing), default: Mount(path: path, backing: backing)])
        }
        for line in ended {
            update(line.path, line.backing) {
                $0.endedProcesses = $0.endedProcesses.saturatingAdd(line.processes)
                $0.counters += line.counters
            }
        }
        for process in processes {
            for mount in process.mounts {
                update(mount.path, mount.backing) {
                    if process.isLive {
                        $0.liveProcesses = $0.liveProcesses.saturatingAdd(1)
                    } else {
                        $0.endedProcesses = $0.endedProcesses.saturatingAdd(1)
                    }
                    $0.windows = $0.windows.saturatingAdd(mount.windows)
                    $0.mappedBytes = $0.mappedBytes.saturatingAdd(mount.mappedBytes)
                    $0.counters += mount.counters
                }
            }
        }
        return sums.values.sorted { ($0.path, $0.backing.rawValue) < ($1.path, $1.backing.rawValue) }
    }

    /// The part of the figures that belongs to processes numbered `pid`.
    func filtered(pid: Int32) -> StatsSnapshot {
        StatsSnapshot(time: time, processes: processes.filter { $0.pid == pid }, ended: [])
    }

    /// The part that is wanted.
    /// - Parameters:
    ///   - mount: only on the mount or served directory of this path.
    ///   - command: only of programs of this name, as the kernel cuts it.
    ///   - live: only of processes that run.
    func filtered(mount: String?, command: String?, live: Bool) -> StatsSnapshot {
        guard mount != nil || command != nil || live else { return self }
        let wanted = processes.compactMap { process -> Process? in
            guard command.map({ process.command == $0 }) ?? true, !live || process.isLive else { return nil }
            let mounts = process.mounts.filter { found in mount.map { found.path == $0 } ?? true }
            return mounts.isEmpty ? nil : process.with(mounts)
        }
        // Of those that were folded nobody knows the program any more.
        let folded = command == nil && !live ? ended.filter { line in mount.map { line.path == $0 } ?? true } : []
        return StatsSnapshot(time: time, processes: wanted, ended: folded)
    }

    /// What has been counted since `earlier`, by the processes that have counted anything.
    func since(_ earlier: StatsSnapshot) -> StatsSnapshot {
        func known(_ process: Process, _ path: String) -> CallCounters {
            earlier.processes.first {
                $0.pid == process.pid && $0.startTime == process.startTime && $0.claimed == process.claimed
            }?.mounts.first { $0.path == path }?.counters ?? CallCounters()
        }
        let changed = processes.compactMap { process -> Process? in
            let mounts = process.mounts.map { mount in
                ProcessMount(
                    path: mount.path, backing: mount.backing, windows: mount.windows, mappedBytes: mount.mappedBytes,
                    windowsTotal: mount.windowsTotal, counters: mount.counters.since(known(process, mount.path)))
            }.filter { $0.counters.total > 0 }
            return mounts.isEmpty ? nil : process.with(mounts)
        }
        return StatsSnapshot(time: time, processes: changed, ended: [])
    }

    static func now() -> UInt64 { UInt64(max(0, Date().timeIntervalSince1970) * 1e9) }
}
