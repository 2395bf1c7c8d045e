import CShimSys
import Synchronization

/// What came of an attempt to map. No enum: without a payload it would be hashable, and bring a generator of random
/// numbers.
struct MapOutcome {
    /// There is a window, as long and as writable as it was wanted: try again.
    let isMapped: Bool
    /// The number has another meaning than we learnt: there was a close that we did not see.
    let hasStrayed: Bool

    static var mapped: MapOutcome { MapOutcome(isMapped: true, hasStrayed: false) }
    static var refused: MapOutcome { MapOutcome(isMapped: false, hasStrayed: false) }
    static var strayed: MapOutcome { MapOutcome(isMapped: false, hasStrayed: true) }
}

extension Engine {
    /// Windows one process may hold: with four mappings each, a quarter of what the kernel allows by default
    /// (vm.max_map_count). Each takes 4.7 KiB of page tables at least.
    static let mostWindows: UInt32 = 4_096
    /// Their address space together, bytes: a quarter of what a process has with four-level page tables. Sparse files
    /// cost nothing, and a few of them would else take all of it.
    static let mostMapped: Int64 = 32 << 40

    /// Maps a window for `fd`'s inode, or a longer or writable one in place of what it has. Without the engine lock.
    func map(_ fd: Int32, wantsWrite: Bool) -> MapOutcome {
        guard ps_given_way() & GiveWay.stops == 0, let descriptor = descriptor(fd), let lock = EngineLock(self) else {
            return .refused
        }
        defer { lock.unlock() }
        guard claimTables(lock.held) else { return .refused }
        var step = MapStep(held: lock.held, engine: self, fd: fd, descriptor: descriptor, wantsWrite: wantsWrite)
        onOwnStack(&step) { $0.assumingMemoryBound(to: MapStep.self).pointee.run() }
        return step.outcome
    }

    fileprivate func map(
        _ held: LockHeld, _ fd: Int32, _ descriptor: UnsafeMutablePointer<Descriptor>, wantsWrite: Bool
    ) -> MapOutcome {
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.has(DescriptorWord.ours | DescriptorWord.maps) else { return .refused }
        if wantsWrite, !word.has(DescriptorWord.mapsWritable) { return .refused }
        let inode = inode(word.inode)
        var facts = ps_file_facts()
        guard ps_sys_facts_of_descriptor(fd, &facts) == 0, facts.inode == inode.pointee.number,
            facts.device == inode.pointee.device
        else {
            return .strayed
        }
        let writable = word.has(DescriptorWord.mapsWritable) && !isToRead(inode)
        let needed = windowLength(facts.size, inode)
        if inode.pointee.base.load(ordering: .relaxed) != 0 {
            let fits = inode.pointee.length.load(ordering: .relaxed) &- 4_096 >= facts.size
            if fits, inode.has(InodeFlag.writable) || !wantsWrite {
                refreshSize(held, inode, facts, fd: fd)
                return .mapped
            }
            // A read-only descriptor must not take the writable window away for the sake of length.
            if inode.has(InodeFlag.writable), !writable { return .refused }
            retireWindow(held, inode)
        }
        guard facts.size > 0 else { return .refused }
        // Twice, as there may be a second mapping. The longest file there can be has no window: the sum wraps.
        guard windows.pointee.windows.load(ordering: .relaxed) < Engine.mostWindows, needed > 0,
            needed <= (Engine.mostMapped &- windows.pointee.mapped) / 2
        else {
            return refused(held, fd, inode, "this process has as many windows as it may have")
        }
        guard let weight = takeWeight(held, inode, facts) else {
            return refused(held, fd, inode, "the windows of this process take as much memory as they may")
        }
        attachStatistics(held)
        guard prepareSignals(), let window = mapped(held, needed, writable: writable, fd, inode) else {
            giveWeight(weight)
            return refused(held, fd, inode, "mmap refused")
        }
        inode.clear(InodeFlag.refused | InodeFlag.writable)
        if writable { inode.set(InodeFlag.writable) }
        // Facts of a sync say nothing of what was stored through a window without MAP_SYNC since.
        if !inode.has(InodeFlag.synchronous) { inode.noteKernelChange() }
        if mount(inode.pointee.mount).pointee.backing == PS_BACKING_DAX {
            let inGroups = ps_sys_lies_in_groups(fd, UInt64(facts.size))
            if inGroups { inode.set(InodeFlag.inGroups) } else { inode.clear(InodeFlag.inGroups) }
        }
        inode.setGeometry(geometry(inode, size: facts.size))
        inode.forgetReady()
        // The regions may be others now.
        if inode.has(InodeFlag.sparse) { inode.distrust() }
        inode.pointee.source = fd
        inode.pointee.calls.store(weight, ordering: .relaxed)
        if window.probeBase != window.base { inode.pointee.readableProbe = 0 }
        // In this order, and the other way round when the window goes: whoever finds the same `base` before and after a
        // `length` that is not 0 has found a window.
        inode.pointee.probeBase.store(window.probeBase, ordering: .relaxed)
        inode.pointee.base.store(window.base, ordering: .sequentiallyConsistent)
        inode.pointee.length.store(needed, ordering: .releasing)
        count(held, inode, bytes: needed &+ Int64(window.probeBase &- window.base), mapped: true)
        refreshSize(held, inode, facts, fd: fd)
        if inode.pointee.hasProbePage { placeProbe(held, inode) }
        log(held, fd, "served", "")
        return .mapped
    }

    private func refused(
        _ held: LockHeld, _ fd: Int32, _ inode: UnsafeMutablePointer<Inode>, _ why: StaticString
    ) -> MapOutcome {
        inode.set(InodeFlag.refused)
        log(held, fd, "passed on", why)
        return .refused
    }

    /// Room to grow without a new mapping: twice the size, but at least 64 MiB and at most 4 GiB more.
    private func windowLength(_ size: Int64, _ inode: UnsafeMutablePointer<Inode>) -> Int64 {
        let room = max(min(size, 4 << 30), 64 << 20)
        return ((size &+ room) | ((2 << 20) &- 1)) &+ 1
    }

    /// Counts a window that comes or goes.
    private func count(_ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>, bytes: Int64, mapped: Bool) {
        if mapped {
            windows.pointee.windows.wrappingAdd(1, ordering: .relaxed)
            windows.pointee.mapped &+= bytes
        } else {
            windows.pointee.windows.wrappingSubtract(1, ordering: .relaxed)
            windows.pointee.mapped &-= bytes
        }
        countWindow(
            held, statistics: mount(inode.pointee.mount).pointee.statisticsIndex, bytes: bytes,
            size: inode.pointee.size.load(ordering: .relaxed), mapped: mapped)
    }

    private func mapped(
        _ held: LockHeld, _ length: Int64, writable: Bool, _ fd: Int32, _ inode: UnsafeMutablePointer<Inode>
    ) -> MappedWindow? {
        let bytes = Int(length)
        let hasProbePage = mount(inode.pointee.mount).pointee.backing != PS_BACKING_DAX
        let span = hasProbePage ? 2 &* bytes : bytes
        guard let base = reserved(span) else { return nil }
        guard mapFile(held, base, bytes, writable, fd, inode),
            !hasProbePage || ps_sys_map_closed(base &+ UInt(bytes), bytes, fd) > 0
        else {
            _ = ps_sys_unmap(base, span)
            return nil
        }
        ps_sys_private_to_process(base, span)
        return MappedWindow(base: base, probeBase: hasProbePage ? base &+ UInt(bytes) : base)
    }

    /// Addresses for `bytes`, a multiple of 2 MiB, that begin at such a one: huge pages map only where file offset and
    /// address agree modulo 2 MiB. From Linux 6.7 on the kernel gives no others.
    private func reserved(_ bytes: Int) -> UInt? {
        let huge = UInt(2 << 20)
        let first = ps_sys_reserve(bytes)
        guard first > 0 else { return nil }
        guard UInt(bitPattern: first) & (huge &- 1) != 0 else { return UInt(bitPattern: first) }
        _ = ps_sys_unmap(UInt(bitPattern: first), bytes)
        let second = ps_sys_reserve(bytes &+ Int(huge))
        guard second > 0 else { return nil }
        let start = UInt(bitPattern: second)
        let aligned = (start &+ huge &- 1) & ~(huge &- 1)
        if aligned > start { _ = ps_sys_unmap(start, Int(aligned &- start)) }
        let rest = Int(start &+ huge &- aligned)
        if rest > 0 { _ = ps_sys_unmap(aligned &+ UInt(bytes), rest) }
        return aligned
    }

    /// Signals first: from the first window on a copy may fault. False: another thread is installing the handler.
    func prepareSignals() -> Bool {
        guard root.pointee.windowsExisted.load(ordering: .relaxed) == 0 else { return true }
        guard ps_signals_install() == 0 else { return false }
        root.pointee.windowsExisted.store(1, ordering: .releasing)
        return true
    }

    /// Takes the window of `inode` away. Copies in flight fault and fall back; the struct file is let go before this
    /// returns, or, `besidesClaims`, when they have ended.
    func retireWindow(_ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>, besidesClaims: Bool = false) {
        let base = inode.pointee.base.load(ordering: .relaxed)
        guard base != 0 else { return }
        let length = inode.pointee.length.load(ordering: .relaxed)
        if inode.pointee.hasProbePage { inode.pointee.readableProbe = 0 }
        inode.pointee.readLimit.store(0, ordering: .relaxed)
        inode.pointee.writeLimit.store(0, ordering: .relaxed)
        inode.pointee.length.store(0, ordering: .sequentiallyConsistent)
        inode.pointee.base.store(0, ordering: .sequentiallyConsistent)
        inode.pointee.source = -1
        inode.clear(InodeFlag.writable)
        giveWeight(inode.pointee.calls.exchange(0, ordering: .relaxed))
        let span = length &+ Int64(inode.pointee.probeBase.load(ordering: .relaxed) &- base)
        count(held, inode, bytes: span, mapped: false)
        retire(held, base, span, covers: !besidesClaims)
    }

    /// Puts the window of `inode` onto another descriptor of the same inode, in place, or takes it away: the one it
    /// was mapped from is about to be closed.
    func moveWindow(_ held: LockHeld, _ index: UInt32, from fd: Int32, besidesClaims: Bool) {
        let inode = inode(index)
        let base = inode.pointee.base.load(ordering: .relaxed)
        guard base != 0 else { return }
        let writable = inode.has(InodeFlag.writable)
        let needed = DescriptorWord.ours | (writable ? DescriptorWord.mapsWritable : DescriptorWord.maps)
        let bound = min(files.pointee.descriptorBound.load(ordering: .relaxed), Int32(Arena.descriptors))
        var candidate: Int32 = 0
        while candidate < bound {
            defer { candidate &+= 1 }
            guard candidate != fd, let other = descriptor(candidate) else { continue }
            let word = DescriptorWord(other.pointee.word.load(ordering: .acquiring))
            guard word.has(needed), word.inode == index, isSameInode(candidate, inode) else { continue }
            let length = inode.pointee.length.load(ordering: .relaxed)
            let probeBase = inode.pointee.probeBase.load(ordering: .relaxed)
            guard mapFile(held, base, Int(length), writable, candidate, inode),
                probeBase == base || mapProbe(held, inode, candidate)
            else { break }
            ps_sys_private_to_process(base, Int(length) &+ Int(probeBase &- base))
            inode.pointee.source = candidate
            return
        }
        retireWindow(held, inode, besidesClaims: besidesClaims)
    }

    func isSameInode(_ fd: Int32, _ inode: UnsafeMutablePointer<Inode>) -> Bool {
        var facts = ps_file_facts()
        return ps_sys_facts_of_descriptor(fd, &facts) == 0 && facts.inode == inode.pointee.number
            && facts.device == inode.pointee.device
    }
}

/// Where a window has been mapped, and its ``Inode/probeBase``.
private struct MappedWindow {
    let base: UInt
    let probeBase: UInt
}

private struct MapStep: SlowStep {
    let held: LockHeld
    let engine: Engine
    let fd: Int32
    let descriptor: UnsafeMutablePointer<Descriptor>
    let wantsWrite: Bool
    var outcome = MapOutcome.refused

    mutating func run() { outcome = engine.map(held, fd, descriptor, wantsWrite: wantsWrite) }
}
