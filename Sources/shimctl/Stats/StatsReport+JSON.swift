import FoundationEssentials
import Glibc

/// The documents that `stats --json` writes. The schema is documented in docs/shimctl.md: fields are added, but not
/// renamed or removed, without a new schema number.
extension StatsReport {
    struct Document: Encodable {
        let schema = "pmemshim.stats/1"
        let timeUnixNs: UInt64
        let runtimeDirectory: String
        let total: CallFigures
        let mounts: [MountDocument]
        let processes: [ProcessDocument]
        let endedFolded: [EndedDocument]
        let refusedSettings: [RefusedSettings.Line]
        let otherUsers: [RuntimePlace.User]

        init(
            _ snapshot: StatsSnapshot, directory: String, refused: RefusedSettings, otherUsers: [RuntimePlace.User],
            saved: [String: Double]
        ) {
            refusedSettings = refused.lines
            self.otherUsers = otherUsers
            timeUnixNs = snapshot.time
            runtimeDirectory = directory
            total = CallFigures(snapshot.counters)
            mounts = snapshot.mounts.map { MountDocument($0, saved: saved[$0.path]) }
            processes = snapshot.processes.map(ProcessDocument.init)
            endedFolded = snapshot.ended.map(EndedDocument.init)
        }
    }

    struct MountDocument: Encodable {
        let path: String
        let backing: String
        let processesLive: UInt64
        let processesEnded: UInt64
        let windows: UInt64
        let mappedBytes: UInt64
        let figures: CallFigures
        /// CPU time saved, estimated; null where the mount was not measured.
        @Explicit var savedNs: Double?

        init(_ mount: StatsSnapshot.Mount, saved: Double? = nil) {
            savedNs = saved
            path = mount.path
            backing = mount.backing.rawValue
            processesLive = mount.liveProcesses
            processesEnded = mount.endedProcesses
            windows = mount.windows
            mappedBytes = mount.mappedBytes
            figures = CallFigures(mount.counters)
        }
    }

    struct ProcessDocument: Encodable {
        struct Mount: Encodable {
            let path: String
            let backing: String
            let windows: UInt64
            let windowsTotal: UInt64
            let mappedBytes: UInt64
            let figures: CallFigures
        }

        let pid: Int32
        let command: String
        let state: String
        let startTimeTicks: UInt64
        let claimedUnixNs: UInt64
        let note: String
        /// Version of the library in it; empty: before 0.2.
        let libraryVersion: String
        /// Empty where only one user's figures were asked for.
        let user: String
        let mounts: [Mount]

        init(_ process: StatsSnapshot.Process) {
            pid = process.pid
            command = process.command
            state = process.isLive ? "live" : "ended"
            startTimeTicks = process.startTime
            claimedUnixNs = process.claimed
            note = process.note
            libraryVersion = process.version
            user = process.user
            mounts = process.mounts.map {
                Mount(
                    path: $0.path, backing: $0.backing.rawValue, windows: $0.windows, windowsTotal: $0.windowsTotal,
                    mappedBytes: $0.mappedBytes, figures: CallFigures($0.counters))
            }
        }
    }

    struct EndedDocument: Encodable {
        let path: String
        let backing: String
        let processes: UInt64
        let figures: CallFigures

        init(_ line: StatsSnapshot.Ended) {
            path = line.path
            backing = line.backing.rawValue
            processes = line.processes
            figures = CallFigures(line.counters)
        }
    }
}

/// Counters, as every part of the documents has them.
struct CallFigures: Encodable {
    struct Family: Encodable {
        let served: UInt64
        let passedOn: UInt64
        /// Reason to count, those above zero.
        let reasons: [String: UInt64]
    }

    struct Bytes: Encodable {
        let served: UInt64
        let passedOn: UInt64
    }

    let served: UInt64
    let passedOn: UInt64
    /// `null` without calls.
    @Explicit var servedPercent: Double?
    /// Families with calls.
    let families: [String: Family]
    let bytesRead: Bytes
    let bytesWritten: Bytes
    let faultsSurvived: UInt64

    init(_ counters: CallCounters) {
        served = counters.served
        passedOn = counters.passedOn
        servedPercent = Figures.percent(counters.served, of: counters.total)
        var families: [String: Family] = [:]
        for family in CallFamily.allCases where counters.total(family) > 0 {
            var reasons: [String: UInt64] = [:]
            for outcome in CallOutcome.allCases.dropFirst() where counters.calls(family, outcome) > 0 {
                reasons[outcome.name] = counters.calls(family, outcome)
            }
            families[family.name] = Family(
                served: counters.served(family), passedOn: counters.passedOn(family), reasons: reasons)
        }
        self.families = families
        bytesRead = Bytes(served: counters.servedRead, passedOn: counters.passedRead)
        bytesWritten = Bytes(served: counters.servedWritten, passedOn: counters.passedWritten)
        faultsSurvived = counters.faults
    }
}
