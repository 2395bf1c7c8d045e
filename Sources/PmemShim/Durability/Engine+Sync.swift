import CShimSys

extension Engine {
    /// fsync and fdatasync: nothing to do where the file is memory and nothing else (tmpfs has no medium behind it; the
    /// kernel's own fsync there does nothing). On every other backing the kernel's call stays, which also writes back
    /// what was stored through a window: the page tables tell it which pages are dirty.
    func sync(_ target: Target) -> Int64 {
        let backing = mount(target.inode.pointee.mount).pointee.backing
        guard backing == UInt32(PS_BACKING_MEMORY.rawValue), target.family != PS_FAMILY_SYNC_FILE_RANGE else {
            target.count(PS_OUTCOME_BACKING)
            return Int64.min
        }
        target.count(PS_OUTCOME_SERVED)
        return 0
    }
}
