import CShimSys
import Synchronization

extension Engine {
    /// pwrite and pwritev: overwrites [offset, offset + count) in place, or says that the call passes on.
    @inline(__always)
    func positionedWrite<Buffer: TransferBuffer>(_ target: Target, _ buffer: Buffer, _ offset: Int64) -> Int64 {
        var tries = 0
        while true {
            let limit = target.inode.pointee.writeLimit.load(ordering: .relaxed)
            var outcome: ps_outcome?
            if buffer.isServedLength, target.word.has(DescriptorWord.writes),
                target.looksServable(offset, buffer.count, limit: limit)
                    || arePagesKnown(target, offset, buffer.count, limit: limit),
                isReady(target, offset, buffer.count)
            {
                outcome = isTickTaken(target) ? overwritten(target, buffer, offset, limit) : PS_OUTCOME_TICK
                if outcome == PS_OUTCOME_SERVED { return Int64(buffer.count) }
            } else {
                outcome = whyNotWrite(
                    target, offset, buffer.count, isServed: buffer.isServedLength, mayMap: tries == 0)
            }
            tries &+= 1
            guard outcome != nil || tries > 1 else { continue }
            return kernelWrite(target, buffer, offset, outcome ?? PS_OUTCOME_COLD)
        }
    }

    /// The copy itself, alone in its stripes.
    @inline(__always)
    func overwritten<Buffer: TransferBuffer>(
        _ target: Target, _ buffer: Buffer, _ offset: Int64, _ limit: Int64
    ) -> ps_outcome {
        guard let call = target.thread.enter() else { return PS_OUTCOME_COLD }
        defer { call.leave() }
        return overwritten(target, call, buffer, offset, limit)
    }

    @inline(__always)
    private func overwritten<Buffer: TransferBuffer>(
        _ target: Target, _ call: ServedCall, _ buffer: Buffer, _ offset: Int64, _ limit: Int64
    ) -> ps_outcome {
        guard let range = target.prove(offset, limit: limit) else { return PS_OUTCOME_COLD }
        let stripes = Stripes(offset, buffer.count)
        guard stripes.claim(self, target.inode, call) else { return PS_OUTCOME_BUSY }
        let isWritten: Bool
        if target.word.has(DescriptorWord.durable) {
            let copied = buffer.copyInDurably(to: range.start).then(probing: range.probe)
            isWritten = !copied.hasFaulted && honourSyncFlags(target)
        } else {
            let touched = prefault(target, offset, range.start, buffer.count)
            // Not by `then`: a closure has a frame of its own.
            let copied = touched.hasFaulted ? touched : buffer.copyIn(to: range.start)
            isWritten = !copied.then(probing: range.probe).hasFaulted
        }
        stripes.release(self, target.inode)
        guard isWritten, call.goesOn else {
            target.thread.countFault(target.geometry.statistics)
            return PS_OUTCOME_FAULT
        }
        target.thread.served(target.geometry.statistics, target.family, written: buffer.count)
        return PS_OUTCOME_SERVED
    }

    /// Loads a byte of each 64 KiB of a range in a region that has only lately become hot.
    ///
    /// A write to a page that this process has not touched costs 1.5 us, page by page; a load there brings 16 pages for
    /// 5.9 us, for writing as well. The heat goes on counting until it is full; by then nearly all of a region has been
    /// touched, and the load is left out.
    @inline(__always)
    private func prefault(_ target: Target, _ offset: Int64, _ start: UInt, _ count: Int) -> CopyResult {
        target.inode.heat(offset, target.geometry) < Heat.full ? prefaultAll(target, offset, start, count) : .done
    }

    @inline(never)
    private func prefaultAll(_ target: Target, _ offset: Int64, _ start: UInt, _ count: Int) -> CopyResult {
        target.inode.warmFurther(offset, target)
        var at = start
        let end = start &+ UInt(bitPattern: count)
        while at < end {
            if ps_probe(at) != 0 { return .faulted }
            at = (at | 0xffff) &+ 1
        }
        return .done
    }

    /// True: the kernel has stamped this inode in the current clock tick already, for a write of ours.
    @inline(__always)
    func isTickTaken(_ target: Target) -> Bool {
        target.inode.pointee.lastTick.load(ordering: .relaxed) == ps_sys_coarse_now()
    }

    /// write and writev: as ``implicitRead(_:_:)``. Short ones are the kernel's all: claiming the place costs most of
    /// what a store would save, and between the two a kill would leave a gap.
    @inline(__always)
    func implicitWrite<Buffer: TransferBuffer>(_ target: Target, _ buffer: Buffer) -> Int64 {
        let guess = target.descriptor.pointee.guess.load(ordering: .relaxed)
        let count = buffer.count
        let limit = target.inode.pointee.writeLimit.load(ordering: .relaxed)
        let durable = target.word.has(DescriptorWord.durable)
        // Why the kernel is to do it; nothing: it may be served.
        var refusal: ps_outcome?
        if WriteLength(count).isCopied, target.word.has(DescriptorWord.writes),
            target.looksServable(guess, count, limit: limit)
                || arePagesKnown(target, guess, count, limit: limit),
            isReady(target, guess, count)
        {
            if !isTickTaken(target) { refusal = PS_OUTCOME_TICK }
        } else {
            let reason = whyNotWrite(
                target, guess, count, isServed: WriteLength(count).isCopied, mayMap: true)
            refusal = reason ?? PS_OUTCOME_COLD
        }
        if let refusal {
            // A write at a place we have claimed is alone in its stripes; and on DAX we know what it has written.
            let isClaimed =
                refusal == PS_OUTCOME_TICK && durable || (ps_given_way() == 0 && mayMeetCopies(target, guess, count))
            guard isClaimed else {
                let tick = noteKernelWrite(target, refusal)
                if refusal == PS_OUTCOME_TICK { sampleTickWrite(target, guess) }
                return passOn(target, refusal, guess, count, tick: tick)
            }
        }
        var outcome = PS_OUTCOME_COLD
        guard let claim = Claim(target, count, refusal: &outcome) else { return passOn(target, outcome, -1, count) }
        outcome = PS_OUTCOME_OFFSET
        if let refusal {
            outcome = refusal
        } else if claim.start == guess || isServable(target, claim.start, count, limit: limit) {
            outcome = overwritten(target, claim.call, buffer, claim.start, limit)
            if outcome == PS_OUTCOME_SERVED {
                claim.end(self, target)
                return Int64(count)
            }
        }
        return claimedWrite(target, claim, buffer, outcome)
    }

    /// Why an overwrite is not served now; nothing: something has been mended, try once more.
    @inline(never)
    private func whyNotWrite(
        _ target: Target, _ offset: Int64, _ count: Int, isServed: Bool, mayMap: Bool
    ) -> ps_outcome? {
        let inode = target.inode
        let givenWay = ps_given_way()
        guard givenWay & GiveWay.stops == 0 else { return PS_OUTCOME_GIVE_WAY }
        guard givenWay & GiveWay.stopsWrites == 0 else { return PS_OUTCOME_LIMIT }
        guard !target.word.has(DescriptorWord.appends) else { return PS_OUTCOME_APPEND }
        guard target.word.has(DescriptorWord.writes) else { return PS_OUTCOME_FLAGS }
        guard count > 0, count <= mostInOneCall, offset >= 0, offset < Int64.max &- Int64(count) else {
            return PS_OUTCOME_ARGUMENT
        }
        let end = offset &+ Int64(count)
        let size = inode.pointee.size.load(ordering: .relaxed)
        guard isServed || end > size else { return PS_OUTCOME_SMALL }
        guard (end &+ 4_095) & ~4_095 < size else { return PS_OUTCOME_END }
        if inode.has(InodeFlag.aloof), !target.word.has(DescriptorWord.durable) {
            return hasRested(target) && mayMap ? nil : PS_OUTCOME_BACKING
        }
        if inode.has(InodeFlag.unverified) { relearn(target) }
        if inode.pointee.base.load(ordering: .relaxed) == 0 {
            warm(target, offset, count, writes: true)
            guard countTowardsMapping(target), mayMap, isHotEnough(target, offset),
                mapWindow(target.fd, wantsWrite: true)
            else {
                return PS_OUTCOME_COLD
            }
            lookForUnwritten(target, offset)
            sampleMapped(target, offset, writes: true)
            return nil
        }
        if !inode.has(InodeFlag.writable) {
            return mayMap && mapWindow(target.fd, wantsWrite: true) ? nil : PS_OUTCOME_FLAGS
        }
        if end > inode.pointee.length.load(ordering: .relaxed) &- 4_096 {
            return mayMap && mapWindow(target.fd, wantsWrite: true) ? nil : PS_OUTCOME_END
        }
        if mayMap, catchUp(target, offset, end) { return nil }
        if inode.has(InodeFlag.sparse) {
            if target.word.has(DescriptorWord.durable) { lookAhead(target, offset, count) }
            return lookCloser(target, offset, count, writes: true) && mayMap ? nil : PS_OUTCOME_SPARSE
        }
        warm(target, offset, count, writes: true)
        if target.word.has(DescriptorWord.durable), isWorthALook(target, offset, count),
            inode.makeReady(target.fd, offset, count, target.geometry)
        {
            return nil
        }
        return PS_OUTCOME_COLD
    }
}
