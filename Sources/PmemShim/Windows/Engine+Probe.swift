import CShimSys
import Synchronization

// The page that end probes are made in (``Target/prove(_:limit:)``): mapped alone, behind the window, as far from
// ``Inode/probeBase`` as it lies from the start of the file. What lies around it is reserved, and faults.
extension Engine {
    /// Learns the size of a file anew and puts the page for probes where it ends. True: ranges before that can be
    /// proved. Without the engine lock.
    @inline(never)
    func moveProbe(_ inode: UnsafeMutablePointer<Inode>) -> Bool {
        guard let lock = EngineLock(self) else { return false }
        defer { lock.unlock() }
        guard inode.pointee.hasProbePage else { return false }
        // The descriptor that the window was mapped from: the page goes from it with the window.
        let fd = inode.pointee.source
        var facts = ps_file_facts()
        guard ps_sys_facts_of_descriptor(fd, &facts) == 0, facts.inode == inode.pointee.number,
            facts.device == inode.pointee.device
        else { return false }
        refreshSize(lock.held, inode, facts, fd: fd)
        let page = inode.furthestProbe
        guard page != inode.pointee.probePage else { return page > 0 }
        let isThere = mapProbe(inode, fd, at: page, covers: true)
        let base = inode.pointee.probeBase.load(ordering: .relaxed)
        ps_sys_private_to_process(base, Int(inode.pointee.length.load(ordering: .relaxed)))
        inode.pointee.probePage = isThere ? page : 0
        inode.updateLimits()
        return isThere && page > 0
    }

    /// Maps the page of the file that begins at `page` for probes; 0: none. `covers`: one may be mapped already, and
    /// goes. Who still has the limit of before faults there, and has the kernel do the call.
    func mapProbe(_ inode: UnsafeMutablePointer<Inode>, _ fd: Int32, at page: Int64, covers: Bool) -> Bool {
        let base = inode.pointee.probeBase.load(ordering: .relaxed)
        if covers, ps_sys_cover(base, Int(inode.pointee.length.load(ordering: .relaxed))) <= 0 { return false }
        return page == 0 || ps_sys_map_page(base &+ UInt(bitPattern: Int(page)), fd, page) > 0
    }
}
