import CShimSys
import Synchronization

// Changes of a file's size and holes by this process. The kernel has made them; what was believed is mended before the
// call returns, so that a process never finds bytes past an end it has set itself.
extension Engine {
    /// A call on `fd` has resized its file as it was asked to: to `size` bytes, or, not `isExact`, at least to that
    /// many, without a hole from `start` on. False: the number is none of ours, or that says too little.
    ///
    /// No system call. A file that has become longer by a hole keeps the end it was known to have, before which all is
    /// as it was: whoever reads behind that learns the new one (``noteGrowth(_:_:from:to:isWrite:)``).
    func noteResized(_ fd: Int32, from start: Int64, to size: Int64, isExact: Bool) -> Bool {
        guard let descriptor = descriptor(fd) else { return false }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.hasUnsuspected(DescriptorWord.ours) else { return false }
        let inode = inode(word.inode)
        // On DAX space that is only preallocated counts as a hole, and has to be asked for.
        guard !word.has(DescriptorWord.durable) else { return false }
        inode.noteKernelChange()
        guard isExact else { return noteAllocated(inode, from: start, to: size) }
        let known = inode.pointee.size.load(ordering: .relaxed)
        // Whatever end was known: the file may have been longer, and other processes have told of its pages.
        noteHoles(inode, from: size, to: Int64.max)
        if size < known || (size > known && inode.cutWait > 0) { inode.noteCut() }
        if size < known { inode.cut(to: size) }
        if inode.cutWait == UnsafeMutablePointer<Inode>.mostCuts { dropWindow(of: inode) }
        return true
    }

    /// Space has been allocated, and the file has at least `size` bytes. Of a file with holes that says too little.
    private func noteAllocated(_ inode: UnsafeMutablePointer<Inode>, from start: Int64, to size: Int64) -> Bool {
        guard size == 0 || !inode.has(InodeFlag.sparse) else { return false }
        if start <= inode.pointee.size.load(ordering: .relaxed) { inode.raiseSize(to: size) }
        return true
    }

    /// The file is cut so often that its window costs the kernel more, at each cut, than calls have been served of it
    /// in between. It comes again when it would be looked at (``UnsafeMutablePointer/isTimeToLearnSize()``).
    private func dropWindow(of inode: UnsafeMutablePointer<Inode>) {
        guard Settings.isByPrice else { return }
        if inode.pointee.base.load(ordering: .relaxed) != 0, let lock = EngineLock(self) {
            // Calls of other threads that have claimed a range must find their file to the end.
            retireWindow(lock.held, inode, besidesClaims: true)
            lock.unlock()
        }
        // Until they have ended the kernel goes through it as before.
        dropLingering()
    }

    /// Learns size and holes of the file behind `fd` again. Without the engine lock.
    @inline(never)
    func noteResize(of fd: Int32, emptiedFrom: Int64 = 0, emptiedTo: Int64 = 0) {
        var facts = ps_file_facts()
        guard ps_sys_facts_of_descriptor(fd, &facts) == 0 else { return }
        noteResize(facts, emptiedFrom: emptiedFrom, emptiedTo: emptiedTo, fd: fd)
    }

    /// Something of ours changed the size or the holes of the file with those facts, through whatever descriptor.
    ///
    /// `emptiedFrom`, `emptiedTo`: where holes may have come, bytes. Without the engine lock.
    func noteResize(_ facts: ps_file_facts, emptiedFrom: Int64 = 0, emptiedTo: Int64 = 0, fd: Int32? = nil) {
        let isEmptied = emptiedFrom < emptiedTo
        if isEmptied { noteHoles(ofFile: PageKey.identity(facts), from: emptiedFrom, to: emptiedTo) }
        // Most files that are cut are journals, which nobody has in use.
        guard mayBeKnown(device: facts.device, number: facts.inode) else { return }
        if isEmptied, let changed = inodeInUse(facts) {
            // Before the size is learnt, which bounds what is to be forgotten; and without the lock, since page arrays
            // may be gone.
            noteHoles(changed, from: emptiedFrom, to: emptiedTo)
        }
        guard let lock = EngineLock(self) else { return }
        defer { lock.unlock() }
        guard let index = findInode(lock.held, device: facts.device, number: facts.inode) else { return }
        inode(index).noteKernelChange()
        inode(index).forgetReady()
        refreshSize(lock.held, inode(index), facts, fd: fd)
        guard inode(index).has(InodeFlag.sparse) else { return }
        // What was proved of its regions was proved before.
        inode(index).distrust()
        inode(index).updateLimits()
    }

    private func inodeInUse(_ facts: ps_file_facts) -> UnsafeMutablePointer<Inode>? {
        guard let lock = EngineLock(self) else { return nil }
        defer { lock.unlock() }
        return findInode(lock.held, device: facts.device, number: facts.inode).map { inode($0) }
    }
}
