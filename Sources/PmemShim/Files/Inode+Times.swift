import CShimSys
import Synchronization

// What the next read owes to the file's times once the kernel has written for us: relatime.
extension Inode {
    /// Not on DAX: the tick in which reads were last told that the kernel has written (``ps_sys_coarse_now()``, ns).
    var toldTick: Int64 {
        get { synced.time.load(ordering: .relaxed) }
        nonmutating set { synced.time.store(newValue, ordering: .relaxed) }
    }
}

extension UnsafeMutablePointer where Pointee == Inode {
    /// Whether nothing is to be told to reads once the kernel has written for us: there are none that are served, or
    /// the next one passes on, or one has in this very tick. Then the times are what they were: the kernel gives both
    /// the tick's.
    @inline(__always)  // of each small write and append
    func areReadsTold(_ flags: UInt32, isDurable: Bool) -> Bool {
        flags & InodeFlag.timesDue != 0 || pointee.base.load(ordering: .relaxed) == 0
            || (!isDurable && pointee.toldTick == ps_sys_coarse_now())
    }
}
