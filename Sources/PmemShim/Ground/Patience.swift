/// For how many calls the next file at a descriptor number is left to the kernel, by what the files before it at that
/// number would have gained: 8 bits, which stay when the number is forgotten.
///
/// Programs get the lowest free number, so what they open again and again for the same purpose has the same number: the
/// journal of each transaction, the file of each request. A number that nothing is known of waits as long as a file of
/// 1 MiB costs (``usual``). Where so many calls would not have paid for the file they were made on, the next one waits
/// twice as long; where they would have, it waits for next to nothing (``eager``), until a file comes that does not.
/// Calls that would have paid need not be served when it comes to it: files may be cut again and again, or be mostly
/// holes. After such a file only one that was looked at and is not like it makes the number eager again
/// (``isDisappointed``).
struct Patience: Equatable {
    var bits: UInt8

    /// log2 of the calls it waits for; 0: nothing is known. 4 to 7 stand for 9 to 12 after a disappointment.
    private var code: UInt8 { bits & 15 }
    private var shift: UInt8 { isDisappointed ? code &+ Patience.disappointment : code }
    /// The last file that was looked at has not paid for itself, as most of its calls were looked at in vain.
    private var isDisappointed: Bool { code &- 4 < 4 }
    /// Files that have come and gone since it was last doubted whether what is done is right.
    private var turn: UInt8 { bits >> 4 }

    static let eager: UInt8 = 3
    static let usual: UInt8 = 8
    /// As much as is needed to see that a file would have paid for itself (``Price/isPaid(calls:pages:)``, 1 MiB).
    static let doubting: UInt8 = 9
    static let longest: UInt8 = 12
    private static let disappointment: UInt8 = 5

    init(bits: UInt8) { self.bits = bits }
    private init(shift: UInt8, isDisappointed: Bool = false, turn: UInt8 = 0) {
        bits = (isDisappointed ? shift &- Patience.disappointment : shift) | turn << 4
    }

    /// After one more file whose calls were looked at in vain.
    private var disappointed: Patience {
        Patience(
            shift: isDisappointed ? min(shift &+ 1, Patience.longest) : Patience.doubting, isDisappointed: true)
    }

    var isEager: Bool { shift == Patience.eager }

    /// Calls that are left to the kernel before the number is looked at.
    /// - Parameter usual: where nothing is known.
    @inline(__always)  // of each call on a number that is not known
    func calls(usual: UInt32) -> UInt32 { shift == 0 ? usual : UInt32(1) << UInt32(shift) }

    /// After the look that `calls` calls have led to, at a file of so many pages.
    func afterLook(calls: UInt32, pages: UInt64) -> Patience {
        if isEager || isDisappointed { return self }
        if Price.isPaid(calls: UInt64(calls), pages: pages) { return Patience(shift: Patience.eager) }
        return Patience(shift: min(max(shift, Patience.usual) &+ 1, Patience.longest))
    }

    /// After a file that was served is closed.
    /// - Parameters:
    ///   - calls: how many were served at most; nothing: nobody knows.
    ///   - isExact: no fewer.
    ///   - wasVain: most of its calls were looked at in vain, at the end.
    func afterServing(calls: UInt64?, isExact: Bool, pages: UInt64, wasVain: Bool = false) -> Patience {
        if wasVain, let calls, Price.isLost(calls: calls, pages: pages) { return disappointed }
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
        return turn == 15
            ? Patience(shift: shift &- 1, isDisappointed: isDisappointed)
            : Patience(shift: shift, isDisappointed: isDisappointed, turn: turn &+ 1)
    }

    /// Whether serving still pays is not known, where threads share the calls: one file in sixteen is left to the
    /// kernel, which shows how many calls it gets.
    private func doubted() -> Patience {
        turn == 15 ? Patience(shift: Patience.doubting) : Patience(shift: shift, turn: turn &+ 1)
    }
}
