import CShimSys
import Synchronization

extension Engine {
    /// pread and preadv: serves [offset, offset + count), or says that the call passes on.
    @inline(__always)  // specialised per buffer; the plain form is the hot path
    func positionedRead<Buffer: TransferBuffer>(_ target: Target, _ buffer: Buffer, _ offset: Int64) -> Int64 {
        var tries = 0
        while true {
            let limit = target.inode.pointee.readLimit.load(ordering: .relaxed)
            if target.looksServable(offset, buffer.count, limit: limit)
                || arePagesKnown(target, offset, buffer.count, limit: limit),
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
        // The probe comes last: if the file was cut short during the copy, its page is gone by now.
        let faulted = buffer.copyOut(of: range.start) || ps_probe(range.probe) != 0
        let stayed = call.leave()
        if faulted || !stayed { return faultedRead(target, buffer, offset) }
        target.thread.served(target.geometry.statistics, target.family, read: buffer.count)
        return Int64(buffer.count)
    }

    @inline(never)
    private func faultedRead<Buffer: TransferBuffer>(_ target: Target, _ buffer: Buffer, _ offset: Int64) -> Int64 {
        target.thread.countFault(target.geometry.statistics)
        relearn(target)
        guard Buffer.isReadOnce else { return passOn(target, PS_OUTCOME_FAULT, offset, buffer.count) }
        let result = buffer.kernelRead(target.fd, at: offset)
        if result == -Int(PS_EIO.rawValue) { metBadPage(target.inode, target.fd, offset) }
        target.count(PS_OUTCOME_FAULT)
        if result > 0 {
            grown(target.inode, target.fd, from: offset, to: offset &+ Int64(result), isWrite: false)
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
        guard target.looksServable(guess, count, limit: limit) || arePagesKnown(target, guess, count, limit: limit),
            target.word.has(DescriptorWord.reads)
        else {
            let outcome = whyNotRead(target, guess, count, mayMap: true)
            return passOn(target, outcome ?? PS_OUTCOME_COLD, guess, count)
        }
        guard let call = target.thread.enterToClaim() else { return passOn(target, PS_OUTCOME_COLD, guess, count) }
        guard target.mayClaim() else {
            call.leave()
            return passOn(target, PS_OUTCOME_COLD, -1, count)
        }
        let end = Int64(ps_sys_seek_by(target.fd, Int64(count)))
        guard end >= Int64(count) else {
            call.leave()
            return passOn(target, PS_OUTCOME_OFFSET, -1, count)
        }
        let start = end &- Int64(count)
        guard start == guess || isServable(target, start, count, limit: limit),
            let range = target.prove(start, limit: limit)
        else {
            return claimedRead(target, call, buffer, start, PS_OUTCOME_OFFSET)
        }
        let faulted = buffer.copyOut(of: range.start) || ps_probe(range.probe) != 0
        if faulted || !call.goesOn { return claimedRead(target, call, buffer, start, PS_OUTCOME_FAULT) }
        call.leave()
        target.hasEnded(self)
        target.descriptor.pointee.guess.store(end, ordering: .relaxed)
        target.thread.served(target.geometry.statistics, target.family, read: count)
        return end &- start
    }

    /// The offset has been moved for a range that cannot be served after all: the kernel reads there, and what it did
    /// not read is given back.
    @inline(never)
    private func claimedRead<Buffer: TransferBuffer>(
        _ target: Target, _ call: ServedCall, _ buffer: Buffer, _ start: Int64, _ outcome: ps_outcome
    ) -> Int64 {
        // Where a handler has forked and this is the child, the parent reads or writes the very same.
        guard !call.goesOn || target.isStillMeant() else {
            call.leave()
            return passOn(target, outcome, -1, buffer.count)
        }
        let result = buffer.kernelRead(target.fd, at: start)
        let moved = Int64(max(result, 0))
        if result == -Int(PS_EIO.rawValue) { metBadPage(target.inode, target.fd, start) }
        if moved < Int64(buffer.count), target.isStillMeant() {
            _ = ps_sys_seek_by(target.fd, moved &- Int64(buffer.count))
        }
        call.leave()
        target.hasEnded(self)
        target.descriptor.pointee.guess.store(start &+ moved, ordering: .relaxed)
        // Nothing read: the offset was behind the end, which says nothing of the size.
        if moved > 0 { grown(target.inode, target.fd, from: start, to: start &+ moved, isWrite: false) }
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
        guard target.geometry.probeOffset(end) < size || inode.has(InodeFlag.unverified) else {
            return PS_OUTCOME_END
        }
        if inode.pointee.base.load(ordering: .relaxed) == 0 {
            warm(target, offset, writes: false)
            guard mayMap, isWorthMapping(target), mapWindow(target.fd, wantsWrite: false) else {
                return PS_OUTCOME_COLD
            }
            sampleMapped(target, offset, writes: false)
            return nil
        }
        if inode.has(InodeFlag.timesDue) {
            // relatime: the kernel moves atime at the first read after a write.
            inode.clear(InodeFlag.timesDue)
            inode.updateLimits()
            sample(target, offset, writes: false)
            return PS_OUTCOME_TICK
        }
        if inode.has(InodeFlag.unverified) {
            relearn(target)
            return mayMap ? nil : PS_OUTCOME_SPARSE
        }
        let step = Int64(1) << target.geometry.stepShift
        if end > inode.pointee.length.load(ordering: .relaxed) &- step {
            return mayMap && mapWindow(target.fd, wantsWrite: false) ? nil : PS_OUTCOME_END
        }
        if inode.has(InodeFlag.sparse) {
            return lookCloser(target, offset, count, writes: false) && mayMap ? nil : PS_OUTCOME_SPARSE
        }
        if inode.heat(offset, target.geometry) < target.geometry.threshold {
            warm(target, offset, writes: false)
            return PS_OUTCOME_COLD
        }
        // Limits were changed under us, or the word was: the next call finds them.
        return PS_OUTCOME_COLD
    }

    /// Whether the file has seen enough calls for a window to pay; refusals make it rarer.
    func isWorthMapping(_ target: Target) -> Bool {
        let calls = target.inode.pointee.calls.wrappingAdd(1, ordering: .relaxed).newValue
        guard !target.inode.has(InodeFlag.refused) else { return calls & 1_023 == 0 }
        return calls > Settings.current.pointee.map_after
    }
}
