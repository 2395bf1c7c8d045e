import CShimSys

/// A word of the page array: flags, and the generation they were set under.
///
/// Under any other generation no flag is set, so that raising the generation puts every word of a device into its
/// initial state. One compare-and-exchange takes a word from the old generation to the new: nobody ever clears what
/// another may be using already, and a process that is killed half way leaves nothing behind that others must wait for.
package struct PageWord: Equatable, Sendable {
    package var bits: UInt64

    @inline(__always)
    package init(bits: UInt64) { self.bits = bits }

    @inline(__always)
    package init(flags: UInt32, tag: UInt32) { bits = UInt64(tag) << 32 | UInt64(flags) }

    @inline(__always)
    package var tag: UInt32 { UInt32(truncatingIfNeeded: bits >> 32) }

    /// The low half: flags, or a sampled count; 0 under another generation.
    @inline(__always)
    package func value(under tag: UInt32) -> UInt32 {
        self.tag == tag ? UInt32(truncatingIfNeeded: bits) : 0
    }
}

/// Flags of a page (`enum ps_page_flag`).
package struct PageFlags: OptionSet, Equatable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let ready = PageFlags(rawValue: PS_PAGE_READY.rawValue)
    package static let allocated = PageFlags(rawValue: PS_PAGE_ALLOCATED.rawValue)
    package static let bad = PageFlags(rawValue: PS_PAGE_BAD.rawValue)
    package static let owned = PageFlags(rawValue: PS_PAGE_OWNED.rawValue)

    /// Flags as they are read from memory that anybody may have scribbled over: all there are, or none where bits are
    /// set that have no meaning, since then nobody of ours has written the word.
    @inline(__always)
    static func believed(_ value: UInt32) -> UInt32 { value & ~15 == 0 ? value : 0 }
}
