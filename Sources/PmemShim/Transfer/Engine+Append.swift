import CShimSys
import Synchronization

extension Engine {
    /// Passes on a write at the implicit offset that is one of many which extend the file, for which all is arranged
    /// already. True: it is one, and has been tallied. Decides like `whyNotWrite` and `foresee`, which do the
    /// same for all others.
    @inline(__always)  // the whole of what an append costs
    func tryPlainAppend(_ fd: Int32, _ count: Int) -> Bool {
        guard let descriptor = descriptor(fd) else { return false }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.hasUnsuspected(DescriptorWord.ours), count > 0, count < 1 << 30 else { return false }
        let inode = inode(word.inode)
        let flags = inode.pointee.flags.load(ordering: .relaxed)
        // Reads of a file with a window must know that the kernel has written: the first write has told them.
        guard inode.areReadsTold(flags, isDurable: word.has(DescriptorWord.durable)),
            !word.has(DescriptorWord.durable) || mayNoteBefore
        else { return false }
        if !word.has(DescriptorWord.appends) {
            let guess = descriptor.pointee.guess.load(ordering: .relaxed)
            let end = guess &+ Int64(count)
            let misses = descriptor.pointee.unserved.misses.load(ordering: .relaxed) &+ 1
            guard word.has(DescriptorWord.writes), flags & InodeFlag.unverified != 0, guess >= 0, end > guess,
                end > inode.pointee.size.load(ordering: .relaxed), misses & (misses &- 1) != 0
            else { return false }
            descriptor.pointee.unserved.misses.store(misses, ordering: .relaxed)
            descriptor.pointee.guess.store(end, ordering: .relaxed)
        }
        if word.has(DescriptorWord.durable), flags & InodeFlag.unreported == 0 { inode.set(InodeFlag.unreported) }
        tally(descriptor, fd, UInt64(count))
        return true
    }

    /// Whether the next sync of a file on DAX may be told of an extension before the kernel has written, by
    /// ``InodeFlag/unreported``. That is enough as long as there is one thread; PMEMSHIM_EXCLUSIVE leaves no second
    /// look at the size, so there it must be said afterwards.
    @inline(__always)
    var mayNoteBefore: Bool { ps_single_threaded() && Settings.current.pointee.exclusive == 0 }

    @inline(__always)
    private func tally(_ descriptor: UnsafeMutablePointer<Descriptor>, _ fd: Int32, _ bytes: UInt64) {
        let amount = 1 << AppendTally.callShift | bytes
        var tally: UInt64
        if ps_single_threaded() {
            tally = descriptor.pointee.tally.load(ordering: .relaxed) &+ amount
            descriptor.pointee.tally.store(tally, ordering: .relaxed)
        } else {
            tally = descriptor.pointee.tally.wrappingAdd(amount, ordering: .relaxed).newValue
        }
        if AppendTally.calls(tally) >= AppendTally.most { settle(descriptor) }
    }

    /// The kernel has written less than was tallied: mends hints and figures.
    func fellShort(_ fd: Int32, _ count: Int, _ result: Int64) {
        guard let descriptor = descriptor(fd) else { return }
        let state = ps_thread_current()
        state.pointee.pending = PS_PENDING_SHORT.rawValue
        state.pointee.pending_count = Int64(count)
        state.pointee.pending_offset = descriptor.pointee.guess.load(ordering: .relaxed) &- Int64(count)
        passedOn(fd, PS_FAMILY_WRITE, result)
    }
}
