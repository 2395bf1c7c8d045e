import CShimSys
import Synchronization

extension Engine {
    /// What `fd` is: a target, if it is ours and the calling thread has a record. Otherwise the call passes on.
    @inline(__always)
    func target(_ fd: Int32, _ family: ps_family) -> Target? {
        ps_thread_current().pointee.pending = PS_PENDING_NOTHING.rawValue
        guard let descriptor = descriptor(fd) else { return nil }
        var word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        if !word.has(DescriptorWord.ours) {
            guard !word.has(DescriptorWord.known) else { return nil }
            let calls = CallsWord(descriptor.pointee.unserved.calls.load(ordering: .relaxed))
            if calls.isWaiting {
                guard family == PS_FAMILY_WRITE else {
                    descriptor.pointee.unserved.calls.store(calls.next.bits, ordering: .relaxed)
                    return nil
                }
                // Most of what is only ever written in order is new, and nothing of it is served: it has to come this
                // often before a look (20 to 50 us with cold caches) is lost in it.
                let writes = descriptor.pointee.unserved.misses.load(ordering: .relaxed) &+ 1
                descriptor.pointee.unserved.misses.store(writes, ordering: .relaxed)
                if writes & (UnknownWrites.perCall &- 1) == 0 {
                    descriptor.pointee.unserved.calls.store(calls.next.bits, ordering: .relaxed)
                }
                return nil
            }
            guard countUnknown(fd, descriptor, family) else { return nil }
            word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
            guard word.has(DescriptorWord.ours) else { return nil }
        }
        if word.has(DescriptorWord.suspect), !isStillMeant(fd, word) { return nil }
        guard let thread = currentThread() else { return nil }
        let inode = inode(word.inode)
        return Target(
            fd: fd, descriptor: descriptor, word: word, inode: inode,
            geometry: Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed)), thread: thread, family: family)
    }

    /// One fstat and one F_GETFL: whether `fd` is still open on the inode that was learnt, and in the same mode,
    /// whatever closed, replaced or changed it. Otherwise it is forgotten, and the call passes on. A call that replaces
    /// the number between this and the copy goes unseen.
    @inline(never)
    private func isStillMeant(_ fd: Int32, _ word: DescriptorWord) -> Bool {
        let inode = inode(word.inode)
        let flags = ps_sys_status_flags(fd)
        if flags >= 0, flags & Int(OpenFlag.path) == 0,
            word.learnt(rights(flags, backing: mount(inode.pointee.mount).pointee.backing, fd), inode: word.inode)
                == word,
            ps_sys_is_inode(fd, inode.pointee.device, inode.pointee.number)
        {
            return true
        }
        evict(fd)
        return false
    }

    /// The first data call on a number nothing is known of, or the one that makes it worth a look. True: it has just
    /// been classified.
    @inline(never)
    private func countUnknown(_ fd: Int32, _ descriptor: UnsafeMutablePointer<Descriptor>, _ family: ps_family) -> Bool
    {
        raiseBound(fd)
        let calls = CallsWord(descriptor.pointee.unserved.calls.load(ordering: .relaxed)).next
        descriptor.pointee.unserved.calls.store(calls.bits, ordering: .relaxed)
        // A filter of system calls may kill for the look at the stack.
        guard isTimeToLook(calls), ps_given_way() & GiveWay.stops == 0, !ps_signals_must_not_copy() else {
            return false
        }
        let misses = descriptor.pointee.unserved.misses.load(ordering: .relaxed)
        let writes = misses & UnknownWrites.mask
        descriptor.pointee.unserved.calls.store(calls.withoutCount.bits, ordering: .relaxed)
        descriptor.pointee.unserved.misses.store(misses & UnknownMapping.isThere, ordering: .relaxed)
        classify(fd)
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.has(DescriptorWord.ours) else { return false }
        // The calls before this one were this file's, too.
        let before = calls.count &- 1
        guard before > 0, let thread = currentThread() else { return true }
        let inode = inode(word.inode)
        let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
        let others = before &- min(before, writes / UnknownWrites.perCall)
        thread.add(geometry.statistics, family, PS_OUTCOME_COLD, UInt64(others))
        thread.add(geometry.statistics, PS_FAMILY_WRITE, PS_OUTCOME_COLD, UInt64(writes))
        if inode.pointee.base.load(ordering: .relaxed) == 0 {
            inode.pointee.calls.wrappingAdd(before, ordering: .relaxed)
        }
        if Settings.isByPrice { learnPatience(descriptor, calls, inode, thread) }
        return true
    }

    /// Makes ready for looking at a vector, which may be bad memory: the handler that survives that comes with the
    /// first window, and a file that is worth one gets it here. False: it must not be looked at.
    @inline(__always)
    func prepareToCopy(_ target: Target, writes: Bool) -> Bool {
        guard target.thread.mayCopy,
            root.pointee.windowsExisted.load(ordering: .acquiring) != 0
                || (countTowardsMapping(target) && mapWindow(target.fd, wantsWrite: writes))
        else { return false }
        ps_signals_ready()
        return true
    }

}
