import CShimSys

/// A file in the user's runtime directory, shared by the processes of that user: made where it is not there, never reached
/// through a link, and checked after it was opened.
enum RuntimeFile {
    /// Opens `name`, and gives it `size` bytes where it is empty.
    /// - Returns: nothing where the directory or the file is not this user's alone, or the file has another size.
    static func open(
        _ name: StaticString, size: Int64, _ scratch: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int32? {
        var path = PathText(scratch, capacity: capacity)
        if let directory = Settings.text(Settings.current.pointee.runtime_directory) {
            path.append(directory)
        } else {
            path.append("/dev/shm/pmemshim-")
            path.append(UInt64(max(ps_sys_effective_user(), 0)))
        }
        _ = ps_sys_make_directory(path.text, 0o700)
        guard isPrivate(path.text, Int32(PS_O_PATH.rawValue), PS_S_IFDIR, 0o077) else { return nil }
        path.append("/")
        path.append(name)
        guard path.isWhole else { return nil }
        let flags = Int32(PS_O_RDWR.rawValue | PS_O_CREAT.rawValue | PS_O_NOFOLLOW.rawValue | PS_O_CLOEXEC.rawValue)
        let opened = ps_sys_open(path.text, flags, 0o600)
        guard opened >= 0 else { return nil }
        let fd = Int32(truncatingIfNeeded: opened)
        guard let present = ownFile(fd, PS_S_IFREG, 0o077), present == 0 || present == size,
            present != 0 || ps_sys_truncate_descriptor(fd, size) == 0
        else {
            _ = ps_sys_close(fd)
            return nil
        }
        return fd
    }

    private static func isPrivate(
        _ path: UnsafePointer<CChar>, _ flags: Int32, _ type: ps_mode, _ forbidden: UInt32
    ) -> Bool {
        let fd = ps_sys_open(path, flags | Int32(PS_O_NOFOLLOW.rawValue | PS_O_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { return false }
        defer { _ = ps_sys_close(Int32(truncatingIfNeeded: fd)) }
        return ownFile(Int32(truncatingIfNeeded: fd), type, forbidden) != nil
    }

    /// The size of an open file of the effective user, of that type, without the forbidden mode bits.
    private static func ownFile(_ fd: Int32, _ type: ps_mode, _ forbidden: UInt32) -> Int64? {
        var owner: UInt32 = 0
        var mode: UInt32 = 0
        var size: Int64 = 0
        guard ps_sys_owner(fd, &owner, &mode, &size) == 0, Int(owner) == ps_sys_effective_user(),
            mode & UInt32(PS_S_IFMT.rawValue) == UInt32(type.rawValue), mode & forbidden == 0
        else { return nil }
        return size
    }
}
