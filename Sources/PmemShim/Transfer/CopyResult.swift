import CShimSys

/// What became of a copy between the application's memory and a window.
struct CopyResult {
    /// As the functions of ps_copy.h return it: 0 where all bytes are there.
    private let code: Int32

    static let done = CopyResult(0)
    static let faulted = CopyResult(1)

    @inline(__always)  // one comparison
    init(_ code: Int32) { self.code = code }

    /// A load or a store met a page that is not there: bad memory of the caller's, or a file that was cut.
    @inline(__always)
    var hasFaulted: Bool { code != 0 }

    /// The next step, if this one has not faulted.
    @inline(__always)
    func then(_ next: @autoclosure () -> CopyResult) -> CopyResult { hasFaulted ? self : next() }

    /// The end probe, which comes last: if the file was cut short during the copy, its page is gone by now.
    @inline(__always)
    func then(probing probe: UInt) -> CopyResult { then(CopyResult(ps_probe(probe))) }
}
