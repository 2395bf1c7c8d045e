import Synchronization

// What ends what is known of an inode.
extension UnsafeMutablePointer where Pointee == Inode {
    /// Our process has changed the file through the kernel: the next sync is the kernel's. To be called when the kernel
    /// has answered: said before, a sync of another thread that comes in between would be taken to have covered it.
    func noteKernelChange() { pointee.changes.wrappingAdd(1, ordering: .acquiringAndReleasing) }

    /// Which regions have been written, is to be asked again.
    func forgetReady() { pointee.ready.store(0, ordering: .relaxed) }

    /// A slot is used for another file: nobody has it.
    func resetSync(_ held: LockHeld) {
        pointee.synced.word.store(0, ordering: .relaxed)
        pointee.synced.size.store(0, ordering: .relaxed)
        pointee.synced.time.store(0, ordering: .relaxed)
        pointee.changes.store(0, ordering: .relaxed)
        pointee.syncCost.store(0, ordering: .relaxed)
        pointee.looks.store(0, ordering: .relaxed)
        forgetReady()
    }
}
