import CShimSys

/// Offsets and sizes in the statistics file, from ps_stats.h. Its over-aligned structs are not imported into Swift, so
/// they are laid out here by C's rules from the parts that are; a file made by the C compiler holds this to the truth
/// in the tests, and the sizes in the file's own header at run time.
enum StatsLayout {
    static let families = Int(PS_FAMILY_COUNT.rawValue)
    static let outcomes = Int(PS_OUTCOME_COUNT.rawValue)
    static let mountsPerProcess = Int(PS_STATS_MOUNTS)
    static let shardsPerRecord = Int(PS_STATS_SHARDS)
    static let recordCount = Int(PS_STATS_RECORDS)
    static let endedCount = Int(PS_STATS_ENDED)
    static let pathSize = Int(PS_STATS_PATH)

    static let headerSize = 4096
    static let countersSize = MemoryLayout<ps_stats_counters>.size
    static let mountSize = MemoryLayout<ps_stats_mount>.size
    static let shardSize = aligned(countersSize * mountsPerProcess, to: 64)

    /// struct ps_stats_ended.
    enum Ended {
        static let path = 0
        static let backing = pathSize
        static let processes = pathSize + 8
        static let counters = pathSize + 64
        static let size = aligned(counters + countersSize, to: 64)
    }

    /// struct ps_stats_record.
    enum Record {
        static let state = 0
        static let pid = 4
        static let startTime = 8
        static let claimed = 16
        static let superseded = 24
        static let mountCount = 28
        static let command = 32..<48
        static let note = 48..<176
        static let mounts = 256
        static let shards = aligned(mounts + mountSize * mountsPerProcess, to: 64)
        static let size = aligned(shards + shardSize * shardsPerRecord, to: 4096)
    }

    /// struct ps_stats_mount.
    enum Mount {
        static let path = 0
        static let backing = pathSize
        static let windows = pathSize + 8
        static let mappedBytes = pathSize + 16
        static let windowsTotal = pathSize + 24
    }

    static let ended = headerSize
    static let records = aligned(ended + Ended.size * endedCount, to: 4096)
    static let fileSize = records + Record.size * recordCount

    private static func aligned(_ size: Int, to alignment: Int) -> Int {
        (size + alignment - 1) / alignment * alignment
    }
}

/// Bytes copied out of the statistics file. Reads outside of them yield nothing and zero.
struct StatsBytes {
    let bytes: [UInt8]

    func number<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value {
        guard offset >= 0, offset + MemoryLayout<Value>.size <= bytes.count else { return 0 }
        return bytes.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self)) }
    }

    /// Text up to its NUL or the end of the range, fit for a terminal.
    func text(in range: Range<Int>) -> String {
        String(printable: bytes[range.clamped(to: bytes.indices)].prefix { $0 != 0 })
    }
}
