import CShimSys
import Synchronization

/// Which reasons for giving way stop everything, and which only writes.
enum GiveWay {
    static let stops: UInt32 =
        UInt32(PS_GIVE_WAY_MLOCKALL.rawValue) | UInt32(PS_GIVE_WAY_SECCOMP.rawValue)
        | UInt32(PS_GIVE_WAY_UNSHARE_FILES.rawValue) | UInt32(PS_GIVE_WAY_ADDRESS_SPACE.rawValue)
    static let stopsWrites: UInt32 = UInt32(PS_GIVE_WAY_FILE_SIZE.rawValue)
}

extension Engine {
    /// The first slow path of a process makes it the owner of the table.
    func claimTables(_ held: LockHeld) -> Bool {
        let process = Int32(truncatingIfNeeded: ps_sys_process())
        let owner = root.pointee.owner.load(ordering: .relaxed)
        if owner == process { return true }
        // A vfork child may be the first to come here, and must not take the table for its own.
        let sharer = ps_root_sharer()
        guard owner == 0, sharer == 0 || sharer == process else { return false }
        root.pointee.owner.store(process, ordering: .relaxed)
        if ps_sys_address_space_limited() { ps_set_given_way(UInt32(PS_GIVE_WAY_ADDRESS_SPACE.rawValue), 0) }
        if ps_sys_file_size_limited() { ps_set_given_way(UInt32(PS_GIVE_WAY_FILE_SIZE.rawValue), 0) }
        return ps_given_way() & GiveWay.stops == 0
    }
}
