import CShimSys
import Synchronization

extension Engine {
    /// Forgets `fd`. Before a close this also takes the window away from the description that is about to go: a window
    /// pins its struct file, with its locks, leases, ETXTBSY and the space of an unlinked file.
    @inline(__always)
    func evict(_ fd: Int32) {
        guard let descriptor = descriptor(fd) else { return }
        var word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        if ps_single_threaded(), !word.has(DescriptorWord.ours) {
            // Nobody else can be learning the number: an unknown one is left as it is. This is what every open and close
            // of a process costs that has nothing of ours in hand.
            if word.has(DescriptorWord.known) {
                descriptor.pointee.word.store(word.evicted.bits, ordering: .relaxed)
            }
            if descriptor.pointee.calls.load(ordering: .relaxed) != 0 {
                descriptor.pointee.calls.store(0, ordering: .relaxed)
                descriptor.pointee.misses.store(0, ordering: .relaxed)
            }
            return
        }
        while !word.has(DescriptorWord.ours) {
            // The generation rises even when nothing is known: another thread may be learning this number now.
            let (stored, seen) = descriptor.pointee.word.compareExchange(
                expected: word.bits, desired: word.evicted.bits, ordering: .sequentiallyConsistent)
            if stored {
                descriptor.pointee.calls.store(0, ordering: .relaxed)
                descriptor.pointee.misses.store(0, ordering: .relaxed)
                return
            }
            word = DescriptorWord(seen)
        }
        evictOurs(fd)
    }

    @inline(never)
    private func evictOurs(_ fd: Int32) {
        if let lock = EngineLock(self) {
            forget(fd)
            lock.unlock()
        } else if let descriptor = descriptor(fd) {
            settle(descriptor)
            // The lock cannot be had: forgetting is what must happen; the slot keeps a reference too many.
            let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
            descriptor.pointee.word.store(word.evicted.bits, ordering: .sequentiallyConsistent)
        }
    }

    /// Forgets a descriptor that may be ours. Engine lock held.
    func forget(_ fd: Int32) {
        guard let descriptor = descriptor(fd) else { return }
        if descriptor.pointee.tally.load(ordering: .relaxed) != 0 { settle(descriptor) }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        descriptor.pointee.word.store(word.evicted.bits, ordering: .sequentiallyConsistent)
        if word.has(DescriptorWord.ours) { awaitClaims(descriptor) }
        descriptor.pointee.calls.store(0, ordering: .relaxed)
        guard word.has(DescriptorWord.ours) else { return }
        if inode(word.inode).pointee.source == fd {
            if inode(word.inode).pointee.references > 1 {
                moveWindow(word.inode, from: fd)
            } else {
                retireWindow(inode(word.inode))
            }
        }
        release(word.inode)
    }

    /// Forgets first...last, both included, as far as anything was ever cached.
    func evictRange(_ first: UInt32, _ last: UInt32) {
        // A number at or above the bound was never called on: nothing is known of it and nobody is learning it.
        let bound = UInt32(bitPattern: max(root.pointee.descriptorBound.load(ordering: .acquiring), 0))
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
