import CShimSys

/// What the steps around a served call cost, and what a served call saves: nanoseconds of CPU time.
///
/// Measured by `scripts/bench price-steps` (docs/benchmarks.md). Only what they are to each other matters, which is
/// much the same on other machines: a fault and a system call become dear together.
package enum Price {
    /// A pread of 4 KiB that is served, against one through the kernel.
    static let savedByCall: UInt64 = 215
    /// Learning what a number means, and forgetting it when it is closed.
    static let look: UInt64 = 3_500
    /// Resizing a file at a number nothing is known of: the statx that tells which it is.
    static let resize: UInt64 = 300
    /// A window that comes and goes, without what is done in it.
    static let window: UInt64 = 9_000
    /// A page of 4 KiB that comes into a window, with the fifteen about it, and goes with the window.
    static let page: UInt64 = 215
    /// What the first look and the first window of a process cost besides: code and tables that are touched for the
    /// first time, /proc/self/mountinfo, handlers of signals, the record of figures.
    package static let first: UInt64 = 350_000

    /// What a call of so many bytes saves, in calls of 4 KiB: each page beyond the first saves half as much as it
    /// (`scripts/bench micro --set PMEMSHIM_MAP_AFTER=0`: pread of 4 and 64 KiB 725 and 5,300 ns, pwrite of 4, 8 and
    /// 64 KiB 1,290, 1,950 and 10,600 ns). At most 255.
    static func callsOf(bytes: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: min(max((bytes &+ 8_191) >> 13, 1), 255))
    }

    /// Calls passed on that have lost what a group of page descriptors costs (20 to 50 us).
    static let callsOfPageArray: UInt32 = 256

    /// Pages that one fault for reading brings into a window.
    static let pagesOfFault: UInt64 = 16

    /// Calls of a process after which its first look is worth it (PMEMSHIM_FIRST_AFTER). The price is that of 1,600
    /// to 2,600 served calls; after 2,048, the default, as much has been lost, so that at worst it costs twice what the
    /// best would have.
    static var firstCalls: UInt32 { Settings.current.pointee.first_after }

    /// How many pages (4 KiB) a file of `size` bytes costs the price of. On DAX one fault brings a group of 2 MiB, for
    /// the price of one that brings sixteen pages elsewhere, where the file lies `inGroups`.
    static func pages(size: Int64, inGroups: Bool) -> UInt64 {
        let size = UInt64(max(size, 0))
        return inGroups ? (size >> 21 &+ 1) &* pagesOfFault : size >> 12 &+ 1
    }

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
