import CShimSys

/// Finding a record for a process. See ps_stats.h for the life of a record, and for the locks.
extension StatisticsFile {
    /// Entries that a claimant looks at for one that has ended, before it takes a free one. Each may cost a system
    /// call.
    private static let looks = 16

    /// A record for this process, whose head is then its own: a free one, or that of an ended process, whose figures
    /// are folded first. Nothing where none can be had; nobody is waited for.
    func claim(_ me: Int32, _ identity: ProcessIdentity) -> Int? {
        let count = Int(PS_STATS_RECORDS)
        let size = count &* StatisticsFile.entrySize
        let entries = directory.assumingMemoryBound(to: ps_stats_entry.self)
        guard ps_sys_pread(file.fd, entries, size, Int64(PS_STATS_AT_DIRECTORY.rawValue)) == size else { return nil }
        var used = 0
        var mine = -1
        var free = -1
        for index in 0..<count {
            guard entries[index].state == UInt32(PS_STATS_LIVE.rawValue) else {
                if free < 0 { free = index }
                continue
            }
            used &+= 1
            if entries[index].pid == me { mine = index }
        }
        if mine >= 0 { supersede(mine, identity) }
        // A file that may not grow has room again where a record that has ended is folded.
        let isRoomy = mayGrow
        if isRoomy, used < Int(PS_STATS_KEPT), free >= 0, let taken = take(free, count, me, identity) { return taken }
        // Not always the same ones: the first would be those of daemons, which never end.
        let start = Int(truncatingIfNeeded: UInt64(bitPattern: ps_sys_coarse_now()) >> 20) &+ Int(me)
        var looked = 0
        for step in 0..<count {
            guard looked < StatisticsFile.looks || free < 0 || !isRoomy else { break }
            let index = (start &+ step) & (count &- 1)
            // As it was read above, with all others: what it says now is asked under its lock.
            guard entries[index].state == UInt32(PS_STATS_LIVE.rawValue) else { continue }
            looked &+= 1
            if hasEnded(entries[index].pid), let taken = take(index, 1, me, identity) { return taken }
        }
        return isRoomy && free >= 0 ? take(free, count, me, identity) : nil
    }

    /// The first of `count` records from `first` on that is free, or whose process has ended, and that nobody else is
    /// taking.
    private func take(_ first: Int, _ count: Int, _ me: Int32, _ identity: ProcessIdentity) -> Int? {
        for index in first..<min(first &+ count, Int(PS_STATS_RECORDS)) {
            let place = StatisticsFile.offset(ofEntry: index)
            guard ps_sys_try_lock(file.fd, place, Int64(StatisticsFile.entrySize)) == 0 else { continue }
            defer { _ = ps_sys_unlock(file.fd, place, Int64(StatisticsFile.entrySize)) }
            guard let seen = entry(index) else { return nil }
            if seen.state == UInt32(PS_STATS_LIVE.rawValue) {
                guard hasEnded(seen.pid) else { continue }
                fold(index)
            }
            var entry = ps_stats_entry(state: UInt32(PS_STATS_LIVE.rawValue), pid: me)
            guard allocate(StatisticsFile.offset(ofRecord: index), StatisticsFile.page),
                ps_sys_pwrite(file.fd, &entry, StatisticsFile.entrySize, place) == StatisticsFile.entrySize,
                writeHead(index, me, identity)
            else { return nil }
            return index
        }
        return nil
    }

    private func writeHead(_ index: Int, _ me: Int32, _ identity: ProcessIdentity) -> Bool {
        clear(StatisticsFile.headSize)
        let head = scratch.assumingMemoryBound(to: ps_stats_record.self)
        head.pointee.state = UInt32(PS_STATS_LIVE.rawValue)
        head.pointee.pid = me
        head.pointee.start_time = identity.startTime
        head.pointee.claimed_ns = UInt64(max(ps_sys_realtime_now(), 0))
        head.pointee.shard_count = 1
        withUnsafeMutablePointer(to: &head.pointee.command) {
            UnsafeMutableRawPointer($0).storeBytes(of: identity.command, as: (UInt64, UInt64).self)
        }
        withUnsafeMutablePointer(to: &head.pointee.version) {
            // A text of the record's, at no multiple of a word's size.
            UnsafeMutableRawPointer($0).storeBytes(of: ps_version_words().words, as: (UInt64, UInt64).self)
        }
        let size = StatisticsFile.headSize
        return ps_sys_pwrite(file.fd, scratch, size, StatisticsFile.offset(ofRecord: index)) == size
    }

    /// The record that this process had before an exec, which changes neither its number nor its time of start.
    private func supersede(_ index: Int, _ identity: ProcessIdentity) {
        let size = 48
        let offset = StatisticsFile.offset(ofRecord: index)
        let room = scratch + StatisticsFile.page
        let head = room.assumingMemoryBound(to: ps_stats_record.self)
        guard ps_sys_pread(file.fd, room, size, offset) == size, head.pointee.start_time == identity.startTime else {
            return
        }
        write(1, at: PS_STATS_AT_SUPERSEDED, of: index)
        var entry = ps_stats_entry(state: UInt32(PS_STATS_LIVE.rawValue), pid: 0)
        _ = ps_sys_pwrite(file.fd, &entry, StatisticsFile.entrySize, StatisticsFile.offset(ofEntry: index))
    }

    private func entry(_ index: Int) -> ps_stats_entry? {
        var entry = ps_stats_entry()
        let size = StatisticsFile.entrySize
        let place = StatisticsFile.offset(ofEntry: index)
        return ps_sys_pread(file.fd, &entry, size, place) == size ? entry : nil
    }

    private func hasEnded(_ pid: Int32) -> Bool { !ps_sys_process_exists(pid) }
}
