import CShimSys
import Synchronization

/// What this process knows of its windows; guarded by the engine lock.
struct WindowsState: ~Copyable {
    var windows: UInt32
    /// Ranges that were windows and are kept (``RetiredRange``).
    var retired: UInt32
    /// Address space of all windows, bytes.
    var mapped: Int64
    /// Not 0: some of these still have their file, for calls that go on in them. Read without the lock.
    let lingering: Atomic<UInt32>
}

extension Engine {
    var windows: UnsafeMutablePointer<WindowsState> {
        (address + Arena.windowsStateOffset).assumingMemoryBound(to: WindowsState.self)
    }

    func retired(_ index: UInt32) -> UnsafeMutablePointer<RetiredRange> {
        (address + Arena.retiredOffset).assumingMemoryBound(to: RetiredRange.self) + Int(index)
    }
}
