import CElf
import FoundationEssentials
import Glibc
import SystemPackage

/// What makes the kernel start a program in secure-execution mode, where ld.so ignores LD_PRELOAD with a slash in it
/// (ld.so(8), execve(2)).
struct Privileges {
    /// `setuid root`, `setgid mail`, `file capabilities`; empty for an ordinary program.
    let gained: [String]
    /// What it would gain, but does not, because the file's mount is nosuid.
    let withoutEffect: [String]
    /// The invoking user already is who the program becomes, and would have its LD_PRELOAD honoured.
    let isAlreadyHeld: Bool

    init(of path: FilePath) throws(Errno) {
        let stat = try Stat(path)
        let mode = stat.rawValue.st_mode
        var found: [String] = []
        var isHeld = true
        if mode & S_ISUID != 0 {
            found.append("setuid \(Self.userName(stat.rawValue.st_uid))")
            isHeld = isHeld && stat.rawValue.st_uid == getuid()
        }
        // Without group execution the bit meant mandatory locking, and exec ignores it.
        if mode & S_ISGID != 0, mode & S_IXGRP != 0 {
            found.append("setgid \(Self.groupName(stat.rawValue.st_gid))")
            isHeld = isHeld && stat.rawValue.st_gid == getgid()
        }
        let capabilities = path.withPlatformString { getxattr($0, "security.capability", nil, 0) }
        if capabilities > 0 {
            found.append("file capabilities")
            // The superuser gains nothing by them.
            isHeld = isHeld && getuid() == 0
        }
        var information = statvfs()
        let isNosuid =
            path.withPlatformString { statvfs($0, &information) } == 0 && information.f_flag & UInt(ST_NOSUID) != 0
        gained = isNosuid ? [] : found
        withoutEffect = isNosuid ? found : []
        isAlreadyHeld = isHeld
    }

    private static func userName(_ id: uid_t) -> String {
        guard let entry = getpwuid(id), let name = entry.pointee.pw_name else { return String(id) }
        return String(cString: name)
    }

    private static func groupName(_ id: gid_t) -> String {
        guard let entry = getgrgid(id), let name = entry.pointee.gr_name else { return String(id) }
        return String(cString: name)
    }
}
