import CShimSys
import Synchronization

/// The part of a file one writer works in, 64 KiB each, modulo 4 MiB: striped range locks.
///
/// Natively the writers of one inode exclude one another (the inode lock); here those of one process whose stripes
/// meet do. Each stripe has a word in the arena that names the call which holds it (``StripeOwner``), so that one which
/// will never let go, because a handler jumped out of it or its thread is gone, is known from one that is only slow.
/// Inodes share the words (64 of 4,096 each), which costs a wait now and then. Taken in ascending order.
///
/// A writer that cannot get in for long lets the kernel do the call: the holder may be waiting for it, in a signal
/// handler. It waits as long as the kernel's own lock would have kept it for all but the longest writes.
struct Stripes {
    private let mask: UInt64

    static let perInode = 64
    /// Looks at a stripe that is held by another thread: about 10 ms.
    private static let patience = 20_000
    /// And then so many milliseconds, asleep: its holder has lost the processor on a busy machine, and a yield does not
    /// give it back.
    private static let rests = 100

    @inline(__always)
    init(_ offset: Int64, _ count: Int) {
        let first = offset >> 16
        let last = (offset &+ Int64(count) &- 1) >> 16
        let width = last &- first
        if width >= 63 {
            mask = UInt64.max
        } else {
            let bits = (UInt64(1) << UInt64(bitPattern: width &+ 1)) &- 1
            let turn = UInt64(bitPattern: first & 63)
            mask = bits << turn | (turn == 0 ? 0 : bits >> (64 &- turn))
        }
    }

    /// Those of all the file.
    static var all: Stripes { Stripes(0, Int.max) }

    /// Takes all of them for `call`, or none.
    @inline(__always)
    func claim(_ engine: Engine, _ inode: UnsafeMutablePointer<Inode>, _ call: ServedCall) -> Bool {
        let words = engine.stripes(inode)
        let mine = StripeOwner(engine, call)
        var rest = mask
        while rest != 0 {
            let word = words + rest.trailingZeroBitCount
            let (taken, _) = word.pointee.compareExchange(expected: 0, desired: mine.bits, ordering: .acquiring)
            guard taken || claimBusy(engine, word, mine) else {
                release(words, mask & ~rest)
                return false
            }
            rest &= rest &- 1
        }
        return true
    }

    @inline(never)
    private func claimBusy(
        _ engine: Engine, _ word: UnsafeMutablePointer<Atomic<UInt64>>, _ mine: StripeOwner
    ) -> Bool {
        var rounds = 0
        while rounds < Stripes.patience &+ Stripes.rests {
            let seen = StripeOwner(bits: word.pointee.load(ordering: .acquiring))
            let mayTake: Bool
            if seen.bits == 0 || !seen.isAnnounced(engine) || seen.place == mine.place {
                // In our own place: whoever was there before us is no more.
                mayTake = true
            } else if seen.isOfThread(of: mine) {
                // Interrupted by the handler that asks now: it cannot let go before we return.
                guard !seen.mayLive(engine) else { return false }
                mayTake = true
            } else {
                mayTake = (rounds & 0x7ff == 0x7ff || rounds >= Stripes.patience) && !seen.mayLive(engine)
            }
            if mayTake {
                let (taken, _) = word.pointee.compareExchange(
                    expected: seen.bits, desired: mine.bits, ordering: .acquiring)
                if taken { return true }
            } else if rounds < 200 {
                ps_pause()
            } else if rounds < Stripes.patience {
                ps_sys_yield()
            } else {
                ps_sys_rest(1_000)
            }
            rounds &+= 1
        }
        return false
    }

    @inline(__always)
    func release(_ engine: Engine, _ inode: UnsafeMutablePointer<Inode>) {
        release(engine.stripes(inode), mask)
    }

    @inline(__always)
    private func release(_ words: UnsafeMutablePointer<Atomic<UInt64>>, _ taken: UInt64) {
        var rest = taken
        while rest != 0 {
            words[rest.trailingZeroBitCount].store(0, ordering: .releasing)
            rest &= rest &- 1
        }
    }
}

/// Who holds a stripe: the place of the call among all of the arena (15 bits), its frame, without the four bits that
/// are zero in every frame (43 bits), and a count (5 bits), which tells one call from the next in the same frame.
struct StripeOwner: Equatable {
    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }

    @inline(__always)
    init(_ engine: Engine, _ call: ServedCall) {
        let distance = UInt(bitPattern: call.place) &- UInt(bitPattern: engine.thread(0))
        let record = engine.thread(Int(distance / 64))
        let count = record.pointee.own.claims.load(ordering: .relaxed) &+ 1
        record.pointee.own.claims.store(count, ordering: .relaxed)
        let frame = UInt64(call.place.pointee.load(ordering: .relaxed)) >> 4
        bits = frame << 20 | UInt64(distance / 8 & 0x7fff) << 5 | UInt64(count & 31)
    }

    var place: Int { Int(bits >> 5 & 0x7fff) }
    private var frame: UInt64 { bits >> 20 }
    private func record(_ engine: Engine) -> UnsafeMutablePointer<ThreadRecord> { engine.thread(place / 8) }

    private func announced(_ engine: Engine) -> UInt {
        let places = UnsafeMutableRawPointer(engine.thread(0)).assumingMemoryBound(to: Atomic<UInt>.self)
        return places[place].load(ordering: .acquiring)
    }

    /// Whether its place still has its frame: a call lets go of its stripes before it leaves.
    func isAnnounced(_ engine: Engine) -> Bool { UInt64(announced(engine)) >> 4 == frame }

    /// Whether its place still has its frame, and the call in that frame may still be going on.
    func mayLive(_ engine: Engine) -> Bool {
        let seen = announced(engine)
        return UInt64(seen) >> 4 == frame && engine.mayGoOn(record(engine), seen)
    }

    func isOfThread(of other: StripeOwner) -> Bool { place / 8 == other.place / 8 }
}

extension Engine {
    /// The words of an inode's stripes.
    @inline(__always)
    func stripes(_ inode: UnsafeMutablePointer<Inode>) -> UnsafeMutablePointer<Atomic<UInt64>> {
        let index = (UInt(bitPattern: inode) &- UInt(bitPattern: self.inode(0))) >> 8
        let words = (address + Arena.stripesOffset).assumingMemoryBound(to: Atomic<UInt64>.self)
        return words + (Int(index) &* Stripes.perInode & (Arena.stripes &- 1))
    }
}
