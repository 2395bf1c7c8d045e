import CShimSys

/// The figures of processes whose records have been taken over, one line per mount.
extension StatisticsFile {
    private static let countersSize = CounterLayout.stride
    private static let lineSize = MemoryLayout<ps_stats_ended>.size
    /// Tries to get a line that another process is adding to: about 50 us.
    private static let patience = 50

    // Rooms in the scratch room.
    private var head: UnsafeMutableRawPointer { scratch + 8_192 }
    private var shard: UnsafeMutableRawPointer { scratch + 12_288 }
    private var sums: UnsafeMutableRawPointer { scratch + 24_576 }
    private var line: UnsafeMutableRawPointer { scratch + 36_864 }
    /// Of all entries; for a claimant, which goes on with it after records have been folded.
    var directory: UnsafeMutableRawPointer { scratch + 40_960 }

    /// Moves a record's figures to the lines of its mounts. The caller holds the lock of its entry.
    ///
    /// The record is emptied first: whoever is killed in between has lost its figures, and nobody counts them twice.
    func fold(_ index: Int) {
        let offset = StatisticsFile.offset(ofRecord: index)
        let size = StatisticsFile.headSize
        guard ps_sys_pread(file.fd, head, size, offset) == size else { return }
        let record = head.assumingMemoryBound(to: ps_stats_record.self)
        let isLive = record.pointee.state == UInt32(PS_STATS_LIVE.rawValue)
        let mountCount = isLive ? min(Int(record.pointee.mount_count), Int(PS_STATS_MOUNTS)) : 0
        if mountCount > 0 { sum(index, min(Int(record.pointee.shard_count), Int(PS_STATS_SHARDS)), mountCount) }
        guard ps_sys_punch(file.fd, offset, Int64(StatisticsFile.recordSize)) == 0 else { return }
        for mount in 0..<mountCount { add(mount) }
    }

    private func sum(_ index: Int, _ shardCount: Int, _ mountCount: Int) {
        let size = mountCount &* StatisticsFile.countersSize
        for at in stride(from: 0, to: size, by: 8) { sums.storeBytes(of: 0, toByteOffset: at, as: UInt64.self) }
        for number in 0..<shardCount {
            let place = StatisticsFile.offset(ofShard: number, in: index)
            guard ps_sys_pread(file.fd, shard, size, place) == size else { return }
            for at in stride(from: 0, to: size, by: 8) {
                let total = sums.load(fromByteOffset: at, as: UInt64.self)
                let amount = shard.load(fromByteOffset: at, as: UInt64.self)
                sums.storeBytes(of: total &+ amount, toByteOffset: at, as: UInt64.self)
            }
        }
    }

    private func add(_ mount: Int) {
        let name = head + Int(PS_STATS_AT_MOUNTS.rawValue) + mount &* StatisticsFile.mountSize
        for index in 0..<Int(PS_STATS_ENDED) where isFor(name, index) {
            let place = StatisticsFile.offset(ofLine: index)
            guard lock(place) else { return }
            defer { _ = ps_sys_unlock(file.fd, place, Int64(StatisticsFile.lineSize)) }
            // It may have been another's before we held it.
            guard isFor(name, index) else { continue }
            return add(mount, name, place)
        }
    }

    private func add(_ mount: Int, _ name: UnsafeMutableRawPointer, _ place: Int64) {
        let size = StatisticsFile.lineSize
        guard ps_sys_pread(file.fd, line, size, place) == size else { return }
        let ended = line.assumingMemoryBound(to: ps_stats_ended.self)
        if line.load(as: UInt8.self) == 0 {
            line.copyMemory(from: name, byteCount: Int(PS_STATS_PATH))
            ended.pointee.backing = name.assumingMemoryBound(to: ps_stats_mount.self).pointee.backing
        }
        ended.pointee.processes &+= 1
        let counters = size &- StatisticsFile.countersSize
        let from = sums + mount &* StatisticsFile.countersSize
        for at in stride(from: 0, to: StatisticsFile.countersSize, by: 8) {
            // The kernel has unmapped their windows with the processes.
            if at == CounterLayout.windows || at == CounterLayout.mappedBytes { continue }
            let total = line.load(fromByteOffset: counters &+ at, as: UInt64.self)
            let amount = from.load(fromByteOffset: at, as: UInt64.self)
            line.storeBytes(of: total &+ amount, toByteOffset: counters &+ at, as: UInt64.self)
        }
        _ = ps_sys_pwrite(file.fd, line, size, place)
    }

    /// Whether the line is of that mount, or of none yet, or the last, which is of all for which there was no room.
    private func isFor(_ name: UnsafeMutableRawPointer, _ index: Int) -> Bool {
        let size = Int(PS_STATS_PATH)
        guard ps_sys_pread(file.fd, line, size, StatisticsFile.offset(ofLine: index)) == size else { return false }
        if index == Int(PS_STATS_ENDED) &- 1 { return true }
        for at in 0..<size {
            let byte = line.load(fromByteOffset: at, as: UInt8.self)
            if at == 0, byte == 0 { return true }
            guard byte == name.load(fromByteOffset: at, as: UInt8.self) else { return false }
            if byte == 0 { return true }
        }
        return true
    }

    private func lock(_ place: Int64) -> Bool {
        for _ in 0..<StatisticsFile.patience {
            if ps_sys_try_lock(file.fd, place, Int64(StatisticsFile.lineSize)) == 0 { return true }
            ps_sys_yield()
        }
        return false
    }

    private static func offset(ofLine index: Int) -> Int64 {
        Int64(PS_STATS_AT_ENDED.rawValue) &+ Int64(index &* lineSize)
    }
}
