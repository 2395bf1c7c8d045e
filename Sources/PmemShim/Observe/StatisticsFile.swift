import CShimSys

/// The user's statistics file (ps_stats.h), open for as long as something is done in it. Everything is read and written
/// by system calls, which fail where a mapping would fault: this happens with every signal blocked.
struct StatisticsFile {
    let file: RuntimeFile
    /// Room of ``Arena/scratchLength`` bytes.
    let scratch: UnsafeMutableRawPointer

    static let shardSize = MemoryLayout<ps_stats_shard>.size
    static let recordSize = MemoryLayout<ps_stats_record>.size
    static let mountSize = MemoryLayout<ps_stats_mount>.size
    static let headSize = Int(PS_STATS_AT_SHARDS.rawValue)
    static let entrySize = MemoryLayout<ps_stats_entry>.size
    static let page = 4_096

    /// Opens or makes the file. Nothing where there is none to be had.
    init?(_ scratch: UnsafeMutablePointer<UInt8>) {
        let size = Int64(MemoryLayout<ps_stats_file>.size)
        guard
            let file = RuntimeFile.open(
                "stats", size: size, scratch, capacity: StatisticsFile.page,
                isGood: { StatisticsFile.identify($0, UnsafeMutableRawPointer(scratch)) })
        else { return nil }
        self.file = file
        self.scratch = UnsafeMutableRawPointer(scratch)
    }

    init(file: RuntimeFile, scratch: UnsafeMutableRawPointer) {
        self.file = file
        self.scratch = scratch
    }

    func close() { file.close() }

    /// Puts the head in, or checks it. Two processes may both put it in: they write the same.
    private static func identify(_ file: RuntimeFile, _ room: UnsafeMutableRawPointer) -> Bool {
        let size = 64
        guard ps_sys_pread(file.fd, room, size, 0) == size else { return false }
        let head = room.assumingMemoryBound(to: ps_stats_header.self)
        if head.pointee.magic == 0 {
            head.pointee.version = UInt32(PS_STATS_VERSION)
            head.pointee.header_size = UInt32(MemoryLayout<ps_stats_header>.size)
            head.pointee.record_size = UInt32(recordSize)
            head.pointee.record_count = UInt32(PS_STATS_RECORDS)
            head.pointee.ended_count = UInt32(PS_STATS_ENDED)
            head.pointee.magic = UInt64(PS_STATS_MAGIC)
            guard ps_sys_pwrite(file.fd, room, size, 0) == size else { return false }
        }
        return head.pointee.magic == UInt64(PS_STATS_MAGIC) && head.pointee.version == UInt32(PS_STATS_VERSION)
            && head.pointee.record_size == UInt32(recordSize)
    }

    static func offset(ofRecord index: Int) -> Int64 {
        Int64(PS_STATS_AT_RECORDS.rawValue) &+ Int64(index &* recordSize)
    }
    static func offset(ofEntry index: Int) -> Int64 {
        Int64(PS_STATS_AT_DIRECTORY.rawValue) &+ Int64(index &* entrySize)
    }
    static func offset(ofShard shard: Int, in index: Int) -> Int64 {
        offset(ofRecord: index) &+ Int64(headSize &+ shard &* shardSize)
    }

    /// Allocates part of a record, where the file may still grow. False: it must not be touched.
    func allocate(_ offset: Int64, _ length: Int) -> Bool {
        mayGrow && ps_sys_allocate(file.fd, offset, Int64(length)) == 0
    }

    /// Whether the file has less than PS_STATS_BYTES of memory now: a record that was folded has given its own back.
    var mayGrow: Bool {
        var now = ps_own_facts()
        return ps_sys_own_facts(file.fd, &now) == 0 && now.memory < Int64(PS_STATS_BYTES)
    }

    /// Maps the record: 34 pages of address space, of which only allocated ones may be touched.
    func map(_ index: Int) -> UInt? {
        let address = ps_sys_map_shared_file(
            StatisticsFile.recordSize, file.fd, StatisticsFile.offset(ofRecord: index))
        // Children inherit it, although they count elsewhere: a handler that forks may have interrupted a call between
        // finding its counters and adding to them, and the child returns into that call.
        return address > 0 ? UInt(bitPattern: address) : nil
    }

    /// Writes a mount's name and backing, and how many mounts there are, into a record's head.
    func describe(_ index: Int, mount: Int, count: Int, backing: UInt32, path: UnsafeBufferPointer<UInt8>) {
        let size = StatisticsFile.mountSize
        let line = scratch.assumingMemoryBound(to: ps_stats_mount.self)
        clear(size)
        line.pointee.backing = backing
        for at in 0..<min(path.count, Int(PS_STATS_PATH) &- 1) {
            scratch.storeBytes(of: path[at], toByteOffset: at, as: UInt8.self)
        }
        let place = Int64(PS_STATS_AT_MOUNTS.rawValue) &+ Int64(mount &* size)
        guard ps_sys_pwrite(file.fd, scratch, size, StatisticsFile.offset(ofRecord: index) &+ place) == size else {
            return
        }
        write(UInt32(count), at: PS_STATS_AT_MOUNT_COUNT, of: index)
    }

    /// Writes the note that is shown with the process, at most 127 bytes of it.
    func note(_ index: Int, _ text: UnsafePointer<UInt8>) {
        let size = 128
        clear(size)
        for at in 0..<min(length(text), size &- 1) {
            scratch.storeBytes(of: text[at], toByteOffset: at, as: UInt8.self)
        }
        let place = StatisticsFile.offset(ofRecord: index) &+ Int64(PS_STATS_AT_NOTE.rawValue)
        _ = ps_sys_pwrite(file.fd, scratch, size, place)
    }

    func write(_ value: UInt32, at place: ps_stats_place, of index: Int) {
        var value = value
        _ = ps_sys_pwrite(file.fd, &value, 4, StatisticsFile.offset(ofRecord: index) &+ Int64(place.rawValue))
    }

    /// The first `count` bytes of the scratch room.
    func clear(_ count: Int) {
        for at in stride(from: 0, to: count, by: 8) { scratch.storeBytes(of: 0, toByteOffset: at, as: UInt64.self) }
    }
}
