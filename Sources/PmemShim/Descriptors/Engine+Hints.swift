import CShimSys
import Synchronization

extension Engine {
    /// The program maps the file at `fd`, which `word` tells of.
    func noteMapped(_ fd: Int32, _ descriptor: UnsafeMutablePointer<Descriptor>, _ word: DescriptorWord) {
        if word.has(DescriptorWord.ours) {
            let inode = inode(word.inode)
            if !inode.has(InodeFlag.mapped) { inode.set(InodeFlag.mapped) }
        } else if !word.has(DescriptorWord.known) {
            raiseBound(fd)
            descriptor.pointee.unserved.misses.bitwiseOr(UnknownMapping.isThere, ordering: .relaxed)
        }
    }

    /// The kernel has moved [start, end) of the file.
    func noteGrowth(_ inode: UnsafeMutablePointer<Inode>, _ fd: Int32, from start: Int64, to end: Int64, isWrite: Bool)
    {
        let size = inode.pointee.size.load(ordering: .relaxed)
        guard end > size else { return }
        if !isWrite {
            // Somebody else made the file longer, perhaps with holes, or we did. Asked at the first such read and then
            // now and then: whoever follows a growing file with small reads does not pay for each, nor whoever cuts and
            // extends it.
            if isTimeToLearnSize(inode) { noteResize(of: fd) }
        } else if start > size {
            // The write has left a hole, unless another process had filled it.
            noteResize(of: fd)
        } else {
            inode.raiseSize(to: end)
        }
    }

    /// ``UnsafeMutablePointer/isTimeToLearnSize()``; where it is not, one more call has been looked at in vain.
    func isTimeToLearnSize(_ inode: UnsafeMutablePointer<Inode>) -> Bool {
        if inode.isTimeToLearnSize() { return true }
        if Settings.isByPrice { inode.noteVain() }
        return false
    }

    /// The guess led beyond the known end of the file: either the file grows there, which is usual, or the program has
    /// moved its offset by lseek, which we do not see. One lseek tells; it is asked at the first such call and then
    /// ever more rarely, so that a program that appends for ever pays nothing for it. Nothing: not asked this time.
    ///
    /// Nothing either when the answer is as presumed and readers are in doubt already: an append, as so many before it.
    ///
    /// `counted`: the miss has been counted, and found worth asking, by ``foresee``.
    func relearnOffset(
        _ descriptor: UnsafeMutablePointer<Descriptor>, _ inode: UnsafeMutablePointer<Inode>, _ fd: Int32, counted: Bool
    ) -> Int64? {
        if !counted {
            let misses = descriptor.pointee.unserved.misses.load(ordering: .relaxed) &+ 1
            descriptor.pointee.unserved.misses.store(misses, ordering: .relaxed)
            guard misses & (misses &- 1) == 0 else { return nil }
        }
        let offset = Int64(ps_sys_seek_by(fd, 0))
        guard offset >= 0 else { return nil }
        if offset != descriptor.pointee.guess.load(ordering: .relaxed) {
            descriptor.pointee.guess.store(offset, ordering: .relaxed)
            descriptor.pointee.unserved.misses.store(0, ordering: .relaxed)
        } else if counted, inode.has(InodeFlag.unverified) {
            return nil
        }
        return offset
    }
}
