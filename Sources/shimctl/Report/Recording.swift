/// What `shimctl record` writes, and `report` reads: a file of JSON documents, one a line. Fields are added, but not
/// renamed or removed, without a new schema number.
struct Recording {
    static let schema = "pmemshim.record/1"

    struct Head: Codable {
        var schema = Recording.schema
        let version: String
        /// Empty where everything of a user was recorded.
        let command: String
        let kernel: String
        let processor: String
        let timeUnixNs: UInt64
    }

    /// The figures since the beginning of the recording's processes.
    struct Sample: Codable {
        let elapsedNs: UInt64
        let mounts: [Mount]
    }

    struct Mount: Codable {
        let path: String
        let backing: String
        let windows: UInt64
        let mappedBytes: UInt64
        /// By family and outcome, those above zero.
        let calls: [String: [String: UInt64]]
        let servedRead: UInt64
        let passedRead: UInt64
        let servedWritten: UInt64
        let passedWritten: UInt64
        let faults: UInt64
    }

    struct End: Codable {
        /// Nothing where no program was run.
        let exitStatus: Int32?
        let elapsedNs: UInt64
        let cpuNs: UInt64?
        /// CPU time saved, where the mounts were calibrated.
        let savedNs: Double?
        let processes: [Process]
        let files: [File]
    }

    struct Process: Codable {
        let pid: Int32
        let command: String
        let served: UInt64
        let passedOn: UInt64
    }

    /// Samples of a file, by 2 MiB of it.
    struct File: Codable {
        let path: String
        let groups: [Group]
    }

    struct Group: Codable {
        let offset: UInt64
        let reads: UInt64
        let writes: UInt64
    }

    /// A line has one of these.
    struct Line: Codable {
        var head: Head?
        var sample: Sample?
        var end: End?
    }

    let name: String
    let head: Head
    let samples: [Sample]
    /// Nothing where the recording was cut short.
    let end: End?
}

extension Recording.Mount {
    init(_ mount: StatsSnapshot.Mount) {
        let counters = mount.counters
        var calls: [String: [String: UInt64]] = [:]
        for family in CallFamily.allCases where counters.total(family) > 0 {
            for outcome in CallOutcome.allCases where counters.calls(family, outcome) > 0 {
                calls[family.name, default: [:]][outcome.name] = counters.calls(family, outcome)
            }
        }
        self.init(
            path: mount.path, backing: mount.backing.rawValue, windows: mount.windows, mappedBytes: mount.mappedBytes,
            calls: calls, servedRead: counters.servedRead, passedRead: counters.passedRead,
            servedWritten: counters.servedWritten, passedWritten: counters.passedWritten, faults: counters.faults)
    }

    /// Sums over families: saturating, for a file can hold anything.
    func sum(_ isWanted: (_ family: String, _ outcome: String) -> Bool) -> UInt64 {
        var result: UInt64 = 0
        for (family, outcomes) in calls {
            for (outcome, count) in outcomes where isWanted(family, outcome) { result = result.saturatingAdd(count) }
        }
        return result
    }
}

extension Recording.Sample {
    func sum(_ isWanted: (_ family: String, _ outcome: String) -> Bool) -> UInt64 {
        mounts.reduce(0) { $0.saturatingAdd($1.sum(isWanted)) }
    }

    /// As ``CallCounters/reasons``.
    var reasons: [(outcome: CallOutcome, calls: UInt64)] {
        CallOutcome.allCases.dropFirst().map { outcome in (outcome, sum { $1 == outcome.name }) }
            .filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }
    }

    var served: UInt64 { sum { $1 == CallOutcome.served.name } }
    var total: UInt64 { sum { _, _ in true } }
    var readBytes: UInt64 { mounts.reduce(0) { $0.saturatingAdd($1.servedRead).saturatingAdd($1.passedRead) } }
    var writtenBytes: UInt64 { mounts.reduce(0) { $0.saturatingAdd($1.servedWritten).saturatingAdd($1.passedWritten) } }
}
