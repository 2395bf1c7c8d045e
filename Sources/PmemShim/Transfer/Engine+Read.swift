import CShimSys
import Synchronization

extension Engine {
    /// Decides anew, says why not, mends what can be mended. A copy that has faulted faults here once more and is
    /// counted.
    @inline(__always)  // two callers
    static func generalPread(
        _ fd: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int, _ offset: Int64
    ) -> Int64 {
        guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_PREAD) else { return passOnResult }
        guard target.thread.mayCopy else { return engine.passOn(target, PS_OUTCOME_COLD, -1, count) }
        return engine.positionedRead(target, PlainRead(buffer: buffer, count: count), offset)
    }

    /// pread and preadv: serves [offset, offset + count), or says that the call passes on.
    @inline(__always)  // specialised per buffer; the plain form is the hot path
    func positionedRead<Buffer: TransferBuffer>(_ target: Target, _ buffer: Buffer, _ offset: Int64) -> Int64 {
        var tries = 0
        while true {
            let limit = target.inode.pointee.readLimit.load(ordering: .relaxed)
            let looksServable = target.looksServable(offset, buffer.count, limit: limit)
            if !looksServable, tries == 0, isVainRead(target) { return passOnResult }
            if looksServable || arePagesKnown(target, offset, buffer.count, limit: limit),
                target.word.has(DescriptorWord.reads)
            {
                if let result = served(target, buffer, offset, limit) { return result }
            }
            let outcome = whyNotRead(target, offset, buffer.count, mayMap: tries == 0)
            if let outcome { return passOn(target, outcome, offset, buffer.count) }
            tries &+= 1
            if tries > 1 { return passOn(target, PS_OUTCOME_COLD, offset, buffer.count) }
        }
    }

    /// The copy itself. Nothing: the range could not be proved. PS_PASS_ON: it faulted.
    @inline(__always)
    private func served<Buffer: TransferBuffer>(
        _ target: Target, _ buffer: Buffer, _ offset: Int64, _ limit: Int64
    ) -> Int64? {
        guard let call = target.thread.enter() else { return nil }
        guard let range = target.prove(offset, limit: limit) else {
            call.leave()
            return nil
        }
        let copied = buffer.copyOut(of: range.start).then(probing: range.probe)
        let stayed = call.leave()
        if copied.hasFaulted || !stayed { return faultedRead(target, buffer, offset) }
        target.thread.served(target.geometry.statistics, target.family, read: buffer.count)
        return Int64(buffer.count)
    }

    @inline(never)
    private func faultedRead<Buffer: TransferBuffer>(_ target: Target, _ buffer: Buffer, _ offset: Int64) -> Int64 {
        target.thread.countFault(target.geometry.statistics)
        relearn(target)
        guard Buffer.isReadOnce else { return passOn(target, PS_OUTCOME_FAULT, offset, buffer.count) }
        let result = buffer.kernelRead(target.fd, at: offset)
        if result == Failure.io { metBadPage(target.inode, target.fd, offset) }
        target.count(PS_OUTCOME_FAULT)
        if result > 0 {
            noteGrowth(target.inode, target.fd, from: offset, to: offset &+ Int64(result), isWrite: false)
            target.thread.passed(target.geometry.statistics, read: Int64(result))
        }
        return Int64(result)
    }

    /// read and readv: claims the range with one lseek, which is atomic among all who share the description.
    @inline(__always)
    func implicitRead<Buffer: TransferBuffer>(_ target: Target, _ buffer: Buffer) -> Int64 {
        let guess = target.descriptor.pointee.guess.load(ordering: .relaxed)
        let count = buffer.count
        let limit = target.inode.pointee.readLimit.load(ordering: .relaxed)
        let looksServable = target.looksServable(guess, count, limit: limit)
        if !looksServable, isVainRead(target) { return passOnResult }
        guard looksServable || arePagesKnown(target, guess, count, limit: limit),
            target.word.has(DescriptorWord.reads)
        else {
            let outcome = whyNotRead(target, guess, count, mayMap: true)
            return passOn(target, outcome ?? PS_OUTCOME_COLD, guess, count)
        }
        var refusal = PS_OUTCOME_COLD
        guard let claim = Claim(target, count, refusal: &refusal) else { return passOn(target, refusal, -1, count) }
        guard claim.start == guess || isServable(target, claim.start, count, limit: limit),
            let range = target.prove(claim.start, limit: limit)
        else {
            return claimedRead(target, claim, buffer, PS_OUTCOME_OFFSET)
        }
        let copied = buffer.copyOut(of: range.start).then(probing: range.probe)
        if copied.hasFaulted || !claim.call.goesOn { return claimedRead(target, claim, buffer, PS_OUTCOME_FAULT) }
        claim.end(self, target)
        target.thread.served(target.geometry.statistics, target.family, read: count)
        return claim.end &- claim.start
    }

    /// The range that was claimed cannot be served after all: the kernel reads there.
    @inline(never)
    private func claimedRead<Buffer: TransferBuffer>(
        _ target: Target, _ claim: Claim, _ buffer: Buffer, _ outcome: ps_outcome
    ) -> Int64 {
        let start = claim.start
        guard claim.isKept(target) else { return passOn(target, outcome, -1, buffer.count) }
        let result = buffer.kernelRead(target.fd, at: start)
        let moved = Int64(max(result, 0))
        if result == Failure.io { metBadPage(target.inode, target.fd, start) }
        claim.end(self, target, moved: moved)
        // Nothing read: the offset was behind the end, which says nothing of the size.
        if moved > 0 { noteGrowth(target.inode, target.fd, from: start, to: start &+ moved, isWrite: false) }
        if outcome == PS_OUTCOME_FAULT {
            target.thread.countFault(target.geometry.statistics)
            relearn(target)
        }
        target.count(outcome)
        target.thread.passed(target.geometry.statistics, read: moved)
        return Int64(result)
    }

    /// Why a read is not served now; nothing: something has been mended, try once more.
    @inline(never)
    private func whyNotRead(_ target: Target, _ offset: Int64, _ count: Int, mayMap: Bool) -> ps_outcome? {
        let inode = target.inode
        guard ps_given_way() & GiveWay.stops == 0 else { return PS_OUTCOME_GIVE_WAY }
        guard target.word.has(DescriptorWord.reads) else { return PS_OUTCOME_FLAGS }
        guard count > 0, count <= mostInOneCall, offset >= 0, offset < Int64.max &- Int64(count) else {
            return PS_OUTCOME_ARGUMENT
        }
        let end = offset &+ Int64(count)
        let size = inode.pointee.size.load(ordering: .relaxed)
        guard (end &+ 4_095) & ~4_095 < size || inode.has(InodeFlag.unverified) else {
            return PS_OUTCOME_END
        }
        if inode.pointee.base.load(ordering: .relaxed) == 0 {
            warmByRead(target, offset, count)
            guard mayMap, countTowardsMapping(target), isHotEnough(target, offset),
                mapWindow(target.fd, wantsWrite: false)
            else {
                return PS_OUTCOME_COLD
            }
            lookForUnwritten(target, offset)
            sampleMapped(target, offset, writes: false)
            return nil
        }
        if inode.has(InodeFlag.timesDue) {
            // relatime: the kernel moves atime at the first read after a write.
            inode.clear(InodeFlag.timesDue)
            inode.updateLimits()
            sampleTick(target, offset)
            noteTick(target, offset)
            return PS_OUTCOME_TICK
        }
        if inode.has(InodeFlag.unverified) {
            relearn(target)
            return mayMap ? nil : PS_OUTCOME_SPARSE
        }
        if end > inode.pointee.length.load(ordering: .relaxed) &- 4_096 {
            return mayMap && mapWindow(target.fd, wantsWrite: false) ? nil : PS_OUTCOME_END
        }
        if mayMap, catchUp(target, offset, end) { return nil }
        if inode.has(InodeFlag.sparse) {
            return lookCloser(target, offset, count, writes: false) && mayMap ? nil : PS_OUTCOME_SPARSE
        }
        if inode.heat(offset, target.geometry) < target.geometry.threshold {
            warmByRead(target, offset, count)
            return PS_OUTCOME_COLD
        }
        // Limits were changed under us, or the word was: the next call finds them.
        return PS_OUTCOME_COLD
    }

    /// Which file had the calls that were served since is not known (``noteServed(_:_:_:)``): a file that is read in
    /// vain beside one that is not goes on being looked at; and so do files of two mounts that are read by turns, since
    /// each mount has its figures.
    ///
    /// In a region that is not hot it would not have been served anyhow, and may soon be.
    private func noteTick(_ target: Target, _ offset: Int64) {
        guard Settings.isByPrice, !target.word.has(DescriptorWord.durable),
            target.inode.heat(offset, target.geometry) >= target.geometry.threshold
        else { return }
        let state = ps_thread_current()
        let served = UInt32(truncatingIfNeeded: target.thread.servedCalls(target.geometry.statistics))
        let since = served &- state.pointee.served
        state.pointee.served = served
        target.inode.noteTick(served: since, isImplicit: target.family.isImplicit)
    }

    /// Counts a call on a file without a window. True: it has seen enough of them for one to pay; refusals make that
    /// rarer.
    func countTowardsMapping(_ target: Target) -> Bool {
        let calls = target.inode.pointee.calls.wrappingAdd(1, ordering: .relaxed).newValue
        guard !target.inode.has(InodeFlag.refused) else { return calls & 1_023 == 0 }
        return calls > Settings.current.pointee.map_after
    }

    /// Whether a window would serve a call there: until then there is no need of one.
    func isHotEnough(_ target: Target, _ offset: Int64) -> Bool {
        guard Settings.isByPrice else { return true }
        if target.inode.pointee.lastCut != 0, !target.word.has(DescriptorWord.durable),
            target.inode.cutWait == UnsafeMutablePointer<Inode>.mostCuts
        {
            return isTimeToLearnSize(target.inode)
        }
        let geometry = Geometry(bits: target.inode.pointee.geometry.load(ordering: .relaxed))
        let wanted = target.inode.has(InodeFlag.sparse) ? geometry.warmest : geometry.threshold
        return target.inode.heat(offset, geometry) >= wanted
    }
}
