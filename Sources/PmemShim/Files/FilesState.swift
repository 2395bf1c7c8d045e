import CShimSys
import Synchronization

/// What this process knows of its files besides their entries.
struct FilesState: ~Copyable {
    /// One more than the highest descriptor ever cached.
    let descriptorBound: Atomic<Int32>
    /// Slots of inodes handed out so far. Guarded by the engine lock; without it, an upper bound of those in use.
    let usedInodes: Atomic<UInt32>
    /// Calls on files that were closed without a look, and might have been worth one, before the first window.
    let lostCalls: Atomic<UInt32>
    /// What windows weigh, and the most they may (``Weight``), pages of 4 KiB. The most is 0 until there is a window.
    let weight: Atomic<UInt32>
    let mostWeight: Atomic<UInt32>
    /// Index + 1 of the first free slot. Guarded by the engine lock.
    var freeInode: UInt16
}

extension Engine {
    @inline(__always)
    var files: UnsafeMutablePointer<FilesState> {
        (address + Arena.filesStateOffset).assumingMemoryBound(to: FilesState.self)
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
    func heads(_ held: LockHeld) -> UnsafeMutablePointer<Atomic<UInt16>> {
        (address + Arena.headsOffset).assumingMemoryBound(to: Atomic<UInt16>.self)
    }
}
