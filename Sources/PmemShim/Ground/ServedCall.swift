import CShimSys
import Synchronization

/// A served call that goes on: the announcement "I may be using the address of a window", in a place of its thread's
/// record (a hazard slot): the address of its stack frame, 0 when it has ended. Whoever wants to give addresses of a
/// retired window back to the kernel first looks at all of them (``Engine/reuseRetired(_:)``).
///
/// It may never end: a handler that interrupts it may jump away, throw, or be cancelled. Then its frame is given up,
/// and sooner or later overwritten, which is how it is known to be dead (``ps_frame_may_live(_:)``). Nothing is
/// concluded from the order of frames: handlers have stacks of their own, and may switch between contexts, each in the
/// middle of a call.
struct ServedCall {
    let place: UnsafeMutablePointer<Atomic<UInt>>

    /// Set beside the frame, where its low bits are 0: the call moves an offset, and what it has claimed by that is
    /// lost if it does not find its file (``Engine/claimsHaveEnded()``).
    static let claims: UInt = 1

    @inline(__always)
    init?(_ record: UnsafeMutablePointer<ThreadRecord>, frame: UInt) {
        let first = ServedCall.place(record, 0)
        if first.pointee.load(ordering: .relaxed) == 0 {
            place = first
        } else {
            guard let other = ServedCall.otherPlace(record, frame) else { return nil }
            place = other
        }
        place.pointee.store(frame, ordering: .relaxed)
        ps_compiler_barrier()
    }

    /// A call that was announced before, by the place it was announced at.
    init(resumed place: UnsafeMutablePointer<Atomic<UInt>>) { self.place = place }

    /// The first place only: nothing where that is taken.
    @inline(__always)  // one load and one store on the hot path
    init?(alone record: UnsafeMutablePointer<ThreadRecord>, frame: UInt) {
        place = ServedCall.place(record, 0)
        guard ps_is_still(UnsafeRawPointer(place), 0) else { return nil }
        place.pointee.store(frame, ordering: .relaxed)
        ps_compiler_barrier()
    }

    /// False: this is a child now. A signal handler has forked and returned into the call: the windows are gone here,
    /// and what lay at their addresses may be something else. The arena has been wiped, and with it the announcement.
    @inline(__always)
    @discardableResult
    func leave() -> Bool {
        ps_compiler_barrier()
        guard !ps_is_still(UnsafeRawPointer(place), 0) else { return false }
        place.pointee.store(0, ordering: .relaxed)
        return true
    }

    /// False: this is a child now, see ``leave()``.
    @inline(__always)
    var goesOn: Bool { place.pointee.load(ordering: .relaxed) != 0 }

    @inline(__always)
    static func place(
        _ record: UnsafeMutablePointer<ThreadRecord>, _ index: Int
    ) -> UnsafeMutablePointer<Atomic<UInt>> {
        (UnsafeMutableRawPointer(record) + ThreadLayout.firstCall).assumingMemoryBound(to: Atomic<UInt>.self) + index
    }

    /// The calling thread is in a call already, or was. A frame that is ours now is nobody else's.
    @inline(never)
    private static func otherPlace(
        _ record: UnsafeMutablePointer<ThreadRecord>, _ frame: UInt
    ) -> UnsafeMutablePointer<Atomic<UInt>>? {
        for index in 0..<ThreadLayout.calls {
            let place = place(record, index)
            let seen = place.pointee.load(ordering: .relaxed)
            if seen == 0 || seen | claims == frame | claims || !ps_frame_may_live(seen & ~claims) { return place }
        }
        return nil
    }
}
