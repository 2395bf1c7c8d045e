import CShimSys
import FoundationEssentials
import Glibc

extension StatsFile {
    /// Copies the figures out.
    ///
    /// Live processes go on counting meanwhile, so counters of one process may be some calls apart. A record may also
    /// be folded into `ended` in between; then its figures would be missing or counted twice, so the copy is taken
    /// again when `ended` has changed, a few times, before it is taken as it is.
    func snapshot() throws -> StatsSnapshot {
        var result = try attempt()
        for _ in 0..<8 where !result.isConsistent {
            usleep(2_000)
            result = try attempt()
        }
        return result.snapshot
    }

    private func attempt() throws -> (snapshot: StatsSnapshot, isConsistent: Bool) {
        let size = StatsLayout.Ended.size * StatsLayout.endedCount
        let before = try bytes(at: StatsLayout.ended, count: size)
        var processes: [StatsSnapshot.Process] = []
        var hasChanged = false
        for index in 0..<StatsLayout.recordCount {
            let offset = StatsLayout.records + index * StatsLayout.Record.size
            let head = try bytes(at: offset, count: StatsLayout.Record.shards)
            guard head.number(at: StatsLayout.Record.state, as: UInt32.self) == PS_STATS_LIVE.rawValue else { continue }
            let shards = try bytes(
                at: offset + StatsLayout.Record.shards, count: StatsLayout.shardSize * StatsLayout.shardsPerRecord)
            let again = try bytes(at: offset, count: StatsLayout.Record.mounts)
            guard Self.identity(of: head) == Self.identity(of: again) else {
                hasChanged = true
                continue
            }
            processes.append(Self.process(head: head, shards: shards))
        }
        let after = try bytes(at: StatsLayout.ended, count: size)
        processes.sort { ($0.isLive ? 1 : 0, $0.claimed, $0.pid) > ($1.isLive ? 1 : 0, $1.claimed, $1.pid) }
        return (
            StatsSnapshot(time: StatsSnapshot.now(), processes: processes, ended: Self.ended(in: after)),
            !hasChanged && before.bytes == after.bytes
        )
    }

    /// State, pid, start time and time of the claim.
    private static func identity(of head: StatsBytes) -> ArraySlice<UInt8> {
        head.bytes.prefix(StatsLayout.Record.superseded)
    }

    private static func process(head: StatsBytes, shards: StatsBytes) -> StatsSnapshot.Process {
        typealias Record = StatsLayout.Record
        let pid = head.number(at: Record.pid, as: Int32.self)
        let startTime = head.number(at: Record.startTime, as: UInt64.self)
        let isLive =
            head.number(at: Record.superseded, as: UInt32.self) == 0
            && ProcessLiveness.isRunning(pid: pid, startTime: startTime)
        let mountCount = min(Int(head.number(at: Record.mountCount, as: UInt32.self)), StatsLayout.mountsPerProcess)
        return StatsSnapshot.Process(
            pid: pid, startTime: startTime,
            claimed: head.number(at: Record.claimed),
            command: head.text(in: Record.command),
            note: head.text(in: Record.note),
            isLive: isLive,
            version: head.text(in: Record.version),
            mounts: (0..<mountCount).map { mount(at: $0, head: head, shards: shards, isLive: isLive) })
    }

    private static func mount(
        at index: Int, head: StatsBytes, shards: StatsBytes, isLive: Bool
    ) -> StatsSnapshot.ProcessMount {
        typealias Mount = StatsLayout.Mount
        let offset = StatsLayout.Record.mounts + index * StatsLayout.mountSize
        var counters = CallCounters()
        for shard in 0..<StatsLayout.shardsPerRecord {
            counters += CallCounters(
                shards, at: shard * StatsLayout.shardSize + index * StatsLayout.countersSize)
        }
        let path = offset + Mount.path
        return StatsSnapshot.ProcessMount(
            path: head.text(in: path..<path + StatsLayout.pathSize),
            backing: Backing(raw: head.number(at: offset + Mount.backing)),
            // The kernel has unmapped them with the process.
            windows: isLive ? counters.windows : 0,
            mappedBytes: isLive ? counters.mappedBytes : 0,
            windowsTotal: counters.windowsTotal,
            counters: counters)
    }

    private static func ended(in bytes: StatsBytes) -> [StatsSnapshot.Ended] {
        typealias Ended = StatsLayout.Ended
        return (0..<StatsLayout.endedCount).compactMap { index in
            let offset = index * Ended.size
            let path = bytes.text(in: offset + Ended.path..<offset + Ended.path + StatsLayout.pathSize)
            guard !path.isEmpty else { return nil }
            return StatsSnapshot.Ended(
                path: path,
                backing: Backing(raw: bytes.number(at: offset + Ended.backing)),
                processes: bytes.number(at: offset + Ended.processes),
                counters: CallCounters(bytes, at: offset + Ended.counters))
        }
    }
}
