import CShimSys
import Synchronization

extension Engine {
    /// Forgets what syncs of the inode left, and makes this process ready to survive faults in code of ours, as for a
    /// first window. The index of the mount's figures; nothing where that is not possible. Without the engine lock.
    func readyForFaults(_ fd: Int32, _ facts: ps_file_facts) -> Int? {
        guard let lock = EngineLock(self) else { return nil }
        defer { lock.unlock() }
        if let index = findInode(lock.held, device: facts.device, number: facts.inode) {
            inode(index).noteKernelChange()
        }
        guard claimTables(lock.held), case .served(let index) = place(lock.held, fd, facts) else { return nil }
        attachStatistics(lock.held)
        guard prepareSignals() else { return nil }
        return Int(mount(index).pointee.statisticsIndex)
    }
}
