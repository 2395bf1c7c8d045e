import CShimSys
import Synchronization

/// A range of a call at the file offset: the offset has been moved behind it by one lseek, which is atomic among all
/// who share the description. So the range is this call's, and whoever moves the bytes, the engine or the kernel at the
/// same place, moves them there.
///
/// As long as the call is announced, a close or dup2 of the number waits for it (``Engine/claimsHaveEnded()``).
///
/// The target is not part of it, but a parameter of all that is done with it: three words stay in registers, ten would
/// be copied to the caller's stack at each step.
struct Claim {
    let call: ServedCall
    /// Where the range begins and ends, bytes.
    let start: Int64
    let end: Int64

    /// Nothing: the call passes on, and `refusal` says why. The offset is where it was.
    @inline(__always)  // the frame is the caller's
    init?(_ target: Target, _ count: Int, refusal: inout ps_outcome) {
        refusal = PS_OUTCOME_COLD
        guard let call = target.thread.enterToClaim() else { return nil }
        guard target.mayClaim() else {
            call.leave()
            return nil
        }
        let end = Int64(ps_sys_seek_by(target.fd, Int64(count)))
        guard end >= Int64(count) else {
            call.leave()
            refusal = PS_OUTCOME_OFFSET
            return nil
        }
        self.call = call
        self.start = end &- Int64(count)
        self.end = end
    }

    /// Whether the kernel may be asked to move the bytes of the range. Not where a signal handler has given the number
    /// to another file: then the claim is lost, and this call has left. (Where a handler has forked and this is the
    /// child, the parent reads or writes the very same.)
    func isKept(_ target: Target) -> Bool {
        if !call.goesOn || target.isStillMeant() { return true }
        call.leave()
        return false
    }

    /// The kernel has moved so many bytes of the range: the rest is given back, and the claim ends.
    func end(_ engine: Engine, _ target: Target, moved: Int64) {
        if start &+ moved < end, target.isStillMeant() { _ = ps_sys_seek_by(target.fd, start &+ moved &- end) }
        close(engine, target, next: start &+ moved)
    }

    /// The engine has moved all bytes of the range.
    @inline(__always)
    func end(_ engine: Engine, _ target: Target) { close(engine, target, next: end) }

    /// `next`: where the next call at the offset is expected to begin.
    @inline(__always)
    private func close(_ engine: Engine, _ target: Target, next: Int64) {
        call.leave()
        if target.descriptor.pointee.word.load(ordering: .relaxed) != target.word.bits { engine.dropLingering() }
        target.descriptor.pointee.guess.store(next, ordering: .relaxed)
    }
}
