import CShimSys
import Synchronization

// The page that end probes are made in (``Target/prove(_:limit:)``). Behind the window lies a second mapping of the
// file, as long, of which just that page can be read: the rest has PROT_NONE, and faults. So for the kernel that page
// is an area of its own, into which it brings nothing else; and to move it is to change the protection of two pages.
extension Engine {
    /// Puts the page for probes where the file ends, as far as is known. True: ranges before that can be proved.
    /// Without the engine lock.
    @inline(never)
    func moveProbe(_ inode: UnsafeMutablePointer<Inode>) -> Bool {
        guard let lock = EngineLock(self) else { return false }
        defer { lock.unlock() }
        guard inode.pointee.hasProbePage else { return false }
        placeProbe(lock.held, inode)
        return inode.pointee.probePage > 0
    }

    /// The same of a file whose second mapping is there. Who still has the limit of before faults, and has the kernel
    /// do the call.
    ///
    /// Whoever takes the lock over in the middle finds a page that is not trusted, and no other that can be read.
    func placeProbe(_ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>) {
        defer { inode.updateLimits() }
        let page = inode.furthestProbe
        guard page != inode.pointee.probePage else { return }
        inode.pointee.distrustProbe()
        let before = inode.pointee.readableProbe
        guard before == 0 || before == page || setReadable(inode, before, false) else { return }
        inode.pointee.readableProbe = page
        inode.pointee.distrustProbe()
        guard page == 0 || setReadable(inode, page, true) else { return }
        inode.pointee.readableProbe = page
    }

    /// Maps the file of `fd` once more in place of the second mapping, with the same page for probes.
    func mapProbe(_ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>, _ fd: Int32) -> Bool {
        let base = inode.pointee.probeBase.load(ordering: .relaxed)
        let page = inode.pointee.readableProbe
        return ps_sys_map_closed(base, Int(inode.pointee.length.load(ordering: .relaxed)), fd) > 0
            && (page == 0 || setReadable(inode, page, true))
    }

    private func setReadable(_ inode: UnsafeMutablePointer<Inode>, _ page: Int64, _ readable: Bool) -> Bool {
        ps_sys_set_readable(inode.pointee.probeBase.load(ordering: .relaxed) &+ UInt(bitPattern: Int(page)), readable)
    }
}
