import CShimSys
import Synchronization

/// What the process has learnt of one descriptor number: 32 bytes.
struct Descriptor: ~Copyable {
    /// See ``DescriptorWord``; the only thing that decides what the number means.
    let word: Atomic<UInt64>
    /// Where the file offset is expected; a hint, corrected by every claim.
    let guess: Atomic<Int64>
    /// What has not been served.
    let unserved: UnservedCalls
    /// Appends not yet in the figures; see ``AppendTally``.
    let tally: Atomic<UInt64>
}

/// The meaning of a descriptor number, in one atomic word: either unknown (only a generation), foreign, or ours with
/// the slot of its inode and the rights of its description.
///
/// The generation rises with every eviction. A thread that learns what a number means takes the generation first and
/// stores its finding only if it is still the same: what it learnt of a number that was closed meanwhile is dropped.
struct DescriptorWord: Equatable {
    var bits: UInt64

    static let known: UInt64 = 1 << 16
    static let ours: UInt64 = 1 << 17
    /// The description allows reading, and reading may be served.
    static let reads: UInt64 = 1 << 18
    /// The description allows writing, and overwriting may be served.
    static let writes: UInt64 = 1 << 19
    static let appends: UInt64 = 1 << 20
    /// Open for reading and writing: a writable window can be mapped from it.
    static let mapsWritable: UInt64 = 1 << 21
    /// A window can be mapped from it.
    static let maps: UInt64 = 1 << 22

    /// PMEMSHIM_PARANOID: the number is looked at before each call is served, and takes no short way.
    static let suspect: UInt64 = 1 << 23
    /// DAX: what is written must be durable when the call returns, and what the kernel writes is taken note of.
    static let durable: UInt64 = 1 << 24
    /// DAX: O_DSYNC, or O_SYNC with ``wholly`` besides: a write returns as if a sync had come after it.
    static let syncs: UInt64 = 1 << 25
    static let wholly: UInt64 = 1 << 26
    /// The description has O_DIRECT, and O_NOATIME.
    static let direct: UInt64 = 1 << 27
    static let untimed: UInt64 = 1 << 28
    /// What hangs on whether writes are synchronous.
    static let synchrony: UInt64 = writes | syncs | wholly

    @inline(__always)
    init(_ bits: UInt64) { self.bits = bits }

    @inline(__always)
    func has(_ flags: UInt64) -> Bool { bits & flags == flags }

    /// Whether all of `flags` are set, of a number that may be served without asking the kernel.
    @inline(__always)
    func hasUnsuspected(_ flags: UInt64) -> Bool { has(flags, without: DescriptorWord.suspect) }

    @inline(__always)
    func has(_ flags: UInt64, without others: UInt64) -> Bool { bits & (flags | others) == flags }

    @inline(__always)
    var inode: UInt32 { UInt32(truncatingIfNeeded: bits & 0xffff) &- Arena.firstInode }

    /// It is known to be none of ours, and not only ``barred``.
    var isForeign: Bool { has(DescriptorWord.known, without: DescriptorWord.ours) && bits & 0xffff != 0 }

    /// The slot of that inode, as a distance from the table of descriptors, in bytes: see ``Arena/firstInode``.
    @inline(__always)
    var inodeDistance: Int { Int(truncatingIfNeeded: bits & 0xffff) << 8 }

    /// The word that says nothing is known of this number: the next generation, without meaning.
    @inline(__always)
    var evicted: DescriptorWord { DescriptorWord(((bits >> 32) &+ 1) << 32) }

    /// An evicted word that no thread may learn from until the number has been evicted once more: it is about to be
    /// given to another description in one step. Between the two, what a thread learns of it is true when it looks, and
    /// wrong when it moves the offset. It passes for foreign.
    var barred: DescriptorWord { DescriptorWord(evicted.bits | DescriptorWord.known) }

    /// The word of this number, in this generation, once it has been learnt what it means.
    func learnt(_ flags: UInt64, inode: UInt32) -> DescriptorWord {
        DescriptorWord(
            (bits >> 32) << 32 | flags | DescriptorWord.known | UInt64((inode &+ Arena.firstInode) & 0xffff))
    }
}
