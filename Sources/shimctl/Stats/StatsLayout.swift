import CShimSys

/// Offsets and sizes in the statistics file, from ps_stats.h. The structs are never loaded as such: they are large, and
/// their content is not trusted.
enum StatsLayout {
    static let families = Int(PS_FAMILY_COUNT.rawValue)
    static let outcomes = Int(PS_OUTCOME_COUNT.rawValue)
    static let mountsPerProcess = Int(PS_STATS_MOUNTS)
    static let shardsPerRecord = Int(PS_STATS_SHARDS)
    static let recordCount = Int(PS_STATS_RECORDS)
    static let endedCount = Int(PS_STATS_ENDED)
    static let pathSize = Int(PS_STATS_PATH)

    static let headerSize = MemoryLayout<ps_stats_header>.size
    static let countersSize = MemoryLayout<ps_stats_counters>.size
    static let mountSize = MemoryLayout<ps_stats_mount>.size
    static let shardSize = MemoryLayout<ps_stats_shard>.size
    static let fileSize = MemoryLayout<ps_stats_file>.size

    static let ended = offset(\ps_stats_file.ended)
    static let records = offset(\ps_stats_file.records)

    /// struct ps_stats_ended.
    enum Ended {
        static let size = MemoryLayout<ps_stats_ended>.size
        static let path = offset(\ps_stats_ended.path)
        static let backing = offset(\ps_stats_ended.backing)
        static let processes = offset(\ps_stats_ended.processes)
        static let counters = offset(\ps_stats_ended.counters)
    }

    /// struct ps_stats_record.
    enum Record {
        static let size = MemoryLayout<ps_stats_record>.size
        static let state = offset(\ps_stats_record.state)
        static let pid = offset(\ps_stats_record.pid)
        static let startTime = offset(\ps_stats_record.start_time)
        static let claimed = offset(\ps_stats_record.claimed_ns)
        static let superseded = offset(\ps_stats_record.superseded)
        static let mountCount = offset(\ps_stats_record.mount_count)
        static let command = offset(\ps_stats_record.command)..<offset(\ps_stats_record.note)
        static let note = offset(\ps_stats_record.note)..<offset(\ps_stats_record.shard_count)
        static let version = offset(\ps_stats_record.version)..<offset(\ps_stats_record.reserved)
        static let mounts = offset(\ps_stats_record.mounts)
        static let shards = offset(\ps_stats_record.shards)
    }

    /// struct ps_stats_mount.
    enum Mount {
        static let path = offset(\ps_stats_mount.path)
        static let backing = offset(\ps_stats_mount.backing)
    }

    /// Fields of a C struct are stored and have an offset; one that had none would read as nothing.
    private static func offset<Root>(_ field: PartialKeyPath<Root>) -> Int {
        MemoryLayout<Root>.offset(of: field) ?? 1 << 40
    }
}

/// Bytes copied out of the statistics file. Reads outside of them yield nothing and zero.
struct StatsBytes {
    let bytes: [UInt8]

    func number<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value {
        guard offset >= 0, offset + MemoryLayout<Value>.size <= bytes.count else { return 0 }
        return bytes.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self)) }
    }

    /// Text up to its NUL or the end of the range, as it is: what shows it makes it fit for a terminal.
    func text(in range: Range<Int>) -> String {
        String(decoding: bytes[range.clamped(to: bytes.indices)].prefix { $0 != 0 }, as: UTF8.self)
    }
}
