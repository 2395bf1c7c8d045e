import CShimSys
import Synchronization

extension Engine {
    /// Lets size and holes be learnt again: the copy faulted, or something changed the file.
    /// Without the engine lock.
    @inline(never)
    func relearn(_ target: Target) {
        // Somebody else has made holes: which, nobody knows.
        if relearnt(target) { noteHoles(target.inode, from: 0, to: Int64.max) }
    }

    /// True: there are fewer blocks than there were.
    private func relearnt(_ target: Target) -> Bool {
        guard let lock = EngineLock(self) else { return false }
        defer { lock.unlock() }
        var facts = ps_file_facts()
        guard target.descriptor.pointee.word.load(ordering: .acquiring) == target.word.bits,
            ps_sys_facts_of_descriptor(target.fd, &facts) == 0
        else { return false }
        guard facts.inode == target.inode.pointee.number, facts.device == target.inode.pointee.device else {
            forget(lock.held, target.fd)
            return false
        }
        let before = target.inode.pointee.blocks
        refreshSize(lock.held, target.inode, facts, fd: target.fd)
        return facts.blocks < before && target.inode.has(InodeFlag.sparse)
    }
}
