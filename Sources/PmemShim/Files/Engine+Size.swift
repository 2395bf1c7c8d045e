import CShimSys
import Synchronization

// What a file's size and blocks say of it.
extension Engine {
    /// Fewer blocks than bytes. tmpfs has whole pages; others have blocks of their own size, at least of the bytes.
    private func hasHoles(_ facts: ps_file_facts, memory: Bool) -> Bool {
        // Rounded up without overflow: a file may be as long as 2^63 - 1.
        let shift: Int64 = memory ? 12 : 9
        let units = (facts.size >> shift) &+ (facts.size & ((1 << shift) &- 1) == 0 ? 0 : 1)
        return facts.blocks >> (shift &- 9) < units
    }

    /// Takes size and holes from `facts`, which are of `fd`; of another description where there is no `fd`.
    ///
    /// On DAX, preallocated space counts as a hole. A read there maps the page of zeros, and ext4 (Linux 6.1) does not
    /// always take it away when it is written: a write nearby may convert the space in passing, and the next write
    /// finds nothing new (docs/dax-vm.md). The kernel's own read sees the data, a mapping zeros for ever.
    @inline(never)
    func refreshSize(
        _ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>, _ facts: ps_file_facts, fd: Int32?
    ) {
        let backing = mount(inode.pointee.mount).pointee.backing
        var isSparse = hasHoles(facts, memory: backing == PS_BACKING_MEMORY) || inode.has(InodeFlag.unwritten)
        let known = inode.pointee.size.exchange(facts.size, ordering: .relaxed)
        inode.clear(InodeFlag.unverified)
        if backing == PS_BACKING_DAX, !isSparse {
            if let fd { isSparse = !ps_sys_is_written(fd, 0, facts.size) } else { inode.set(InodeFlag.unverified) }
        }
        if inode.has(InodeFlag.bad) || isSparse {
            // Fewer blocks than before: what was known to be allocated may be gone. A new end: the region of the old
            // one was proved up to that.
            let isOther = facts.blocks < inode.pointee.blocks || facts.size > known
            if !inode.has(InodeFlag.sparse) || isOther { inode.distrust() }
        } else if inode.has(InodeFlag.sparse) {
            inode.clear(InodeFlag.sparse)
            inode.forgetVain()
            inode.setGeometry(geometry(inode, size: facts.size))
        }
        // What is in use of a file without holes, on DAX, has all been written, and so will be what the kernel makes it
        // longer by.
        if backing == PS_BACKING_DAX, !inode.has(InodeFlag.sparse | InodeFlag.unverified) {
            inode.pointee.ready.store(UInt64.max, ordering: .relaxed)
        }
        inode.pointee.blocks = facts.blocks
        inode.updateLimits()
    }

    func geometry(_ inode: UnsafeMutablePointer<Inode>, size: Int64) -> Geometry {
        let mount = mount(inode.pointee.mount).pointee
        let isDAX = mount.backing == PS_BACKING_DAX
        return Geometry.forFile(
            size: size, mount: mount, eager: Settings.current.pointee.map_after == 0,
            liesInGroups: isDAX ? inode.has(InodeFlag.inGroups) : nil)
    }
}
