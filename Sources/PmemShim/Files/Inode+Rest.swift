import CShimSys
import Synchronization

// Until when writes to a file on a page cache are the kernel's.
extension Inode {
    /// With ``InodeFlag/aloof``, not on DAX (``ps_sys_coarse_now()``, ns).
    var restUntil: Int64 {
        get { Int64(bitPattern: synced.word.load(ordering: .relaxed)) }
        nonmutating set { synced.word.store(UInt64(bitPattern: newValue), ordering: .relaxed) }
    }

    /// No longer than ``rest``: the clock may have been set back.
    var isResting: Bool {
        let left = restUntil &- ps_sys_coarse_now()
        return left > 0 && left <= Inode.rest
    }

    /// So long writes are the kernel's, ns.
    static var rest: Int64 { 1_000_000_000 }
}
