import CShimSys
import Synchronization

// Until when writes to a file on a page cache are the kernel's.
extension Inode {
    /// Not on DAX. In its low bits ``rests``; above them, with ``InodeFlag/aloof``, when the rest ends
    /// (``ps_sys_coarse_now()``, ns; less than a tick is cut off).
    private var restWord: Int64 {
        get { Int64(bitPattern: synced.word.load(ordering: .relaxed)) }
        nonmutating set { synced.word.store(UInt64(bitPattern: newValue), ordering: .relaxed) }
    }

    /// How often in a row it was found that serving its writes does not pay, up to ``mostRests``.
    var rests: Int64 { restWord & 7 }

    /// No longer than it may be: the clock may have been set back.
    var isResting: Bool {
        let left = (restWord & ~7) &- ps_sys_coarse_now()
        return left > 0 && left <= Inode.rest(rests)
    }

    /// Writes are the kernel's from `now` on: twice as long as last time.
    func beginRest(_ now: Int64) {
        let rests = min(rests &+ 1, Inode.mostRests)
        restWord = (now &+ Inode.rest(rests)) & ~7 | rests
    }

    /// Serving its writes pays.
    func forgetRests() { if rests != 0 { restWord = 0 } }

    static var mostRests: Int64 { 7 }

    /// So long writes are the kernel's, ns: from a second to a minute. Trying costs a fault for each page that is
    /// written and for each that is read after it, and once it has not paid it seldom does a second later.
    static func rest(_ rests: Int64) -> Int64 { 1_000_000_000 << (max(rests, 1) &- 1) }
}
