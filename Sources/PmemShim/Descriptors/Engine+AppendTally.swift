import CShimSys
import Synchronization

/// Appends through one descriptor that are not in the figures yet: the calls in the upper 8 bits, their bytes below.
///
/// A write that extends a file is the kernel's, and costs the shim whatever it touches: after a system call and a copy
/// of the kernel's, every cache line has to be fetched anew. So the lines of an append are two, the descriptor's and
/// the first of the inode; the thread's record and its counters hear of every 64th only, or when the number is
/// forgotten, or at the end of the process. A process killed in between leaves up to 63 appends per descriptor
/// uncounted.
enum AppendTally {
    static let callShift: UInt64 = 56
    static let most: UInt64 = 64

    @inline(__always)
    static func calls(_ tally: UInt64) -> UInt64 { tally >> callShift }
    static func bytes(_ tally: UInt64) -> UInt64 { tally & ((1 << callShift) &- 1) }
}

extension Engine {
    /// Moves what is tallied with a descriptor into the calling thread's figures.
    @inline(never)
    func settle(_ descriptor: UnsafeMutablePointer<Descriptor>) {
        let tally = descriptor.pointee.tally.exchange(0, ordering: .relaxed)
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard tally != 0, word.has(DescriptorWord.ours), let thread = countingThread() else { return }
        let statistics = Geometry(bits: inode(word.inode).pointee.geometry.load(ordering: .relaxed)).statistics
        let outcome = word.has(DescriptorWord.appends) ? PS_OUTCOME_APPEND : PS_OUTCOME_END
        // The engine lock may be held, under which nothing may fault.
        let row = Int(PS_FAMILY_WRITE.rawValue) &* CounterLayout.outcomes &+ Int(outcome.rawValue & 15)
        let first = statistics &* CounterLayout.stride
        thread.addOwn(at: first &+ row &* 8, AppendTally.calls(tally))
        thread.addOwn(at: first &+ CounterLayout.passedWritten, AppendTally.bytes(tally))
        observe.pointee.figuresDue.store(1, ordering: .relaxed)
    }

    /// Moves the appends of every descriptor that are not yet counted into the figures.
    func settleAll() {
        let bound = min(files.pointee.descriptorBound.load(ordering: .relaxed), Int32(Arena.descriptors))
        var fd: Int32 = 0
        while fd < bound {
            if let descriptor = descriptor(fd), descriptor.pointee.tally.load(ordering: .relaxed) != 0 {
                settle(descriptor)
            }
            fd &+= 1
        }
    }
}
