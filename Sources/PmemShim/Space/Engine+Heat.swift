import CShimSys
import Synchronization

// Sampled heat: which pages of which files are used, counted in the page arrays that all processes of a user share.
// Nothing is counted on the way of a call that is served; what is seen are calls that pass on while their region warms
// up, one of PS_PAGES_SAMPLE, and of what is served the call in each clock tick that the kernel does for the sake of
// the file's times.
extension Engine {
    /// A call in the region of `offset` that could have been served, had the region been hot.
    @inline(never)  // of a call that is passed on; and what it takes would be in the frames of served ones
    func warm(_ target: Target, _ offset: Int64, _ count: Int, writes: Bool) {
        if writes, !target.word.has(DescriptorWord.durable), target.inode.isFirstPass(offset) { return }
        target.inode.warm(offset, count, target.thread)
        let turn = target.thread.record.pointee.own.turn.load(ordering: .relaxed)
        if turn & (PS_PAGES_SAMPLE &- 1) == 1 { sample(target, offset, writes: writes, turn: turn) }
    }

    /// The same of a read of what is cold. What goes on in order counts for less, and is looked at in vain.
    ///
    /// What is read in order is touched once in a pass, and a page that comes and goes costs as much as a read of it
    /// saves, or twice that (docs/decisions.md). So a region is served in the third such pass; after a quarter of the
    /// first where it is read at random, or by less than half a page. On DAX the placement decides, and a huge page is
    /// dear only once.
    @inline(never)
    func warmByRead(_ target: Target, _ offset: Int64, _ count: Int) {
        let inode = target.inode
        let isLookedAtRarely = inode.isMostlyVain
        guard isReadOn(target, offset, count, isLookedAtRarely) else {
            // Holes and cuts have other reasons, which a read at random does not refute.
            if isLookedAtRarely, !inode.has(InodeFlag.sparse), inode.cutWait == 0 { inode.noteFound() }
            return warm(target, offset, count, writes: false)
        }
        inode.noteVain()
        if isLookedAtRarely {
            // It stands for the 63 before it.
            warm(target, offset, count << 4, writes: false)
        } else if offset >> 15 != (offset &+ Int64(count)) >> 15 {
            // A call in 32 KiB, by a quarter of what it moves: half of what makes a region hot in one pass.
            warm(target, offset, count >> 2, writes: false)
        }
    }

    /// Whether a read goes on where the thread's last one of what is cold ended, by half a page or more.
    private func isReadOn(_ target: Target, _ offset: Int64, _ count: Int, _ isLookedAtRarely: Bool) -> Bool {
        let thread = ps_thread_current()
        let distance = offset &- thread.pointee.read_end
        let isSameFile = thread.pointee.read_file == UInt(bitPattern: target.inode)
        thread.pointee.read_end = offset &+ Int64(count)
        thread.pointee.read_file = UInt(bitPattern: target.inode)
        // Of what is looked at rarely 63 calls have moved on, where the offset is not the believed one of read().
        return isSameFile && count >= 2_048 && (distance == 0 || isLookedAtRarely && distance == 63 &* Int64(count))
            && Settings.isByPrice && !target.word.has(DescriptorWord.durable)
            && !mount(target.inode.pointee.mount).pointee.hasHugePages
    }

    /// A read that passes on for the sake of the file's times, as each does that follows a write of the kernel's: it
    /// counts as a call of a cold region does.
    func sampleTick(_ target: Target, _ offset: Int64) {
        let turn = target.thread.record.pointee.own.turn.load(ordering: .relaxed) &+ 1
        target.thread.record.pointee.own.turn.store(turn, ordering: .relaxed)
        let isEager = Settings.current.pointee.map_after == 0
        if isEager || turn & (PS_PAGES_SAMPLE &- 1) == 1 { sample(target, offset, writes: false, turn: turn) }
    }

    /// The first write of a tick, which the kernel does.
    @inline(never)
    func sampleTickWrite(_ target: Target, _ offset: Int64) {
        // A tick is 4 ms, 2^22 ns.
        let tick = UInt32(truncatingIfNeeded: ps_sys_coarse_now() >> 22)
        sample(target, offset, writes: true, turn: tick &* PS_PAGES_SAMPLE &+ 1)
    }

    /// Counts one call on the page that holds `offset`.
    ///
    /// A group's descriptors take 32 KiB, and to map them 20 us: that is not paid for each file that is used a little,
    /// but for one sample (or tick) in ``HeatMemory/rarity``, which a hot file has soon. What has memory is counted.
    @inline(never)
    func sample(_ target: Target, _ offset: Int64, writes: Bool, turn: UInt32) {
        guard offset >= 0, offset < target.inode.pointee.size.load(ordering: .relaxed),
            target.inode.pointee.base.load(ordering: .relaxed) != 0,
            let place = place(target.inode, offset, fd: target.fd, mayGrow: HeatMemory.isDue(turn))
        else { return }
        if place.owner != nil { place.insert([]) }
        if writes {
            place.array.addWrites(1, to: place.page)
        } else {
            place.array.addReads(1, to: place.page)
        }
    }
}

/// When a sample may take memory.
private enum HeatMemory {
    /// One sample in so many: it costs 20 to 50 us, which as many calls have to have lost.
    static var rarity: UInt32 { Settings.isByPrice ? 32 : 4 }

    static func isDue(_ turn: UInt32) -> Bool {
        turn & (PS_PAGES_SAMPLE &* rarity &- 1) == 1 || Settings.current.pointee.map_after == 0
    }
}
