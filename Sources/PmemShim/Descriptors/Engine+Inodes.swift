import CShimSys
import Synchronization

extension Engine {
    /// The slot of the inode that `facts` names, made if need be; nothing when all are in use. Engine lock held.
    func inodeSlot(_ facts: ps_file_facts, mount: UInt32) -> UInt32? {
        if let index = findInode(device: facts.device, number: facts.inode) { return index }
        guard let index = freeSlot() else { return nil }
        let inode = inode(index)
        // A reused slot: every number of the file before it goes. No window, so no served call uses them.
        inode.pointee.readLimit.store(0, ordering: .relaxed)
        inode.pointee.writeLimit.store(0, ordering: .relaxed)
        inode.pointee.lastTick.store(0, ordering: .relaxed)
        inode.pointee.flags.store(0, ordering: .relaxed)
        inode.pointee.size.store(0, ordering: .relaxed)
        inode.pointee.calls.store(0, ordering: .relaxed)
        inode.pointee.sparseCalls.store(0, ordering: .relaxed)
        inode.resetSync()
        inode.cool()
        inode.pointee.references = 0
        inode.pointee.source = -1
        inode.pointee.device = facts.device
        inode.pointee.number = facts.inode
        inode.pointee.identity = PageKey.identity(facts)
        inode.pointee.top.store(0, ordering: .relaxed)
        inode.pointee.blocks = 0
        inode.pointee.lowestSection.store(Int32.max, ordering: .relaxed)
        inode.pointee.highestSection.store(-1, ordering: .relaxed)
        inode.pointee.mount = mount
        self.mount(mount).pointee.files &+= 1
        let geometry = Geometry.forFile(
            size: facts.size, mount: self.mount(mount).pointee, eager: Settings.current.pointee.map_after == 0)
        inode.setGeometry(geometry)
        let head = heads() + hash(facts.device, facts.inode)
        inode.pointee.next = head.pointee
        head.pointee = UInt16(truncatingIfNeeded: index &+ 1)
        return index
    }

    /// One descriptor less; the last one takes window and slot with it. Engine lock held.
    func release(_ index: UInt32) {
        let inode = inode(index)
        inode.pointee.references &-= 1
        guard inode.pointee.references <= 0 else { return }
        retireWindow(inode)
        forgetSections(inode)
        mount(inode.pointee.mount).pointee.files &-= 1
        var link = heads() + hash(inode.pointee.device, inode.pointee.number)
        while link.pointee != 0 {
            let candidate = self.inode(UInt32(link.pointee &- 1))
            if candidate == inode {
                link.pointee = inode.pointee.next
                break
            }
            link = nextLink(candidate)
        }
        inode.pointee.next = files.pointee.freeInode
        files.pointee.freeInode = UInt16(truncatingIfNeeded: index &+ 1)
    }

    private func nextLink(_ inode: UnsafeMutablePointer<Inode>) -> UnsafeMutablePointer<UInt16> {
        withUnsafeMutablePointer(to: &inode.pointee.next) { $0 }
    }

    private func freeSlot() -> UInt32? {
        let free = files.pointee.freeInode
        if free != 0 {
            files.pointee.freeInode = inode(UInt32(free &- 1)).pointee.next
            return UInt32(free &- 1)
        }
        let fresh = files.pointee.usedInodes.load(ordering: .relaxed)
        guard fresh < UInt32(Arena.inodes) else { return nil }
        files.pointee.usedInodes.store(fresh &+ 1, ordering: .relaxed)
        return fresh
    }
}
