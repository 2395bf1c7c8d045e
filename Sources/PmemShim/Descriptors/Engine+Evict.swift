import CShimSys
import Synchronization

extension Engine {
    /// Forgets `fd`. Before a close this also takes the window away from the description that is about to go: a window
    /// pins its struct file, with its locks, leases, ETXTBSY and the space of an unlinked file.
    ///
    /// `barred`: until it is forgotten once more nobody learns it (``DescriptorWord/barred``). Without the engine lock.
    @inline(__always)
    func evict(_ fd: Int32, barred: Bool = false) {
        guard let descriptor = descriptor(fd) else { return }
        var word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        if ps_single_threaded(), !barred, !word.has(DescriptorWord.ours) {
            // Nobody else can be learning the number: an unknown one is left as it is. This is what every open and
            // close of a process costs that has nothing of ours in hand.
            if word.has(DescriptorWord.known) {
                descriptor.pointee.word.store(word.evicted.bits, ordering: .relaxed)
            }
            noteWaited(descriptor)
            return
        }
        while !word.has(DescriptorWord.ours) {
            // The generation rises even when nothing is known: another thread may be learning this number now.
            let (stored, seen) = descriptor.pointee.word.compareExchange(
                expected: word.bits, desired: (barred ? word.barred : word.evicted).bits,
                ordering: .sequentiallyConsistent)
            if stored {
                noteWaited(descriptor)
                return
            }
            word = DescriptorWord(seen)
        }
        evictOurs(fd, barred: barred)
    }

    @inline(never)
    private func evictOurs(_ fd: Int32, barred: Bool) {
        // Not with signals blocked: the figures' memory may fault, and with SIGBUS blocked that would be the end.
        evictUndisturbed(fd, barred: barred, served: servedCalls(fd))
        if observe.pointee.figuresDue.load(ordering: .relaxed) != 0 { publishOwnFigures() }
    }

    private func evictUndisturbed(_ fd: Int32, barred: Bool, served: UInt32?) {
        // No handler may jump out between the first and the last: the window would stay for good.
        let mask = ps_sys_block_signals()
        defer { ps_sys_unblock_signals(mask) }
        #if PMEMSHIM_CHECKS
            checks.pointee.evictions.wrappingAdd(1, ordering: .sequentiallyConsistent)
        #endif
        guard let word = takeMeaning(fd, barred: barred, served: served), word.has(DescriptorWord.ours) else {
            #if PMEMSHIM_CHECKS
                checks.pointee.evictions.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            #endif
            return
        }
        // Waits without the lock, which others may need meanwhile: the slot has our reference still.
        let haveEnded = claimsHaveEnded()
        // The lock cannot be had: forgetting is what had to happen; the slot keeps a reference too many.
        guard let lock = EngineLock(self) else { return }
        dropReference(lock.held, fd, word.inode, besidesClaims: !haveEnded)
        #if PMEMSHIM_CHECKS
            checks.pointee.evictions.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        #endif
        lock.unlock()
    }

    /// Forgets a descriptor whose number has got another meaning unseen, if it was ours.
    func forget(_ held: LockHeld, _ fd: Int32) {
        guard let word = takeMeaning(fd, barred: false, served: nil), word.has(DescriptorWord.ours) else { return }
        dropReference(held, fd, word.inode, besidesClaims: false)
    }

    /// What the number meant, which from now on it does not mean: to one caller only. `served`: ``servedCalls(_:)``
    /// just before; nothing: nobody has asked.
    private func takeMeaning(_ fd: Int32, barred: Bool, served: UInt32?) -> DescriptorWord? {
        guard let descriptor = descriptor(fd) else { return nil }
        if descriptor.pointee.tally.load(ordering: .relaxed) != 0 { settle(descriptor) }
        var word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        while true {
            let (stored, seen) = descriptor.pointee.word.compareExchange(
                expected: word.bits, desired: (barred ? word.barred : word.evicted).bits,
                ordering: .sequentiallyConsistent)
            if stored { break }
            word = DescriptorWord(seen)
        }
        if word.has(DescriptorWord.ours) {
            noteServed(descriptor, inode(word.inode), served)
        } else {
            noteWaited(descriptor)
        }
        return word
    }

    /// `besidesClaims`: the window must serve those who are in it to their end.
    private func dropReference(_ held: LockHeld, _ fd: Int32, _ index: UInt32, besidesClaims: Bool) {
        let inode = inode(index)
        if inode.pointee.source == fd {
            if inode.pointee.references > 1 {
                moveWindow(held, index, from: fd, besidesClaims: besidesClaims)
            } else {
                retireWindow(held, inode, besidesClaims: besidesClaims)
            }
        }
        release(held, index)
    }

    /// Before anything is counted or learnt of a number: what lies at or above the bound is skipped by range evictions.
    func raiseBound(_ fd: Int32) {
        var bound = files.pointee.descriptorBound.load(ordering: .relaxed)
        while fd >= bound {
            let (stored, seen) = files.pointee.descriptorBound.compareExchange(
                expected: bound, desired: fd &+ 1, ordering: .sequentiallyConsistent)
            if stored { break }
            bound = seen
        }
    }

    /// Forgets first...last, both included, as far as anything was ever cached.
    func evictRange(_ first: UInt32, _ last: UInt32) {
        // A number at or above the bound was never called on: nothing is known of it and nobody is learning it.
        let bound = UInt32(bitPattern: max(files.pointee.descriptorBound.load(ordering: .acquiring), 0))
        var fd = first
        while fd < bound, fd <= last {
            evict(Int32(bitPattern: fd))
            fd &+= 1
        }
    }

    /// Drops every window and forgets every descriptor.
    func evictAll() {
        evictRange(0, UInt32.max)
    }
}
