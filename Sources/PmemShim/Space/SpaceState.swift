import CShimSys
import Synchronization

/// What this process knows of its page arrays.
struct SpaceState: ~Copyable {
    /// Page arrays mapped so far.
    let sections: Atomic<UInt32>
    /// Pages of 4 KiB that this process has given to page arrays: as many at most as windows may weigh.
    let grown: Atomic<UInt32>
    /// When memory for page arrays was refused last: CLOCK_REALTIME_COARSE, ns.
    let growthRefused: Atomic<Int64>
    /// Places of page arrays that are in use, one bit for each. Guarded by the engine lock.
    var sectionPlaces: (UInt64, UInt64)
    /// Device and inode of the file of page arrays that was mapped last. Guarded by the engine lock.
    var pages: (UInt64, UInt64)
}

extension Engine {
    var space: UnsafeMutablePointer<SpaceState> {
        (address + Arena.spaceStateOffset).assumingMemoryBound(to: SpaceState.self)
    }

    /// Where page arrays are mapped (``MappedSection``): regions, 0 where there is none yet.
    func sectionRegion(_ number: Int) -> UnsafeMutablePointer<Atomic<UInt>> {
        (address + Int(PS_ROOT_REGION)).assumingMemoryBound(to: Atomic<UInt>.self) + number
    }
}
