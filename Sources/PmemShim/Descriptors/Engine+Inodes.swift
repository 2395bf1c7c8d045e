import CShimSys
import Synchronization

extension Engine {
    /// The slot of the inode that `facts` names, made if need be; nothing when all are in use.
    func inodeSlot(_ held: LockHeld, _ facts: ps_file_facts, mount: UInt32) -> UInt32? {
        if let index = findInode(held, device: facts.device, number: facts.inode) { return index }
        guard let index = freeSlot(held) else { return nil }
        let inode = inode(index)
        // A reused slot: every number of the file before it goes. No window, so no served call uses them.
        inode.pointee.readLimit.store(0, ordering: .relaxed)
        inode.pointee.writeLimit.store(0, ordering: .relaxed)
        inode.pointee.lastTick.store(0, ordering: .relaxed)
        inode.pointee.flags.store(0, ordering: .relaxed)
        inode.pointee.size.store(0, ordering: .relaxed)
        inode.pointee.calls.store(0, ordering: .relaxed)
        inode.pointee.sparseCalls.store(0, ordering: .relaxed)
        inode.resetSync(held)
        inode.cool()
        inode.pointee.references = 0
        inode.pointee.source = -1
        inode.pointee.device = facts.device
        inode.pointee.number = facts.inode
        inode.pointee.identity = PageKey.identity(facts)
        inode.pointee.top.store(0, ordering: .relaxed)
        inode.pointee.blocks = 0
        inode.pointee.mount = mount
        noteMappedSections(held, inode)
        self.mount(mount).pointee.files &+= 1
        let geometry = Geometry.forFile(
            size: facts.size, mount: self.mount(mount).pointee, eager: Settings.current.pointee.map_after == 0)
        inode.setGeometry(geometry)
        let head = heads(held) + hash(facts.device, facts.inode)
        inode.pointee.next = head.pointee.load(ordering: .relaxed)
        // Released, for mayBeKnown reads it without the lock.
        head.pointee.store(UInt16(truncatingIfNeeded: index &+ 1), ordering: .releasing)
        return index
    }

    /// One descriptor less; the last one takes window and slot with it.
    func release(_ held: LockHeld, _ index: UInt32) {
        let inode = inode(index)
        inode.pointee.references &-= 1
        guard inode.pointee.references <= 0 else { return }
        retireWindow(held, inode)
        forgetSections(held, inode)
        mount(inode.pointee.mount).pointee.files &-= 1
        unchain(held, inode, UInt16(truncatingIfNeeded: index &+ 1))
        inode.pointee.next = files.pointee.freeInode
        files.pointee.freeInode = UInt16(truncatingIfNeeded: index &+ 1)
    }

    /// Takes `inode`, which `link` leads to, out of its chain.
    private func unchain(_ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>, _ link: UInt16) {
        let head = heads(held) + hash(inode.pointee.device, inode.pointee.number)
        var before = head.pointee.load(ordering: .relaxed)
        guard before != link else { return head.pointee.store(inode.pointee.next, ordering: .releasing) }
        while before != 0 {
            let candidate = self.inode(UInt32(before &- 1))
            before = candidate.pointee.next
            if before == link {
                candidate.pointee.next = inode.pointee.next
                return
            }
        }
    }

    private func freeSlot(_ held: LockHeld) -> UInt32? {
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
