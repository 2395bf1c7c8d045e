import CShimSys

/// What the steps around a served call cost, and what a served call saves: nanoseconds of CPU time.
///
/// Measured by `scripts/bench price-steps` (docs/benchmarks.md). Only what they are to each other matters, which is
/// much the same on other machines: a fault and a system call become dear together.
enum Price {
    /// A pread of 4 KiB that is served, against one through the kernel.
    static let savedByCall: UInt64 = 215
    /// Learning what a number means, and forgetting it when it is closed.
    static let look: UInt64 = 3_500
    /// A window that comes and goes, without what is done in it.
    static let window: UInt64 = 9_000
    /// A page of 4 KiB that comes into a window, with the fifteen about it, and goes with the window.
    static let page: UInt64 = 215
    /// What the first look and the first window of a process cost besides: code and tables that are touched for the
    /// first time, /proc/self/mountinfo, handlers of signals, the record of figures.
    static let first: UInt64 = 350_000

    /// Pages that one fault for reading brings into a window.
    static let pagesOfFault: UInt64 = 16

    /// Calls after which the first look of a process is worth it: half as many as its price is of, since whoever makes
    /// a thousand calls nearly always makes more of them.
    static let firstCalls: UInt32 = 1_024

    /// Everything that a file of so many pages (4 KiB) has cost by the time it is closed, if so many `calls` are
    /// served.
    static func ofFile(pages: UInt64, calls: UInt64) -> UInt64 {
        look &+ window &+ page &* min(pages, min(calls, UInt64(UInt32.max)) &* pagesOfFault)
    }

    /// Whether `calls` served calls save clearly more than their file costs. A quarter more: about as much is no
    /// reason to change what is done.
    static func isPaid(calls: UInt64, pages: UInt64) -> Bool {
        calls &* savedByCall &* 4 > ofFile(pages: pages, calls: calls) &* 5
    }

    /// Whether so many save less than their file costs.
    static func isLost(calls: UInt64, pages: UInt64) -> Bool {
        calls &* savedByCall < ofFile(pages: pages, calls: calls)
    }
}

/// For how many calls the next file at a descriptor number is left to the kernel, by what the files before it at that
/// number would have gained: 8 bits, which stay when the number is forgotten.
///
/// Programs get the lowest free number, so what they open again and again for the same purpose has the same number: the
/// journal of each transaction, the file of each request. A number that nothing is known of waits as long as a file of
/// 1 MiB costs (``usual``). Where so many calls would not have paid for the file they were made on, the next one waits
/// twice as long; where they would have, it waits for next to nothing (``eager``), until a file comes that does not.
struct Patience: Equatable {
    var bits: UInt8

    /// log2 of the calls it waits for; 0: nothing is known.
    private var shift: UInt8 { bits & 15 }
    /// Files that have come and gone since it was last doubted whether what is done is right.
    private var turn: UInt8 { bits >> 4 }

    static let eager: UInt8 = 3
    static let usual: UInt8 = 8
    /// As much as is needed to see that a file would have paid for itself (``Price/isPaid(calls:pages:)``, 1 MiB).
    static let doubting: UInt8 = 9
    static let longest: UInt8 = 12

    init(bits: UInt8) { self.bits = bits }
    private init(shift: UInt8, turn: UInt8 = 0) { bits = shift | turn << 4 }

    var isEager: Bool { shift == Patience.eager }

    /// Calls that are left to the kernel before the number is looked at.
    /// - Parameter usual: where nothing is known.
    @inline(__always)  // of each call on a number that is not known
    func calls(usual: UInt32) -> UInt32 { shift == 0 ? usual : UInt32(1) << UInt32(shift) }

    /// After the look that `calls` calls have led to, at a file of so many pages.
    func afterLook(calls: UInt32, pages: UInt64) -> Patience {
        if isEager { return self }
        if Price.isPaid(calls: UInt64(calls), pages: pages) { return Patience(shift: Patience.eager) }
        return Patience(shift: min(max(shift, Patience.usual) &+ 1, Patience.longest))
    }

    /// After a file that was served is closed.
    /// - Parameters:
    ///   - calls: how many were served at most; nothing: nobody knows.
    ///   - isExact: no fewer.
    func afterServing(calls: UInt64?, isExact: Bool, pages: UInt64) -> Patience {
        if isEager {
            let all = calls.map { $0 &+ UInt64(1) << UInt64(Patience.eager) }
            if let all, Price.isLost(calls: all, pages: pages) { return Patience(shift: Patience.doubting) }
            return isExact ? self : doubted()
        }
        guard let calls, isExact else { return self }
        // It had waited half as long as the next one will.
        let all = calls &+ UInt64(1) << UInt64(max(shift, 1) &- 1)
        return Price.isPaid(calls: all, pages: pages) ? Patience(shift: Patience.eager) : self
    }

    /// After a file that was closed before it was looked at. What has become very patient becomes less so again.
    func afterWaiting() -> Patience {
        guard shift > Patience.doubting else { return self }
        return turn == 15 ? Patience(shift: shift &- 1) : Patience(shift: shift, turn: turn &+ 1)
    }

    /// Whether serving still pays is not known, where threads share the calls: one file in sixteen is left to the
    /// kernel, which shows how many calls it gets.
    private func doubted() -> Patience {
        turn == 15 ? Patience(shift: Patience.doubting) : Patience(shift: shift, turn: turn &+ 1)
    }
}
