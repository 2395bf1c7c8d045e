import CShimSys
import Synchronization

/// What this process knows of its windows. Guarded by the engine lock, but for the atomic words.
struct WindowsState: ~Copyable {
    /// Windows there are. Without the lock a hint.
    let windows: Atomic<UInt32>
    /// Ranges that were windows and are kept (``RetiredRange``).
    var retired: UInt32
    /// Address space of all windows, bytes.
    var mapped: Int64
    /// Not 0: some of these still have their file, for calls that go on in them.
    let lingering: Atomic<UInt32>
}

extension Engine {
    var windows: UnsafeMutablePointer<WindowsState> {
        (address + Arena.windowsStateOffset).assumingMemoryBound(to: WindowsState.self)
    }

    func retired(_ held: LockHeld, _ index: UInt32) -> UnsafeMutablePointer<RetiredRange> {
        (address + Arena.retiredOffset).assumingMemoryBound(to: RetiredRange.self) + Int(index)
    }
}
