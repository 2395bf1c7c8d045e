import CShimSys
import Synchronization

// What becomes of a descriptor number is decided by what became of it before: see ``Patience``.
extension Engine {
    /// Whether the calls on an unknown number, with the one that is going on, are so many that it is to be looked at.
    ///
    /// Before the first window of the process that hangs on the calls of all its numbers together: files that are
    /// opened again and again, or are many, lose as much as one that stays.
    func isTimeToLook(_ calls: CallsWord) -> Bool {
        guard calls.count > calls.patience.calls(usual: Settings.current.pointee.classify_after) else { return false }
        guard Settings.isByPrice, root.pointee.windowsExisted.load(ordering: .relaxed) == 0 else { return true }
        if calls.count & (CallsWord.together &- 1) == 1 {
            files.pointee.lostCalls.wrappingAdd(CallsWord.together, ordering: .relaxed)
        }
        return files.pointee.lostCalls.load(ordering: .relaxed) >= Price.firstCalls
    }

    /// The number has just been found to be ours, after `calls`.
    func learnPatience(
        _ descriptor: UnsafeMutablePointer<Descriptor>, _ calls: CallsWord, _ inode: UnsafeMutablePointer<Inode>,
        _ thread: CurrentThread
    ) {
        // What has always paid will pay again: the file is as good as hot.
        inode.credit(calls.patience.isEager ? UInt32.max : calls.count)
        keep(calls.patience.afterLook(calls: calls.count, pages: pages(inode)), descriptor, inode, thread)
    }

    /// Of a number that has just been found to be ours, with what has been served until now.
    private func keep(
        _ patience: Patience, _ descriptor: UnsafeMutablePointer<Descriptor>, _ inode: UnsafeMutablePointer<Inode>,
        _ thread: CurrentThread
    ) {
        let statistics = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed)).statistics
        let word = CallsWord(count: thread.servedCalls(statistics), patience)
        descriptor.pointee.unserved.calls.store(word.bits, ordering: .relaxed)
    }

    /// A call resizes the file at `fd`. Where nothing is known of the number but that this has happened often, it is
    /// looked at. The calls on it have not shown yet whether they would have paid, nor will what is served: the next
    /// file waits as if nothing were known.
    func countUnknownResize(_ fd: Int32) {
        guard Settings.isByPrice, root.pointee.windowsExisted.load(ordering: .relaxed) != 0,
            let descriptor = descriptor(fd),
            !DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring)).has(DescriptorWord.known)
        else { return }
        raiseBound(fd)
        let misses = descriptor.pointee.unserved.misses.load(ordering: .relaxed)
        let mapping = misses & UnknownMapping.isThere
        let counted = (misses &- mapping) &+ UnknownResizes.one
        let calls = CallsWord(descriptor.pointee.unserved.calls.load(ordering: .relaxed))
        guard counted >= UnknownResizes.most, counted / UnknownResizes.one &* UnknownResizes.callsFor >= calls.count,
            ps_given_way() & GiveWay.stops == 0, !ps_signals_must_not_copy()
        else { return descriptor.pointee.unserved.misses.store(counted | mapping, ordering: .relaxed) }
        descriptor.pointee.unserved.misses.store(mapping, ordering: .relaxed)
        classify(fd)
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.has(DescriptorWord.ours), let thread = currentThread() else { return }
        keep(calls.patience.isEager ? calls.patience : Patience(bits: 0), descriptor, inode(word.inode), thread)
    }

    /// A number is forgotten that was not looked at.
    @inline(__always)  // of each close
    func noteWaited(_ descriptor: UnsafeMutablePointer<Descriptor>) {
        let calls = CallsWord(descriptor.pointee.unserved.calls.load(ordering: .relaxed))
        guard calls.count != 0 || descriptor.pointee.unserved.misses.load(ordering: .relaxed) != 0 else { return }
        if calls.count >= CallsWord.together {
            let rest = calls.count & (CallsWord.together &- 1)
            files.pointee.lostCalls.wrappingAdd(rest, ordering: .relaxed)
        }
        let word = CallsWord(count: 0, calls.patience.afterWaiting())
        descriptor.pointee.unserved.calls.store(word.bits, ordering: .relaxed)
        descriptor.pointee.unserved.misses.store(0, ordering: .relaxed)
    }

    /// A number of ours is forgotten, which meant `inode`.
    ///
    /// Served calls are counted by thread and mount, not by file, so that nothing is shared on their way. What this
    /// thread has had served since the look is therefore the most that the file can have had, as long as there are no
    /// other threads; and just what it had, where it has the only window.
    ///
    /// `served`: ``servedCalls(_:)``, or nothing where the signals are blocked that tell of memory that is gone.
    func noteServed(
        _ descriptor: UnsafeMutablePointer<Descriptor>, _ inode: UnsafeMutablePointer<Inode>, _ served: UInt32?
    ) {
        let seen = CallsWord(descriptor.pointee.unserved.calls.load(ordering: .relaxed))
        var patience = seen.patience
        if Settings.isByPrice, let served {
            let calls = CallsWord(served &- seen.bits).count
            let isBound = ps_single_threaded()
            let isExact = isBound && windows.pointee.windows.load(ordering: .relaxed) <= 1
            patience = patience.afterServing(
                calls: isBound ? UInt64(calls) : nil, isExact: isExact, pages: pages(inode),
                wasVain: inode.isMostlyVain)
        }
        descriptor.pointee.unserved.calls.store(CallsWord(count: 0, patience).bits, ordering: .relaxed)
    }

    /// What this thread has had served on the mount of a number of ours; nothing where it is none, or not by price. Its
    /// memory may fault: neither under the engine lock nor where signals are blocked.
    func servedCalls(_ fd: Int32) -> UInt32? {
        guard Settings.isByPrice, let descriptor = descriptor(fd) else { return nil }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.has(DescriptorWord.ours), let thread = countingThread() else { return nil }
        let statistics = Geometry(bits: inode(word.inode).pointee.geometry.load(ordering: .relaxed)).statistics
        return UInt32(truncatingIfNeeded: thread.servedCalls(statistics))
    }

    /// Of 4 KiB, that the file costs the price of; whether it lies in groups is known from its first window on.
    private func pages(_ inode: UnsafeMutablePointer<Inode>) -> UInt64 {
        Price.pages(size: inode.pointee.size.load(ordering: .relaxed), inGroups: inode.has(InodeFlag.inGroups))
    }
}
