import CShimSys
import Synchronization

extension Engine {
    /// Learns what `fd` is. Called after several data calls on an unknown number; afterwards the number's word is
    /// known, unless something evicted it meanwhile or this process is a stranger to the table (vfork).
    /// Without the engine lock.
    @inline(never)
    func classify(_ fd: Int32) {
        guard let descriptor = descriptor(fd), ps_given_way() & GiveWay.stops == 0, let lock = EngineLock(self) else {
            return
        }
        defer { lock.unlock() }
        guard claimTables(lock.held) else { return }
        // Whoever learns raises it: a copy inside the kernel may be the first call on the number.
        raiseBound(fd)
        var step = ClassifyStep(held: lock.held, engine: self, fd: fd, descriptor: descriptor)
        onOwnStack(&step) { $0.assumingMemoryBound(to: ClassifyStep.self).pointee.run() }
    }

    fileprivate func classify(_ held: LockHeld, _ fd: Int32, _ descriptor: UnsafeMutablePointer<Descriptor>) {
        let before = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard !before.has(DescriptorWord.known) else { return }
        // Whatever the number turns out to be: the next file at it has not been mapped.
        let misses = descriptor.pointee.unserved.misses.exchange(0, ordering: .relaxed)
        var facts = ps_file_facts()
        let refused = ps_sys_facts_of_descriptor(fd, &facts) != 0
        guard !refused, facts.mode.isModeOfRegularFile else {
            learn(held, fd, before, 0, inode: 0)
            return
        }
        let flags = ps_sys_status_flags(fd)
        guard flags >= 0, flags & Int(OpenFlag.path) == 0 else {
            learn(held, fd, before, 0, inode: 0)
            return
        }
        switch place(held, fd, facts) {
        case .foreign:
            learn(held, fd, before, 0, inode: 0)
        case .unservable:
            learn(held, fd, before, 0, inode: 0)
            log(
                held, fd, "passed on",
                "this file system is not served (see DIR:pagecache), or the file is encrypted or compressed")
        case .served(let mount):
            // Before any write asks which lengths are served: a program that writes nothing else would never get a
            // window. Not at the start of the process: in a virtual machine each cpuid is a way to the host and back,
            // 20 us together.
            ps_copy_prepare()
            guard let index = inodeSlot(held, facts, mount: mount) else {
                learn(held, fd, before, 0, inode: 0)
                log(held, fd, "passed on", "too many files")
                return
            }
            let inode = inode(index)
            refreshSize(held, inode, facts, fd: fd)
            if inode.has(InodeFlag.sparse) {
                log(held, fd, "has holes", "pages are looked at before they are served")
            }
            inode.pointee.references &+= 1
            let offset = ps_sys_seek_by(fd, 0)
            descriptor.pointee.guess.store(Int64(max(offset, 0)), ordering: .relaxed)
            if misses & UnknownMapping.isThere != 0 { inode.set(InodeFlag.mapped) }
            let rights = rights(flags, backing: self.mount(mount).pointee.backing, fd)
            if !learn(held, fd, before, rights, inode: index) { release(held, index) }
        }
    }

    /// The rights of `fd`, a description with those status flags (F_GETFL) on that backing.
    ///
    /// On a mount with the option sync, and in a file with chattr +S, every write is as one through O_SYNC. That may
    /// change (``lookAtSynchrony(_:)``).
    func rights(_ given: Int, backing: ps_backing, _ fd: Int32) -> UInt64 {
        var flags = given
        if flags & Int(OpenFlag.accessMode) != Int(OpenFlag.readOnly),
            backing != PS_BACKING_MEMORY,
            ps_sys_is_synchronous(fd)
        {
            flags |= Int(OpenFlag.dataSync | OpenFlag.fullSync)
        }
        var rights = DescriptorWord.ours
        if Settings.current.pointee.paranoid != 0 { rights |= DescriptorWord.suspect }
        if flags & Int(OpenFlag.direct) != 0 { rights |= DescriptorWord.direct }
        if flags & Int(OpenFlag.noAccessTime) != 0 { rights |= DescriptorWord.untimed }
        let access = flags & Int(OpenFlag.accessMode)
        let pageCache = backing == PS_BACKING_PAGECACHE
        let memory = backing == PS_BACKING_MEMORY
        let dax = backing == PS_BACKING_DAX
        if dax { rights |= DescriptorWord.durable }
        if access != Int(OpenFlag.writeOnly) { rights |= DescriptorWord.maps }
        if access == Int(OpenFlag.readWrite) { rights |= DescriptorWord.mapsWritable }
        // O_DIRECT bypasses the page cache, which is what a window of such a file would show; on tmpfs and DAX it
        // changes nothing.
        guard !(pageCache && flags & Int(OpenFlag.direct) != 0) else { return rights }
        if access != Int(OpenFlag.writeOnly) { rights |= DescriptorWord.reads }
        if flags & Int(OpenFlag.append) != 0 {
            rights |= DescriptorWord.appends
        } else if access != Int(OpenFlag.readOnly), memory || dax || flags & Int(OpenFlag.dataSync) == 0 {
            rights |= DescriptorWord.writes
            if dax, flags & Int(OpenFlag.dataSync) != 0 { rights |= DescriptorWord.syncs }
            if dax, flags & Int(OpenFlag.fullSync) != 0 { rights |= DescriptorWord.wholly }
        }
        return rights
    }

    /// Once a tick, before a write that the kernel does: whether writes to the file have become synchronous, or have
    /// ceased to be. Then every descriptor is learnt again.
    func lookAtSynchrony(_ target: Target) {
        let backing = mount(target.inode.pointee.mount).pointee.backing
        guard backing != PS_BACKING_MEMORY else { return }
        let flags = ps_sys_status_flags(target.fd)
        guard flags >= 0,
            rights(flags, backing: backing, target.fd) & DescriptorWord.synchrony
                != target.word.bits & DescriptorWord.synchrony
        else { return }
        evictAll()
    }

    @discardableResult
    private func learn(
        _ held: LockHeld, _ fd: Int32, _ before: DescriptorWord, _ flags: UInt64, inode: UInt32
    ) -> Bool {
        guard let descriptor = descriptor(fd) else { return false }
        #if PMEMSHIM_CHECKS
            // Range evictions skip what lies above the bound.
            if files.pointee.descriptorBound.load(ordering: .relaxed) <= fd {
                Violation("a number above the bound is learnt", Int(fd)).stop(held, self)
            }
        #endif
        let (stored, _) = descriptor.pointee.word.compareExchange(
            expected: before.bits, desired: before.learnt(flags, inode: inode).bits, ordering: .sequentiallyConsistent)
        return stored
    }
}

private struct ClassifyStep: SlowStep {
    let held: LockHeld
    let engine: Engine
    let fd: Int32
    let descriptor: UnsafeMutablePointer<Descriptor>

    mutating func run() { engine.classify(held, fd, descriptor) }
}
