/// A node of a tree of extents (struct ext4_extent_header and what follows it), in words of 32 bits.
struct Ext4ExtentNode {
    /// By its number.
    let word: (Int) -> UInt32
    /// Entries that there is room for.
    let most: UInt32

    /// 0: its entries are extents.
    var depth: UInt32 { word(1) >> 16 }

    /// By its magic number.
    var isNode: Bool { word(0) & 0xffff == 0xf30a }

    /// - Returns: nothing where it is no node.
    private var entries: Range<Int>? {
        let count = word(0) >> 16
        return isNode && (1...most).contains(count) ? 0..<Int(count) : nil
    }

    /// Blocks on the device, which follow one another in the file from block `start` on.
    /// - Returns: nothing where they do not, or some have never been written.
    func extents(from start: UInt64) -> [Range<UInt64>]? {
        guard let entries else { return nil }
        var (result, next) = ([Range<UInt64>](), start)
        for entry in entries {
            let at = 3 + entry * 3
            let (count, high) = (UInt64(word(at + 1) & 0xffff), UInt64(word(at + 1) >> 16))
            // Larger counts are of blocks that have not been written.
            guard UInt64(word(at)) == next, (1...32_768).contains(count) else { return nil }
            let first = high << 32 | UInt64(word(at + 2))
            result.append(first..<first + count)
            next += count
        }
        return result
    }

    /// Blocks that the nodes below lie in.
    var leaves: [UInt64]? {
        entries?.map { UInt64(word(5 + $0 * 3) & 0xffff) << 32 | UInt64(word(4 + $0 * 3)) }
    }
}
