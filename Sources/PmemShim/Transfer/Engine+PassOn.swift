import CShimSys
import Synchronization

extension ps_family {
    /// The call moves the file offset, which the kernel owns and we guess.
    @inline(__always)
    var isImplicit: Bool {
        self == PS_FAMILY_READ || self == PS_FAMILY_READV || self == PS_FAMILY_WRITE || self == PS_FAMILY_WRITEV
    }

    @inline(__always)
    var isRead: Bool { rawValue <= PS_FAMILY_PREADV.rawValue }
}

extension Engine {
    /// Counts a call that passes on, and says so. Where the outcome is as good as certain, hints and figures are set
    /// now, as if all bytes had moved, and the face calls back only if they have not: `PS_PENDING_SHORT`. Otherwise it
    /// calls back in any case.
    ///
    /// `offset`: where the call starts, as far as known; -1: not known. `tick`: see ``noteKernelWrite``.
    @inline(__always)
    func passOn(_ target: Target, _ outcome: ps_outcome, _ offset: Int64, _ count: Int, tick: Int64 = 0) -> Int64 {
        let state = ps_thread_current()
        target.count(outcome)
        state.pointee.pending_offset = offset
        state.pointee.pending_tick = tick
        state.pointee.pending_count = Int64(count)
        let isForeseen =
            count > 0 && offset >= 0 && offset < Int64.max &- Int64(count)
            && foresee(target, offset, offset &+ Int64(count), tick)
        state.pointee.pending = isForeseen ? PS_PENDING_SHORT.rawValue : PS_PENDING_REPORT.rawValue
        return passOnResult
    }

    /// Sets the hints as they will be when [start, end) has been moved. False: that must be seen first.
    @inline(__always)
    private func foresee(_ target: Target, _ start: Int64, _ end: Int64, _ tick: Int64) -> Bool {
        let size = target.inode.pointee.size.load(ordering: .relaxed)
        let statistics = target.geometry.statistics
        if target.family.isRead {
            // Beyond the end as we know it: a full read would show that somebody has made the file longer.
            guard end <= size else { return false }
            target.thread.passed(statistics, read: end &- start)
            if target.family.isImplicit { target.descriptor.pointee.guess.store(end, ordering: .relaxed) }
            return true
        }
        // A sync must know of what the kernel has written, once it has (`noteKernelChange()`), or of an extension
        // before.
        if target.word.has(DescriptorWord.durable) {
            guard end > size, !target.word.has(DescriptorWord.appends), mayNoteBefore else { return false }
            if !target.inode.has(InodeFlag.unreported) { target.inode.set(InodeFlag.unreported) }
        }
        if !target.word.has(DescriptorWord.appends) {
            if end <= size {
                // Whether it has filled a hole is worth knowing.
                guard !target.inode.has(InodeFlag.sparse) else { return false }
                target.inode.noteStamp(tick)
            } else if target.family.isImplicit {
                // Now and then the offset is asked for afterwards (`relearnOffset`); else we presume and doubt.
                let misses = target.descriptor.pointee.unserved.misses.load(ordering: .relaxed) &+ 1
                target.descriptor.pointee.unserved.misses.store(misses, ordering: .relaxed)
                guard misses & (misses &- 1) != 0 else { return false }
                target.inode.doubt()
            } else {
                // A hole must be seen; and no other thread may believe in bytes that are not there yet.
                guard start <= size, ps_single_threaded() else { return false }
                target.inode.raiseSize(to: end)
            }
            if target.family.isImplicit { target.descriptor.pointee.guess.store(end, ordering: .relaxed) }
        }
        target.thread.passed(statistics, written: end &- start)
        return true
    }

    /// The kernel has answered a call that was passed on, and not as foreseen, or nothing was foreseen.
    func passedOn(_ fd: Int32, _ family: ps_family, _ result: Int64) {
        let state = ps_thread_current()
        let pending = state.pointee.pending
        state.pointee.pending = PS_PENDING_NOTHING.rawValue
        guard let descriptor = descriptor(fd) else { return }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.has(DescriptorWord.ours), let thread = currentThread() else { return }
        let inode = inode(word.inode)
        let statistics = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed)).statistics
        let start = state.pointee.pending_offset
        // Whatever the answer: a write that has failed may have done part of its work.
        if word.has(DescriptorWord.durable), !family.isRead {
            inode.noteKernelChange()
            if result != state.pointee.pending_count { inode.pointee.lastTick.store(0, ordering: .relaxed) }
        }
        if result == Int64(Failure.io), family.isRead { metBadPage(inode, fd, start) }
        if result < 0, !family.isRead { kernelRefuses(result) }
        if pending == PS_PENDING_SHORT.rawValue {
            let missing = state.pointee.pending_count &- max(result, 0)
            if family.isRead {
                thread.passed(statistics, read: 0 &- missing)
            } else {
                thread.passed(statistics, written: 0 &- missing)
                // The kernel may not have stamped the inode after all: the next write goes through it.
                inode.pointee.lastTick.store(0, ordering: .relaxed)
                // And the file may be shorter than foreseen.
                noteResize(of: fd)
            }
            if family.isImplicit, !word.has(DescriptorWord.appends) || family.isRead {
                descriptor.pointee.guess.store(start &+ max(result, 0), ordering: .relaxed)
            }
            return
        }
        guard result > 0 else { return }
        if family.isRead {
            thread.passed(statistics, read: result)
        } else {
            thread.passed(statistics, written: result)
            inode.noteStamp(state.pointee.pending_tick)
        }
        // An absurd start must not overflow; where an append went only the kernel knows.
        guard start >= 0, start < Int64.max &- result, !word.has(DescriptorWord.appends) || family.isRead else {
            return
        }
        var end = start &+ result
        if family.isImplicit {
            descriptor.pointee.guess.store(end, ordering: .relaxed)
            if end > inode.pointee.size.load(ordering: .relaxed) {
                guard let offset = relearnOffset(descriptor, inode, fd, counted: !family.isRead) else { return }
                end = offset
            }
        }
        noteGrowth(inode, fd, from: end &- result, to: end, isWrite: !family.isRead)
        guard !family.isRead, inode.has(InodeFlag.sparse) else { return }
        // Where it began is only presumed: what was not written must not be taken for allocated.
        if family.isImplicit {
            guard !isTold(inode, from: end &- result, to: end), ps_sys_seek_by(fd, 0) == Int(end) else { return }
        }
        noteWritten(inode, fd, from: end &- result, to: end)
    }

    /// The kernel has refused a write of a file that is served. Where that is because of the state of the file system
    /// (shut down, or made read-only after an error) reads fail as well, but for those from windows: so all windows go.
    /// A file system that is shut down gives none anew.
    @inline(never)
    func kernelRefuses(_ result: Int64) {
        if result == Int64(Failure.io) || result == Int64(Failure.readOnlyFileSystem) { evictAll() }
    }
}
