import CShimSys
import Synchronization

/// What tells one life of a pid from another, and its name.
struct ProcessIdentity {
    /// Field 22 of /proc/PID/stat: clock ticks after boot.
    var startTime: UInt64 = 0
    var command: (UInt64, UInt64) = (0, 0)

    /// Reads /proc/PID/stat into `scratch`. The name stands in parentheses and may hold anything, so fields are counted
    /// from the last closing one.
    mutating func read(_ pid: Int32, _ scratch: UnsafeMutablePointer<UInt8>, capacity: Int) {
        var path = PathText(scratch, capacity: 64)
        path.append("/proc/")
        path.append(UInt64(max(pid, 0)))
        path.append("/stat")
        let fd = ps_sys_open(path.text, Int32(PS_O_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { return }
        let count = ps_sys_read(Int32(truncatingIfNeeded: fd), scratch, capacity)
        _ = ps_sys_close(Int32(truncatingIfNeeded: fd))
        guard count > 0 else { return }
        parse(UnsafeBufferPointer(start: UnsafePointer(scratch), count: count))
    }

    mutating func parse(_ text: UnsafeBufferPointer<UInt8>) {
        var open = 0
        while open < text.count, text[open] != 40 { open &+= 1 }
        var close = text.count &- 1
        while close > open, text[close] != 41 { close &-= 1 }
        guard close > open else { return }
        withUnsafeMutableBytes(of: &command) { target in
            var at = 0
            while at < 15, open &+ 1 &+ at < close {
                target[at] = text[open &+ 1 &+ at]
                at &+= 1
            }
        }
        // After ") " comes field 3.
        var field = 3
        var at = close &+ 2
        while at < text.count, field < 22 {
            if text[at] == 32 { field &+= 1 }
            at &+= 1
        }
        var end = at
        while end < text.count, text[end] != 32 { end &+= 1 }
        guard let start = text.baseAddress, end > at else { return }
        startTime = decimal(UnsafeBufferPointer(start: start + at, count: end &- at)) ?? 0
    }
}

/// Opening and claiming, apart from the engine's state. See ps_stats.h for the life of a record.
enum StatisticsFile {
    /// Opens or makes the file, checks what was opened, claims a record for this process, and maps that record alone: the
    /// file is sparse, and mlockall would make memory of all that is mapped.
    static func attach(
        _ scratch: UnsafeMutablePointer<UInt8>, capacity: Int, _ me: Int32
    ) -> UnsafeMutablePointer<ps_stats_record>? {
        let size = MemoryLayout<ps_stats_file>.size
        guard let fd = RuntimeFile.open("stats", size: Int64(size), scratch, capacity: capacity) else { return nil }
        defer { _ = ps_sys_close(fd) }
        let address = ps_sys_map_shared_file(size, fd, 0)
        guard address > 0, let file = UnsafeMutablePointer<ps_stats_file>(bitPattern: UInt(bitPattern: address)) else {
            return nil
        }
        defer { _ = ps_sys_unmap(UInt(bitPattern: address), size) }
        var identity = ProcessIdentity()
        identity.read(me, scratch, capacity: capacity)
        guard identify(file), let claimed = claim(file, me, identity) else { return nil }
        let length = MemoryLayout<ps_stats_record>.stride
        let offset = UnsafeMutableRawPointer(claimed) - UnsafeMutableRawPointer(file)
        let own = ps_sys_map_shared_file(length, fd, Int64(offset))
        guard own > 0 else { return nil }
        // Children inherit it, although they count elsewhere: a handler that forks may have interrupted a call between
        // finding its counters and adding to them, and the child returns into that call.
        return UnsafeMutablePointer<ps_stats_record>(bitPattern: UInt(bitPattern: own))
    }

    /// Puts the head in, or checks it. Two processes may both put it in: they write the same.
    private static func identify(_ file: UnsafeMutablePointer<ps_stats_file>) -> Bool {
        if file.pointee.header.magic == 0 {
            file.pointee.header.version = UInt32(PS_STATS_VERSION)
            file.pointee.header.header_size = UInt32(MemoryLayout<ps_stats_header>.size)
            file.pointee.header.record_size = UInt32(MemoryLayout<ps_stats_record>.stride)
            file.pointee.header.record_count = UInt32(PS_STATS_RECORDS)
            file.pointee.header.ended_count = UInt32(PS_STATS_ENDED)
            file.pointee.header.magic = UInt64(PS_STATS_MAGIC)
        }
        return file.pointee.header.magic == UInt64(PS_STATS_MAGIC)
            && file.pointee.header.version == UInt32(PS_STATS_VERSION)
            && file.pointee.header.record_size == UInt32(MemoryLayout<ps_stats_record>.stride)
    }

    /// Records looked at beyond the first that could be had, for one that this process left before an exec.
    private static let neighbourhood = 8

    /// A record for this process: a free one, or that of an ended process, whose figures are folded first.
    ///
    /// The search starts where the pid says, so that it usually ends at the first look, and a process finds the record
    /// it had before an exec.
    static func claim(
        _ file: UnsafeMutablePointer<ps_stats_file>, _ me: Int32, _ identity: ProcessIdentity
    ) -> UnsafeMutablePointer<ps_stats_record>? {
        let records = withUnsafeMutablePointer(to: &file.pointee.records) {
            UnsafeMutableRawPointer($0).assumingMemoryBound(to: ps_stats_record.self)
        }
        let count = Int(PS_STATS_RECORDS)
        var claimed: UnsafeMutablePointer<ps_stats_record>?
        var step = 0
        while step < count, claimed == nil || step < neighbourhood {
            let record = records + Int((UInt(bitPattern: Int(me)) &+ UInt(bitPattern: step)) % UInt(count))
            step &+= 1
            let state = record.pointee.state
            let mine = folding(by: me)
            if state == UInt32(PS_STATS_FREE.rawValue) {
                if claimed == nil, swap(record, state, mine) { claimed = record }
            } else if hasEnded(record, state, me) {
                guard claimed == nil, swap(record, state, mine) else {
                    if record.pointee.pid == me { record.pointee.superseded = 1 }
                    continue
                }
                EndedFigures.move(record, to: file)
                EndedFigures.clear(record)
                claimed = record
            }
        }
        guard let record = claimed else { return nil }
        record.pointee.pid = me
        record.pointee.start_time = identity.startTime
        record.pointee.claimed_ns = UInt64(max(ps_sys_realtime_now(), 0))
        record.pointee.superseded = 0
        record.pointee.mount_count = 0
        withUnsafeMutablePointer(to: &record.pointee.command) {
            UnsafeMutableRawPointer($0).storeBytes(of: identity.command, as: (UInt64, UInt64).self)
        }
        _ = swap(record, folding(by: me), UInt32(PS_STATS_LIVE.rawValue))
        return record
    }

    /// Whether nobody counts in that record any more, nor is taking it over. One with the caller's own pid is from
    /// before an exec, or a namesake's that is gone: this process has only just come to claim.
    private static func hasEnded(
        _ record: UnsafeMutablePointer<ps_stats_record>, _ state: UInt32, _ me: Int32
    ) -> Bool {
        switch state & 3 {
        case UInt32(PS_STATS_LIVE.rawValue):
            return record.pointee.pid == me || record.pointee.superseded == 1
                || !ps_sys_process_exists(record.pointee.pid)
        case UInt32(PS_STATS_FOLDING.rawValue):
            let claimant = Int32(bitPattern: state >> 2)
            return claimant == me || (claimant != 0 && !ps_sys_process_exists(claimant))
        default:
            return false
        }
    }

    /// The state of a record that this process is taking over. Pids have 22 bits.
    private static func folding(by me: Int32) -> UInt32 {
        UInt32(PS_STATS_FOLDING.rawValue) | UInt32(bitPattern: me) << 2
    }

    private static func swap(
        _ record: UnsafeMutablePointer<ps_stats_record>, _ from: UInt32, _ to: UInt32
    ) -> Bool {
        UnsafeMutableRawPointer(record).assumingMemoryBound(to: Atomic<UInt32>.self).pointee
            .compareExchange(expected: from, desired: to, ordering: .acquiringAndReleasing).exchanged
    }
}
