import CShimSys
import Synchronization

/// Appends through one descriptor that are not in the figures yet: the calls in the upper 8 bits, their bytes below.
///
/// A write that extends a file is the kernel's, and costs the shim whatever it touches: after a system call and a copy
/// of the kernel's, every cache line has to be fetched anew. So the lines of an append are two, the descriptor's and
/// the first of the inode; the thread's record and its counters hear of every 64th only, or when the number is
/// forgotten, or at the end of the process. A process killed in between leaves up to 63 appends per descriptor uncounted.
enum AppendTally {
    static let callShift: UInt64 = 56
    static let most: UInt64 = 64

    @inline(__always)
    static func calls(_ tally: UInt64) -> UInt64 { tally >> callShift }
    static func bytes(_ tally: UInt64) -> UInt64 { tally & ((1 << callShift) &- 1) }
}

extension Engine {
    /// Whether a write at the implicit offset is one of many that extend the file, for which all is arranged already;
    /// then it is tallied, and passes on. Decides like `whyNotWrite` and `foresee`, which do the same for all others.
    @inline(__always)  // the whole of what an append costs
    func isPlainAppend(_ fd: Int32, _ count: Int) -> Bool {
        guard let descriptor = descriptor(fd) else { return false }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.hasUnsuspected(DescriptorWord.ours), count > 0, count < 1 << 30 else { return false }
        let inode = inode(word.inode)
        let flags = inode.pointee.flags.load(ordering: .relaxed)
        // Reads of a file with a window must know that the kernel has written: the first write has told them.
        guard flags & InodeFlag.timesDue != 0 || inode.pointee.base.load(ordering: .relaxed) == 0,
            !word.has(DescriptorWord.durable) || mayNoteBefore
        else { return false }
        if !word.has(DescriptorWord.appends) {
            let guess = descriptor.pointee.guess.load(ordering: .relaxed)
            let end = guess &+ Int64(count)
            let misses = descriptor.pointee.misses.load(ordering: .relaxed) &+ 1
            guard word.has(DescriptorWord.writes), flags & InodeFlag.unverified != 0, guess >= 0, end > guess,
                end > inode.pointee.size.load(ordering: .relaxed), misses & (misses &- 1) != 0
            else { return false }
            descriptor.pointee.misses.store(misses, ordering: .relaxed)
            descriptor.pointee.guess.store(end, ordering: .relaxed)
        }
        if word.has(DescriptorWord.durable), flags & InodeFlag.unreported == 0 { inode.set(InodeFlag.unreported) }
        tally(descriptor, fd, UInt64(count))
        return true
    }

    /// Whether the next sync of a file on DAX may be told of an extension before the kernel has written, by
    /// ``InodeFlag/unreported``. That is enough as long as there is one thread; PMEMSHIM_EXCLUSIVE leaves no second look at
    /// the size, so there it must be said afterwards.
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

    /// Moves what is tallied with a descriptor into the calling thread's figures. With or without the engine lock.
    @inline(never)
    func settle(_ descriptor: UnsafeMutablePointer<Descriptor>) {
        let tally = descriptor.pointee.tally.exchange(0, ordering: .relaxed)
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard tally != 0, word.has(DescriptorWord.ours), let thread = countingThread() else { return }
        let statistics = Geometry(bits: inode(word.inode).pointee.geometry.load(ordering: .relaxed)).statistics
        let outcome = word.has(DescriptorWord.appends) ? PS_OUTCOME_APPEND : PS_OUTCOME_END
        // With the engine lock held nothing may fault.
        let row = Int(PS_FAMILY_WRITE.rawValue) &* CounterLayout.outcomes &+ Int(outcome.rawValue & 15)
        let first = statistics &* CounterLayout.stride
        thread.addOwn(at: first &+ row &* 8, AppendTally.calls(tally))
        thread.addOwn(at: first &+ CounterLayout.passedWritten, AppendTally.bytes(tally))
        root.pointee.figuresDue.store(1, ordering: .relaxed)
    }

    /// The same for every descriptor.
    func settleAll() {
        let bound = min(root.pointee.descriptorBound.load(ordering: .relaxed), Int32(Arena.descriptors))
        var fd: Int32 = 0
        while fd < bound {
            if let descriptor = descriptor(fd), descriptor.pointee.tally.load(ordering: .relaxed) != 0 {
                settle(descriptor)
            }
            fd &+= 1
        }
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
