import CShimSys

/// Where things lie in the arena, in bytes from its start. Address space only: pages are touched as they are used.
enum Arena {
    static let descriptors = 65_536
    static let inodes = 16_384
    static let inodeHeads = 4_096
    static let threads = 4_096
    static let retired = 256
    static let mounts = 16
    static let trees = Int(PS_MOUNTS_MOST.rawValue)
    /// Distance from one entry to the next, bytes: with the path behind it.
    static let mountSize = 512
    static let treeSize = 4_160
    /// Of a mount as the figures show it (``ShownMount``), bytes.
    static let shownSize = 16 + Int(PS_STATS_PATH)
    static let scratchLength = 65_536
    /// Lines of the log that are remembered, so that a file opened again is not told again.
    static let said = 4_096
    /// Words of ``Stripes``: those of 64 inodes.
    static let stripes = 4_096
    /// Page arrays a process may have mapped, 2 MiB each; a power of two.
    static let sections = 128
    /// Extents of files that are remembered; a power of two.
    static let extents = 512

    // In the first page, behind the root: what one room keeps for itself.
    static let observeOffset = 64
    static let mountsStateOffset = 192
    static let filesStateOffset = 320
    static let spaceStateOffset = 384
    static let windowsStateOffset = 448

    static let descriptorsOffset = 4_096
    static let inodesOffset = descriptorsOffset + descriptors * 32
    /// What is added to the index of an inode in a descriptor's word, so that the slot's distance from the descriptors
    /// is a shift of it and nothing else.
    static let firstInode = UInt32((inodesOffset - descriptorsOffset) / 256)
    static let headsOffset = inodesOffset + inodes * 256
    static let threadsOffset = headsOffset + inodeHeads * 2
    static let retiredOffset = threadsOffset + threads * 64
    static let mountsOffset = retiredOffset + retired * 16
    static let treesOffset = mountsOffset + mounts * mountSize
    static let shardOffset = treesOffset + trees * treeSize
    static let scratchOffset =
        shardOffset + ((MemoryLayout<ps_stats_shard>.size * Int(PS_STATS_SHARDS) + 4_095) & ~4_095)
    static let saidOffset = scratchOffset + scratchLength
    static let stripesOffset = saidOffset + said * 8
    static let sectionsOffset = stripesOffset + stripes * 8
    static let extentsOffset = sectionsOffset + sections * 32
    static let shownOffset = extentsOffset + extents * 32
    static let stackOffset = (shownOffset + Int(PS_STATS_MOUNTS) * shownSize + 4_095) & ~4_095
    /// Of the slow steps (``SlowStep``), bytes. They take 1.6 KiB; figures of a signal's frame need not be added.
    static let stackLength = 16_384
    #if PMEMSHIM_CHECKS
        static let checksOffset = stackOffset + stackLength
        static let length = checksOffset + CheckState.size + inodes * 4
    #else
        static let length = stackOffset + stackLength
    #endif
}
