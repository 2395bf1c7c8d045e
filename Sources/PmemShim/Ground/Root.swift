import CShimSys
import Synchronization

/// The head of the arena: all the state of the engine in this process that is not a setting.
///
/// The arena is one anonymous mapping that the kernel wipes to zero in every child (MADV_WIPEONFORK), so zero is the
/// initial state of everything in it, locks included: a forked child starts with an empty cache, whoever forked it.
/// The last eight bytes of its page are the signals' (`PS_ROOT_SHARED`), those before them the addresses of the regions of
/// page arrays (`PS_ROOT_REGION`), which the handler of SIGBUS looks at.
struct Root: ~Copyable {
    /// The process whose descriptor table the cache describes; 0 until the first slow path. A vfork child shares this
    /// memory but not the descriptors: it finds another process here and learns nothing.
    let owner: Atomic<Int32>
    /// Thread id of the holder of the engine lock, 0 when free. See ``EngineLock``.
    let lockHolder: Atomic<Int32>
    /// One more than the highest descriptor ever cached.
    let descriptorBound: Atomic<Int32>
    /// Thread records handed out so far; may run past ``Arena/threads``.
    let threadBound: Atomic<Int32>
    /// Nonzero once a window has been mapped in this process.
    let windowsExisted: Atomic<UInt32>
    /// Where threads look next for the record of a dead one.
    let threadSearch: Atomic<UInt32>

    /// Slots of inodes handed out so far. Changed with the engine lock held; without it, only whether there are any.
    let usedInodes: Atomic<UInt32>

    /// Page arrays mapped so far.
    let sections: Atomic<UInt32>
    /// Places of page arrays that are in use, one bit for each. Guarded by the engine lock.
    var sectionPlaces: (UInt64, UInt64)
    /// When memory for page arrays was refused last: CLOCK_REALTIME_COARSE, ns.
    let growthRefused: Atomic<Int64>

    // What follows is guarded by the engine lock.
    var freeInode: UInt32
    var windows: UInt32
    /// Address space of all windows, bytes.
    var mapped: Int64
    var mounts: UInt32
    /// Device and inode of the file of page arrays that was mapped last.
    var pages: (UInt64, UInt64)
    var trees: UInt32
    var treesRead: Bool
    /// Mounts that lie on no attached device.
    var unattached: MountsElsewhere
    var retired: UInt32
    /// Not 0: some of these still have their file, for calls that go on in them.
    let lingering: Atomic<UInt32>
    var statisticsTried: Bool
    var statistics: StatisticsRecord
    /// Threads that have been given counters of their own.
    let shardBound: Atomic<UInt32>
    /// Not 0: something was counted under the engine lock, and is to be shown.
    let figuresDue: Atomic<UInt32>
    /// Lines written to the log, and which of the once-only ones.
    var logged: UInt32
    var saidOnce: UInt32
    var elsewhere: MountsElsewhere
}

/// Where things lie in the arena, in bytes from its start. Address space only: pages are touched as they are used.
enum Arena {
    static let descriptors = 65_536
    static let inodes = 16_384
    static let inodeHeads = 4_096
    static let threads = 4_096
    static let retired = 256
    static let mounts = 16
    static let trees = 16
    /// Distance from one entry to the next, bytes: with the path behind it.
    static let mountSize = 512
    static let treeSize = 4_160
    static let scratchLength = 65_536
    /// Lines of the log that are remembered, so that a file opened again is not told again.
    static let said = 4_096
    /// Words of ``Stripes``: those of 64 inodes.
    static let stripes = 4_096
    /// Page arrays a process may have mapped, 2 MiB each; a power of two.
    static let sections = 128
    /// Extents of files that are remembered; a power of two.
    static let extents = 512

    static let descriptorsOffset = 4_096
    static let inodesOffset = descriptorsOffset + descriptors * 32
    /// What is added to the index of an inode in a descriptor's word, so that the slot's distance from the descriptors is a
    /// shift of it and nothing else.
    static let firstInode = UInt32((inodesOffset - descriptorsOffset) / 256)
    static let headsOffset = inodesOffset + inodes * 256
    static let threadsOffset = headsOffset + inodeHeads * 4
    static let retiredOffset = threadsOffset + threads * 64
    static let mountsOffset = retiredOffset + retired * 16
    static let treesOffset = mountsOffset + mounts * mountSize
    static let shardOffset = treesOffset + trees * treeSize
    static let scratchOffset =
        shardOffset + ((MemoryLayout<ps_stats_shard>.size * Int(PS_STATS_SHARDS) + 4_095) & ~4_095)
    static let saidOffset = scratchOffset + scratchLength
    static let stripesOffset = saidOffset + said * 8
    static let sectionsOffset = stripesOffset + stripes * 8
    static let extentsOffset = sectionsOffset + sections * 24
    static let stackOffset = (extentsOffset + extents * 32 + 4_095) & ~4_095
    /// Of the slow steps (``SlowStep``), bytes. They take 1.6 KiB; figures of a signal's frame need not be added.
    static let stackLength = 16_384
    static let length = stackOffset + stackLength
}

/// The address of the root, and by it of everything in the arena. One word; passed by value.
struct Engine {
    let address: UnsafeMutableRawPointer

    /// Nothing before the constructor, when disabled, or when the kernel gave no memory.
    @inline(__always)  // the first instruction of every call
    static var current: Engine? {
        guard let address = ps_root() else { return nil }
        return Engine(address: address)
    }

    @inline(__always)
    var root: UnsafeMutablePointer<Root> { address.assumingMemoryBound(to: Root.self) }

    /// Where page arrays are mapped (``MappedSection``): regions, 0 where there is none yet.
    func sectionRegion(_ number: Int) -> UnsafeMutablePointer<Atomic<UInt>> {
        (address + Int(PS_ROOT_REGION)).assumingMemoryBound(to: Atomic<UInt>.self) + number
    }

    /// The cache entry of `fd`, or nothing where the number is negative or above the table: such calls pass on.
    @inline(__always)
    func descriptor(_ fd: Int32) -> UnsafeMutablePointer<Descriptor>? {
        guard UInt32(bitPattern: fd) < UInt32(Arena.descriptors) else { return nil }
        return (address + Arena.descriptorsOffset).assumingMemoryBound(to: Descriptor.self) + Int(fd)
    }

    /// The slot with that index; the caller got the index from a descriptor word or a chain, both ours.
    @inline(__always)
    func inode(_ index: UInt32) -> UnsafeMutablePointer<Inode> {
        let bounded = Int(index & UInt32(Arena.inodes &- 1))
        return (address + Arena.inodesOffset).assumingMemoryBound(to: Inode.self) + bounded
    }

    @inline(__always)
    func heads() -> UnsafeMutablePointer<UInt32> {
        (address + Arena.headsOffset).assumingMemoryBound(to: UInt32.self)
    }

    @inline(__always)
    func thread(_ index: Int) -> UnsafeMutablePointer<ThreadRecord> {
        (address + Arena.threadsOffset).assumingMemoryBound(to: ThreadRecord.self) + index
    }

    func retired(_ index: UInt32) -> UnsafeMutablePointer<RetiredRange> {
        (address + Arena.retiredOffset).assumingMemoryBound(to: RetiredRange.self) + Int(index)
    }

    @inline(__always)
    func mount(_ index: UInt32) -> UnsafeMutablePointer<Mount> {
        (address + Arena.mountsOffset + Int(index & 15) &* Arena.mountSize).assumingMemoryBound(to: Mount.self)
    }

    func tree(_ index: UInt32) -> UnsafeMutablePointer<ServedTree> {
        (address + Arena.treesOffset + Int(index & 15) &* Arena.treeSize).assumingMemoryBound(to: ServedTree.self)
    }

    /// The counters of this process's threads, PS_STATS_SHARDS of them, in memory that nobody else can reach: of all threads
    /// until they may copy, and for good where the process has no place in the statistics file.
    var shards: UInt { UInt(bitPattern: address + Arena.shardOffset) }

    /// Hashes of lines told to the log; 0: free. Engine lock held.
    var said: UnsafeMutablePointer<UInt64> { (address + Arena.saidOffset).assumingMemoryBound(to: UInt64.self) }

    /// Room for one file's worth of text; only with the engine lock held.
    var scratch: UnsafeMutablePointer<UInt8> { (address + Arena.scratchOffset).assumingMemoryBound(to: UInt8.self) }
}
