import CShimSys
import Synchronization

/// One inode that this process has descriptors of, and its window: 256 bytes, the first 64 for the served path.
///
/// Safety rests on `base` and `length` alone, which change only together with the window (`base` is 0 meanwhile, and a
/// served call checks that `base` and the descriptor's word are what they were after it has read `length`). `size` and
/// the limits are hints: too low, the kernel does the call; too high, the end probe faults and the kernel does it.
struct Inode: ~Copyable {
    /// Address of the window; 0: none.
    let base: Atomic<UInt>
    /// Bytes mapped at `base`.
    let length: Atomic<Int64>
    /// A read that ends at or before this offset may be served; 0: none.
    let readLimit: Atomic<Int64>
    /// A write that ends at or before this offset may be served; 0: none.
    let writeLimit: Atomic<Int64>
    /// What the offset of an end probe is added to (``Target/prove(_:limit:)``): `base`, where they are made in the
    /// window itself, or the address right behind the window. It stays when a window goes: it belongs to `base`.
    let probeBase: Atomic<UInt>
    /// Where the file's mount has its figures in a thread's shard, bytes: ``Geometry/statistics`` worked out.
    let counters: Atomic<UInt32>
    /// See ``InodeFlag``.
    let flags: Atomic<UInt32>
    /// See ``Geometry``.
    let geometry: Atomic<UInt32>
    /// Calls that a look at holes, or at a file that grows, was thought of in.
    let sparseCalls: Atomic<UInt32>
    /// Largest size known, bytes.
    let size: Atomic<Int64>

    /// Calls per region of the file (64 of them, saturating): a region is served once it is hot.
    var heat: Heat

    /// ``ps_sys_coarse_now()`` before the last write of ours that went through the kernel, ns.
    let lastTick: Atomic<Int64>
    /// Without a window: data calls. With one: what it weighs (``Weight``).
    let calls: Atomic<UInt32>
    // Guarded by the engine lock.
    var references: Int32
    /// Descriptor the window was mapped from; -1: none.
    var source: Int32
    /// Index + 1 of the next slot in the same chain, or in the free list; 0: the last.
    var next: UInt16
    private let mountWord: Atomic<UInt8>
    /// On DAX: asked whether a region is ready. Elsewhere: see `cutWait`.
    let looks: Atomic<UInt8>
    private let deviceWord: Atomic<UInt64>
    private let numberWord: Atomic<UInt64>
    /// On DAX: what the last kernel sync made durable. Elsewhere: ``rests``, ``frontier``,
    /// ``probePage`` and ``toldTick``.
    let synced: SyncedState
    /// Changes of the file that our process has made through the kernel, as far as a sync must know of them.
    let changes: Atomic<UInt64>
    /// DAX only: regions (as in `heat`) without holes or space that is only preallocated.
    let ready: Atomic<UInt64>
    /// DAX only: see ``SyncCost``.
    /// Elsewhere: ``lastCut``.
    let syncCost: Atomic<UInt64>
    private let identityWord: Atomic<UInt64>
    /// With ``InodeFlag/sparse``: the start of the last page that is known to be allocated, bytes. The end probe
    /// loads a byte of it, and only what ends before it is served.
    let top: Atomic<Int64>
    /// Of 512 bytes, when size and holes were last learnt. Guarded by the engine lock.
    var blocks: Int64
    /// Sections of 128 MiB whose page arrays have been used through this slot; the lowest is above the highest at
    /// first.
    let lowestSection: Atomic<Int32>
    let highestSection: Atomic<Int32>
}

/// What a sync has made durable (``SyncFacts``). The facts hold if the word is the same before and after they are read.
struct SyncedState: ~Copyable {
    /// See ``SyncWord``.
    let word: Atomic<UInt64>
    /// Bytes.
    let size: Atomic<Int64>
    /// Of 512 bytes.
    let blocks: Atomic<Int64>
    /// The time of the last change of the inode, ns.
    let time: Atomic<Int64>
}

/// Which file it is: set under the engine lock when the slot is given to it, and read without. Who comes too late,
/// with a descriptor that has been forgotten meanwhile, may read what another file's slot says; whatever matters is
/// asked again.
extension Inode {
    var device: UInt64 {
        get { deviceWord.load(ordering: .relaxed) }
        nonmutating set { deviceWord.store(newValue, ordering: .relaxed) }
    }

    var number: UInt64 {
        get { numberWord.load(ordering: .relaxed) }
        nonmutating set { numberWord.store(newValue, ordering: .relaxed) }
    }

    var mount: UInt32 {
        get { UInt32(mountWord.load(ordering: .relaxed)) }
        nonmutating set { mountWord.store(UInt8(truncatingIfNeeded: newValue), ordering: .relaxed) }
    }

    /// ``PageKey/identity(_:)``; stays while there are descriptors of the inode.
    var identity: UInt64 {
        get { identityWord.load(ordering: .relaxed) }
        nonmutating set { identityWord.store(newValue, ordering: .relaxed) }
    }
}

/// 64 saturating counters. A struct of eight words rather than an array: Embedded Swift has no fixed C arrays, and the
/// bytes are reached by address.
struct Heat {
    var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    /// Where a counter stays.
    static let full: UInt8 = 255
}

/// Facts that change what may be served, in ``Inode/flags``.
enum InodeFlag {
    /// The window is mapped for writing.
    static let writable: UInt32 = 1
    /// The file has holes, or its blocks are fewer than its bytes for another reason. On tmpfs a mapped read allocates
    /// a hole (the end probe is one), elsewhere a mapped write allocates more of it than the kernel's would. So no
    /// region of it becomes hot before all its pages are known to be allocated, and below that page by page:
    /// `Engine+Allocation.swift`.
    static let sparse: UInt32 = 2
    /// Our process wrote through the kernel since the last read through it: relatime is due one kernel read.
    static let timesDue: UInt32 = 4
    /// Mapping failed: do not try at every call.
    static let refused: UInt32 = 8
    /// A write at the implicit offset made the file longer, at a place we only presume: holes may have come.
    static let unverified: UInt32 = 16
    /// The window is mapped with MAP_SYNC: what is stored through it is found again after a power loss.
    static let synchronous: UInt32 = 32
    /// DAX only: writes that extend the file, or to regions that are not hot, have gone to the kernel since the last
    /// call of a sync, unreported: that sync is the kernel's.
    static let unreported: UInt32 = 64
    /// Writes are the kernel's, since its syncs cost more than serving them saves: on DAX ``SyncCost``, on a page cache
    /// ``WriteFaults``.
    static let aloof: UInt32 = 128
    /// A media error has been met in this file. Its regions are looked at before they are served, as if it had holes.
    static let bad: UInt32 = 256
    /// DAX only: the kernel has overwritten something for us since the last call of a sync, and its bytes were made
    /// durable at once. See ``Engine/syncedBefore(_:_:_:_:)``.
    static let renewed: UInt32 = 512
    /// DAX only: what ``renewed`` says has happened at least twice since the last call of a sync.
    static let renewedTwice: UInt32 = 1024
    /// DAX only: preallocated space of it is not made ready 2 MiB at a time. See ``Engine/lookAhead(_:_:_:)``.
    static let piecemeal: UInt32 = 2048
    /// DAX only: most of the file lies in groups of 2 MiB that one page can map.
    static let inGroups: UInt32 = 4096
    /// Pages of it have been told to be allocated: whoever makes holes in it, also once it has no slot any more, must
    /// find its page arrays (``Engine/noteHoles(ofFile:from:to:)``).
    static let hinted: UInt32 = 8192
    /// tmpfs only: pages of it have been found that are preallocated, and have never been written. They count as holes.
    static let unwritten: UInt32 = 16384
    /// The program has mapped the file: it reads there what it writes by calls (``WriteLength/staysCached(_:)``).
    static let mapped: UInt32 = 32768
}

extension UnsafeMutablePointer where Pointee == Inode {
    @inline(__always)
    func has(_ flag: UInt32) -> Bool { pointee.flags.load(ordering: .relaxed) & flag != 0 }

    func set(_ flag: UInt32) { pointee.flags.bitwiseOr(flag, ordering: .relaxed) }
    func clear(_ flag: UInt32) { pointee.flags.bitwiseAnd(~flag, ordering: .relaxed) }

    /// How hot the region is that `offset` lies in.
    @inline(__always)
    func heat(_ offset: Int64, _ geometry: Geometry) -> UInt8 {
        heatCounter(offset, geometry).pointee.load(ordering: .relaxed)
    }

    @inline(__always)
    func heatCounter(_ offset: Int64, _ geometry: Geometry) -> UnsafeMutablePointer<Atomic<UInt8>> {
        // 64 is the distance of `heat` from the start; InodeTests proves it.
        let bytes = UnsafeMutableRawPointer(self).advanced(by: InodeLayout.heat)
            .assumingMemoryBound(to: Atomic<UInt8>.self)
        return bytes + geometry.region(offset)
    }

    func setGeometry(_ geometry: Geometry) {
        pointee.geometry.store(geometry.bits, ordering: .relaxed)
        pointee.counters.store(
            UInt32(truncatingIfNeeded: geometry.statistics &* CounterLayout.stride), ordering: .relaxed)
    }

    /// All regions cold, as in a slot of a new inode.
    func cool() {
        let words = UnsafeMutableRawPointer(self).advanced(by: InodeLayout.heat)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
        for word in 0..<8 { words[word].store(0, ordering: .relaxed) }
    }

    /// Of a file with holes: every page of the region that `offset` lies in, below ``Inode/top``, is allocated.
    func regionIsWhole(_ offset: Int64, _ geometry: Geometry) {
        heatCounter(offset, geometry).pointee.store(Heat.full, ordering: .relaxed)
    }

    /// From now on no region is served as a whole, until it is known to be allocated as a whole.
    func distrust() {
        set(InodeFlag.sparse)
        forgetReady()
        let geometry = Geometry(bits: pointee.geometry.load(ordering: .relaxed)).withHoles
        setGeometry(geometry)
        pointee.top.store(0, ordering: .relaxed)
        // It may be a hole now, which a probe would fill.
        if pointee.hasProbePage { pointee.distrustProbe() }
        for region in 0..<Int64(64) {
            let counter = heatCounter(region << geometry.regionShift, geometry)
            if counter.pointee.load(ordering: .relaxed) > geometry.warmest {
                counter.pointee.store(geometry.warmest, ordering: .relaxed)
            }
        }
    }

    /// Sets the limits anew from what is known.
    func updateLimits() {
        #if PMEMSHIM_CHECKS
            Engine.current?.checks.pointee.limitUpdates.wrappingAdd(1, ordering: .sequentiallyConsistent)
            defer {
                Engine.current?.checks.pointee.limitUpdates.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            }
        #endif
        let flags = pointee.flags.load(ordering: .relaxed)
        var limit = furthestProbe
        if pointee.hasProbePage {
            let page = pointee.probePage
            limit = page <= limit ? page : 0
        }
        let noReads = InodeFlag.timesDue | InodeFlag.unverified
        pointee.readLimit.store(flags & noReads == 0 ? limit : 0, ordering: .relaxed)
        // RLIMIT_FSIZE refuses overwrites too, and only the kernel sends its signal.
        let noWrites = InodeFlag.unverified | InodeFlag.aloof
        let writes =
            flags & (InodeFlag.writable | noWrites) == InodeFlag.writable
            && ps_given_way() & GiveWay.stopsWrites == 0
        pointee.writeLimit.store(writes ? limit : 0, ordering: .relaxed)
    }

    /// The kernel has stamped the inode for a write of ours that began at `tick` (``ps_sys_coarse_now()``; 0: unknown).
    func noteStamp(_ tick: Int64) {
        if tick != 0 { pointee.lastTick.store(tick, ordering: .relaxed) }
    }

    /// The file has grown at a place we only presume: the next read looks before it is served.
    func doubt() {
        guard !has(InodeFlag.unverified) else { return }
        set(InodeFlag.unverified)
        updateLimits()
    }

    /// The kernel has shown that the file reaches at least to `end`.
    func raiseSize(to end: Int64) {
        guard end > pointee.size.load(ordering: .relaxed) else { return }
        pointee.size.store(end, ordering: .relaxed)
        updateLimits()
    }
}

/// Distances in bytes that are used by address.
enum InodeLayout {
    static let heat = 64
    static let length = 8
    static let probeBase = 32
}
