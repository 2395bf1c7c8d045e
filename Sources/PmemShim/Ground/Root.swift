import CShimSys
import Synchronization

/// The head of the arena: what every room needs of this process. What one room alone keeps stands behind it, in a
/// struct of that room (``Arena``).
///
/// The arena is one anonymous mapping that the kernel wipes to zero in every child (MADV_WIPEONFORK), so zero is the
/// initial state of everything in it, locks included: a forked child starts with an empty cache, whoever forked it.
/// The last eight bytes of its first page are the signals' (`PS_ROOT_SHARED`), those before them the addresses of the
/// regions of page arrays (`PS_ROOT_REGION`), which the handler of SIGBUS looks at.
struct Root: ~Copyable {
    /// The process whose descriptor table the cache describes; 0 until the first slow path. A vfork child shares this
    /// memory but not the descriptors: it finds another process here and learns nothing.
    let owner: Atomic<Int32>
    /// Thread id of the holder of the engine lock, 0 when free. See ``EngineLock``.
    let lockHolder: Atomic<Int32>
    /// The threads of this process that have had to do with the engine.
    let threads: ThreadsState
    /// Nonzero once a window has been mapped in this process.
    let windowsExisted: Atomic<UInt32>
}

/// How far the tables of threads are in use.
struct ThreadsState: ~Copyable {
    /// Records handed out so far; may run past ``Arena/threads``.
    let bound: Atomic<Int32>
    /// Where threads look next for the record of a dead one.
    let search: Atomic<UInt32>
    /// Threads that have been given counters of their own.
    let shards: Atomic<UInt32>
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

    @inline(__always)
    func thread(_ index: Int) -> UnsafeMutablePointer<ThreadRecord> {
        (address + Arena.threadsOffset).assumingMemoryBound(to: ThreadRecord.self) + index
    }

    /// The counters of this process's threads, PS_STATS_SHARDS of them, in memory that nobody else can reach: of all
    /// threads until they may copy, and for good where the process has no place in the statistics file.
    var shards: UInt { UInt(bitPattern: address + Arena.shardOffset) }

    /// Room for one file's worth of text.
    func scratch(_ held: LockHeld) -> UnsafeMutablePointer<UInt8> {
        (address + Arena.scratchOffset).assumingMemoryBound(to: UInt8.self)
    }
}
