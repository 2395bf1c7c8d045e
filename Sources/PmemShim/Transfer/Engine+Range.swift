import CShimSys
import Synchronization

/// A descriptor of ours, as one data call found it.
struct Target {
    let fd: Int32
    let descriptor: UnsafeMutablePointer<Descriptor>
    let word: DescriptorWord
    let inode: UnsafeMutablePointer<Inode>
    let geometry: Geometry
    let thread: CurrentThread
    let family: ps_family
}

/// Proved addresses of a range: valid, or faulting, until the thread leaves.
struct ProvedRange {
    let start: UInt
    let probe: UInt
}

extension Target {
    /// Whether [offset, offset + count) is not empty, ends at or before `limit`, and its region is hot. Of these only
    /// the bounds matter to safety; `limit` itself is a hint.
    @inline(__always)
    func looksServable(_ offset: Int64, _ count: Int, limit: Int64) -> Bool {
        guard count > 0, offset >= 0, offset <= limit, Int64(count) <= limit &- offset, count <= mostInOneCall else {
            return false
        }
        return inode.heat(offset, geometry) >= geometry.threshold
    }

    /// Addresses of the range in the window and of the end probe. To be called between enter and leave, with the limit
    /// the range was found to lie below.
    ///
    /// The order of the loads is the proof: `length` belongs to `base` because `base` is the same before and after, and
    /// `base` belongs to this descriptor because its word is the same as before. A window taken away later faults, and
    /// its addresses are not used again before this thread has left.
    ///
    /// The end probe is one byte at the limit, which is the start of the page (step) the file ends in: whatever cuts the
    /// file short enough to touch the range takes that page away as well. It is the same byte for every call on the
    /// file, so it stays in cache and TLB; the page behind the range, which would prove the same, costs a second miss at
    /// random (docs/design.md).
    @inline(__always)
    func prove(_ offset: Int64, limit: Int64) -> ProvedRange? {
        let base = inode.pointee.base.load(ordering: .acquiring)
        let length = inode.pointee.length.load(ordering: .acquiring)
        guard base != 0, limit < length,
            inode.pointee.base.load(ordering: .acquiring) == base,
            descriptor.pointee.word.load(ordering: .acquiring) == word.bits
        else { return nil }
        return ProvedRange(start: base &+ UInt(bitPattern: Int(offset)), probe: base &+ UInt(bitPattern: Int(limit)))
    }

    /// Before the offset is moved, and after the call has been announced: whether the number still means what it meant.
    /// Then it goes on meaning it until the call has ended (``Engine/claimsHaveEnded()``).
    @inline(__always)
    func mayClaim() -> Bool { descriptor.pointee.word.load(ordering: .acquiring) == word.bits }

    /// After the offset has been moved: whether the kernel may be asked to go on there. Not where a signal handler has
    /// given the number to another file in the middle of this very call.
    func isStillMeant() -> Bool {
        if descriptor.pointee.word.load(ordering: .acquiring) == word.bits { return true }
        var facts = ps_file_facts()
        return ps_sys_facts_of_descriptor(fd, &facts) == 0 && facts.inode == inode.pointee.number
            && facts.device == inode.pointee.device
    }

    /// After a call that has claimed has ended.
    @inline(__always)
    func hasEnded(_ engine: Engine) {
        if descriptor.pointee.word.load(ordering: .relaxed) != word.bits { engine.dropLingering() }
    }

    @inline(__always)
    func count(_ outcome: ps_outcome) { thread.count(geometry.statistics, family, outcome) }
}

extension Engine {
    /// What `fd` is: a target, if it is ours and the calling thread has a record. Otherwise the call passes on.
    @inline(__always)
    func target(_ fd: Int32, _ family: ps_family) -> Target? {
        ps_thread_current().pointee.pending = PS_PENDING_NOTHING.rawValue
        guard let descriptor = descriptor(fd) else { return nil }
        var word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        if !word.has(DescriptorWord.ours) {
            guard !word.has(DescriptorWord.known) else { return nil }
            let calls = descriptor.pointee.calls.load(ordering: .relaxed)
            if calls != 0, calls < Settings.current.pointee.classify_after {
                guard family == PS_FAMILY_WRITE else {
                    descriptor.pointee.calls.store(calls &+ 1, ordering: .relaxed)
                    return nil
                }
                // Most of what is only ever written in order is new, and nothing of it is served: it has to come this
                // often before a look (20 to 50 us with cold caches) is lost in it.
                let writes = descriptor.pointee.misses.load(ordering: .relaxed) &+ 1
                descriptor.pointee.misses.store(writes, ordering: .relaxed)
                if writes & (UnknownWrites.perCall &- 1) == 0 {
                    descriptor.pointee.calls.store(calls &+ 1, ordering: .relaxed)
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

    /// One fstat and one F_GETFL: whether `fd` is still open on the inode that was learnt, and in the same mode, whatever
    /// closed, replaced or changed it. Otherwise it is forgotten, and the call passes on. A call that replaces the number
    /// between this and the copy goes unseen.
    @inline(never)
    private func isStillMeant(_ fd: Int32, _ word: DescriptorWord) -> Bool {
        let inode = inode(word.inode)
        let flags = ps_sys_status_flags(fd)
        if flags >= 0, flags & Int(PS_O_PATH.rawValue) == 0,
            word.learnt(rights(flags, backing: mount(inode.pointee.mount).pointee.backing, fd), inode: word.inode)
                == word,
            ps_sys_is_inode(fd, inode.pointee.device, inode.pointee.number)
        {
            return true
        }
        evict(fd)
        return false
    }

    /// The first data call on a number nothing is known of, or the one that makes it worth a look. True: it has just been
    /// classified.
    @inline(never)
    private func countUnknown(_ fd: Int32, _ descriptor: UnsafeMutablePointer<Descriptor>, _ family: ps_family) -> Bool
    {
        raiseBound(fd)
        let calls = descriptor.pointee.calls.load(ordering: .relaxed) &+ 1
        descriptor.pointee.calls.store(calls, ordering: .relaxed)
        let wanted = Settings.current.pointee.classify_after
        // A filter of system calls may kill for the look at the stack.
        guard calls > wanted, ps_given_way() & GiveWay.stops == 0, !ps_signals_must_not_copy() else { return false }
        let writes = descriptor.pointee.misses.load(ordering: .relaxed)
        descriptor.pointee.calls.store(0, ordering: .relaxed)
        descriptor.pointee.misses.store(0, ordering: .relaxed)
        classify(fd)
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.has(DescriptorWord.ours) else { return false }
        // The calls before this one were this file's, too.
        if wanted > 0, let thread = currentThread() {
            let geometry = Geometry(bits: inode(word.inode).pointee.geometry.load(ordering: .relaxed))
            let others = wanted &- min(wanted, writes / UnknownWrites.perCall)
            thread.add(geometry.statistics, family, PS_OUTCOME_COLD, UInt64(others))
            thread.add(geometry.statistics, PS_FAMILY_WRITE, PS_OUTCOME_COLD, UInt64(writes))
            inode(word.inode).pointee.calls.wrappingAdd(wanted, ordering: .relaxed)
        }
        return true
    }

    /// Whether a vector may be looked at: it may be bad memory, and the handler that survives that comes with the first
    /// window. A file that is worth one gets it here.
    @inline(__always)
    func canCopy(_ target: Target, writes: Bool) -> Bool {
        guard target.thread.mayCopy,
            root.pointee.windowsExisted.load(ordering: .acquiring) != 0
                || (isWorthMapping(target) && mapWindow(target.fd, wantsWrite: writes))
        else { return false }
        ps_signals_ready()
        return true
    }

    /// Lets size and holes be learnt again: the copy faulted, or something changed the file.
    @inline(never)
    func relearn(_ target: Target) {
        // Somebody else has made holes: which, nobody knows.
        if relearnt(target) { emptied(target.inode, from: 0, to: Int64.max) }
    }

    /// True: there are fewer blocks than there were.
    private func relearnt(_ target: Target) -> Bool {
        guard let lock = EngineLock(self) else { return false }
        defer { lock.unlock() }
        var facts = ps_file_facts()
        guard target.descriptor.pointee.word.load(ordering: .acquiring) == target.word.bits,
            ps_sys_facts_of_descriptor(target.fd, &facts) == 0
        else { return false }
        guard facts.inode == target.inode.pointee.number, facts.device == target.inode.pointee.device else {
            forget(target.fd)
            return false
        }
        let before = target.inode.pointee.blocks
        refreshSize(target.inode, facts, fd: target.fd)
        return facts.blocks < before && target.inode.has(InodeFlag.sparse)
    }
}

/// write() on a number nothing is known of, counted in ``Descriptor/misses`` until it is.
enum UnknownWrites {
    /// So many count as one call of another kind; a power of two.
    static let perCall: UInt32 = 256
}
