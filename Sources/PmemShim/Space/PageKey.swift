import CShimSys

/// How a file, and a part of it, is known to the processes that share page arrays: hashes, which also serve as proof
/// that a word belongs to it. Two files with the same hash would share hints; nothing else hangs on it.
package enum PageKey {
    /// A file among all that there were since the user's page arrays were made: inode numbers are used again, so the
    /// time it was made is part of it. Never 0.
    static func identity(_ facts: ps_file_facts) -> UInt64 {
        nonzero(mixed(mixed(mixed(facts.device) ^ facts.inode) ^ UInt64(bitPattern: facts.birth)))
    }

    /// One section of what has that identity. Never 0.
    static func section(_ identity: UInt64, _ section: UInt64) -> UInt64 {
        nonzero(mixed(identity ^ mixed(section) ^ meaning))
    }

    /// The tag under which words count in an array that was found by `key`. Never 0.
    package static func tag(_ key: UInt64) -> UInt32 {
        let tag = UInt32(truncatingIfNeeded: key >> 32)
        return tag == 0 ? 1 : tag
    }

    /// Where the search for `key` begins; the places looked at follow one another, all below PS_PAGES_SLOTS.
    static func place(_ key: UInt64) -> Int { Int(key % UInt64(PS_PAGES_SLOTS &- PS_PAGES_PROBES &+ 1)) }

    /// Another number for each change of what words say, so that libraries of before and after it share nothing.
    private static let meaning: UInt64 = 2

    private static func nonzero(_ hash: UInt64) -> UInt64 { hash == 0 ? 1 : hash }

    /// The finaliser of splitmix64: every bit of the argument changes about half of the result's.
    private static func mixed(_ value: UInt64) -> UInt64 {
        var hash = value &+ 0x9e37_79b9_7f4a_7c15
        hash = (hash ^ hash >> 30) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ hash >> 27) &* 0x94d0_49bb_1331_11eb
        return hash ^ hash >> 31
    }
}
