import CShimSys
import Synchronization

/// An address range that was a window and is kept mapped PROT_NONE until no thread can be inside a copy there.
struct RetiredRange {
    var base: UInt
    var length: Int64
}

extension Engine {
    /// Takes the file out of [base, base + length) at once, and gives the addresses back when that is safe.
    ///
    /// The danger is a thread that has read `base` and not yet copied: were the addresses mapped anew meanwhile, it
    /// would copy from or into a stranger's page. So the range stays PROT_NONE, where it faults, until every thread has
    /// been seen outside. Engine lock held.
    func retire(_ base: UInt, _ length: Int64) {
        if ps_single_threaded(), isNobodyInside() {
            _ = ps_sys_unmap(base, Int(length))
            return
        }
        _ = ps_sys_cover(base, Int(length))
        ps_sys_private_to_process(base, Int(length))
        if root.pointee.retired >= UInt32(Arena.retired / 4) { reuseRetired() }
        // No room: the addresses stay reserved for the life of the process. Address space is what that costs.
        guard root.pointee.retired < UInt32(Arena.retired) else { return }
        retired(root.pointee.retired).pointee = RetiredRange(base: base, length: length)
        root.pointee.retired &+= 1
    }

    /// Unmaps what was retired, if no thread is inside a served call. Engine lock held.
    private func reuseRetired() {
        // Every thread's announcement made before this point is visible after it, and every thread that announces
        // itself later reads a base that is no longer the retired one.
        guard ps_sys_barrier_all_threads(), isNobodyInside() else { return }
        var index: UInt32 = 0
        while index < root.pointee.retired {
            let range = retired(index).pointee
            _ = ps_sys_unmap(range.base, Int(range.length))
            index &+= 1
        }
        root.pointee.retired = 0
    }

    private func isNobodyInside() -> Bool {
        let bound = min(root.pointee.threadBound.load(ordering: .acquiring), Int32(Arena.threads))
        var index: Int32 = 0
        while index < bound {
            if thread(Int(index)).pointee.inside.load(ordering: .acquiring) != 0 { return false }
            index &+= 1
        }
        return true
    }
}
