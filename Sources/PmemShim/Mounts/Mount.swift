import CShimSys

/// A mount (or served tree of one) that files of this process were found on: 512 bytes. Guarded by the engine lock;
/// without it only what stays is read, of the mount of a slot in use.
struct Mount {
    /// Which mount (``ps_file_facts/mount``), and the device of its files: the key, with `tree`.
    var identifier: UInt64
    var device: UInt64
    /// Index + 1 of the served tree it was found by; 0: found by its files' DAX attribute. ``dax`` is added for files
    /// that say of themselves that they are on DAX.
    var tree: UInt32
    /// What holds the bytes of its files.
    var backing: ps_backing
    /// A tmpfs whose files may have huge pages (``MountInfo/mayUseHugePages``), as it was when it was met first.
    var hasHugePages: Bool
    /// Index into the record of the statistics file, below PS_STATS_MOUNTS.
    var statisticsIndex: UInt32
    var pathLength: UInt32
    /// DAX: 1: maps with MAP_SYNC, 2: does not, 0: not tried yet.
    var synchronous: UInt16 = 0
    /// Slots of inodes that are in use for files on it: below ``Arena/inodes``.
    var files: UInt16 = 0
    var attached = AttachedPages()

    static let dax: UInt32 = 1 << 16
}

/// The attached device that the files of a mount lie on.
struct AttachedPages {
    /// There are so many; 0: no such device, or its file system does not tell where files lie.
    var count: UInt64 = 0
    /// The device's number, which is not that of the files on every file system.
    var device: UInt64 = 0
    /// log2 of the size of a page, bytes.
    var shift: UInt32 = 0
    /// Low half of the generation the device is attached under.
    var tag: UInt32 = 0
}

/// A directory of PMEMSHIM_MOUNTS, resolved: 4,160 bytes with its path behind it. Guarded by the engine lock.
struct ServedTree {
    /// The mount the directory lies on (``ps_file_facts/mount``), and the device of the directory.
    var mountIdentifier: UInt64
    var device: UInt64
    /// Where the directory's text starts in the settings, and its length: it is not NUL-terminated.
    var text: UInt32
    var textLength: UInt32
    /// 1: `DIR:pagecache`.
    var allowsPageCache: UInt32
    /// Bytes of the canonical path behind this struct; 0: not resolved yet (it may be created later).
    var pathLength: UInt32
    /// 1: the directory is the root of its mount, so that the mount's files need not be placed by path.
    var isWholeMount: UInt32
    /// 1: it has been said that it is not served, and why.
    var isRefused: UInt32
}

/// Mounts of which no file is ours: a mount that is not the one a tree lies on is inside the tree as a whole, or not at
/// all. One file's path tells, which costs 10 to 20 us: /proc/self/fd makes a new entry for every new descriptor.
/// Only which files are served hangs on it, so a mount that is moved meanwhile does no harm.
struct MountsElsewhere {
    private var keys: (UInt64, UInt64, UInt64, UInt64)

    private func key(_ facts: ps_file_facts) -> UInt64 { facts.mount &* 0x9e37_79b9_7f4a_7c15 ^ facts.device | 1 }

    func has(_ facts: ps_file_facts) -> Bool {
        let key = key(facts)
        return keys.0 == key || keys.1 == key || keys.2 == key || keys.3 == key
    }

    mutating func add(_ facts: ps_file_facts) { keys = (key(facts), keys.0, keys.1, keys.2) }
}

extension UnsafeMutablePointer where Pointee == ServedTree {
    /// Canonical path, not NUL-terminated, room for 4,096 bytes.
    var path: UnsafeMutablePointer<UInt8> {
        UnsafeMutableRawPointer(self).advanced(by: 64).assumingMemoryBound(to: UInt8.self)
    }
}

extension UnsafeMutablePointer where Pointee == Mount {
    /// Mount point or served directory, cut at 256 bytes, for the statistics and the log.
    var path: UnsafeMutablePointer<UInt8> {
        UnsafeMutableRawPointer(self).advanced(by: 64).assumingMemoryBound(to: UInt8.self)
    }
}
