import Synchronization

// Files of which most calls are looked at in vain: mostly holes, or cut again and again, or followed while others make
// them longer, or read in order. What is asked of each such call, and told after it, costs about 100 ns, a third of
// the kernel's read. So the file counts what was in vain, and once that is most of it, all but one of 64 calls pass on
// unlooked at. The one sees whether that has changed.
//
// The count is in the upper 8 bits of `sparseCalls`; a lower one that runs over, after 16 million calls, is one call in
// vain more. Threads may lose counts to each other.
extension UnsafeMutablePointer where Pointee == Inode {
    /// A call that was looked at has been passed on.
    func noteVain() {
        let seen = pointee.sparseCalls.load(ordering: .relaxed)
        guard seen < Vain.most else { return }
        pointee.sparseCalls.store(seen &+ Vain.one, ordering: .relaxed)
    }

    /// A call has been served that a look was needed for. It saves about as much as two in vain have cost.
    func noteWorth() {
        let seen = pointee.sparseCalls.load(ordering: .relaxed)
        guard seen >= Vain.one else { return }
        pointee.sparseCalls.store(seen &- min(seen >> 24, 2) << 24, ordering: .relaxed)
    }

    /// A look has found something to serve: there is more, as a rule.
    func noteFound() {
        let seen = pointee.sparseCalls.load(ordering: .relaxed)
        pointee.sparseCalls.store(seen &- (seen >> 24 &- seen >> 26) << 24, ordering: .relaxed)
    }

    /// A read has passed on for the sake of the file's times, after `served` calls in a row that were not. Each write
    /// that the kernel does brings such a read, and both cost more than they do natively.
    func noteTick(served: UInt32, isImplicit: Bool) {
        // A read at the implicit offset saves a third of what another does: it asks for the offset.
        if served < (isImplicit ? 4 : 2) {
            noteVain()
        } else if served < 32 {
            noteWorth()
        } else {
            noteFound()
        }
    }

    /// What made looking vain is no more.
    func forgetVain() {
        pointee.sparseCalls.store(pointee.sparseCalls.load(ordering: .relaxed) & (Vain.one &- 1), ordering: .relaxed)
    }

    /// Whether calls that were not served for the file's holes have lost as much as it costs to remember what is found:
    /// descriptors of pages take 20 to 50 us.
    var hasLostPageArray: Bool {
        pointee.sparseCalls.load(ordering: .relaxed) & (Vain.one &- 1) > Price.callsOfPageArray
    }

    var isMostlyVain: Bool { pointee.sparseCalls.load(ordering: .relaxed) >= Vain.many }

    /// Counts a call on a file of which most are in vain. True: it is one of the 63 that pass on.
    func isVain() -> Bool {
        let calls = pointee.sparseCalls.load(ordering: .relaxed) &+ 1
        pointee.sparseCalls.store(calls, ordering: .relaxed)
        return calls & 63 != 0
    }

    /// log2 of how much rarer than usual it is looked again, for what was in vain: from 0 to 4.
    var vainWait: UInt32 { pointee.sparseCalls.load(ordering: .relaxed) >> 29 }
}

private enum Vain {
    static let one: UInt32 = 1 << 24
    /// A quarter of them served does not repay the others.
    static let many: UInt32 = 64 << 24
    static let most: UInt32 = 128 << 24
}
