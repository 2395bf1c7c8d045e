import CShimSys

/// A file in the user's runtime directory, shared by the processes of that user: made where it is not there, never
/// reached through a link, and checked after it was opened.
///
/// Whatever may be the matter with it, nothing waits and nothing is signalled: then there is no such file.
struct RuntimeFile {
    let fd: Int32
    let facts: ps_own_facts

    /// Opens `name`, and makes it `size` bytes long where it is shorter: a file that somebody has cut is as good as
    /// new.
    /// - Parameter isGood: what the caller asks of the content. A file that fails is nobody's: it is taken away, and
    ///   made anew once.
    /// - Returns: nothing where the directory or the file is not this user's alone, where this process acts for another
    ///   user than its own, or where the length of files is limited (the kernel would send SIGXFSZ).
    static func open(
        _ name: StaticString, size: Int64, _ scratch: UnsafeMutablePointer<UInt8>, capacity: Int,
        isGood: (RuntimeFile) -> Bool
    ) -> RuntimeFile? {
        guard !ps_sys_file_size_limited(), let directory = openDirectory(scratch, capacity: capacity) else {
            return nil
        }
        defer { _ = ps_sys_close(directory) }
        let text = UnsafePointer<CChar>(OpaquePointer(name.utf8Start))
        for _ in 0..<2 {
            guard let file = open(text, size: size, in: directory) else { return nil }
            if isGood(file) { return file }
            file.close()
            guard ps_sys_remove_in(directory, text) == 0 else { return nil }
        }
        return nil
    }

    func close() { _ = ps_sys_close(fd) }

    /// Whether it is that very file, which this process has opened before.
    func isSame(device: UInt64, inode: UInt64) -> Bool { facts.device == device && facts.inode == inode }

    private static func openDirectory(_ scratch: UnsafeMutablePointer<UInt8>, capacity: Int) -> Int32? {
        let user = ps_sys_only_user()
        guard user >= 0 else { return nil }
        var path = PathText(scratch, capacity: capacity)
        if let directory = Settings.text(Settings.current.pointee.runtime_directory) {
            path.append(directory)
        } else {
            path.append("/dev/shm/pmemshim-")
            path.append(UInt64(user))
        }
        guard path.isWhole else { return nil }
        let flags = OpenFlag.path | OpenFlag.directory | OpenFlag.noFollow | OpenFlag.closeOnExec
        var fd = ps_sys_open(path.text, flags, 0)
        if fd == Failure.noSuchFile, ps_sys_make_directory(path.text, 0o700) == 0 {
            fd = ps_sys_open(path.text, flags, 0)
        }
        guard fd >= 0 else { return nil }
        let directory = Int32(truncatingIfNeeded: fd)
        var facts = ps_own_facts()
        guard ps_sys_own_facts(directory, &facts) == 0, isPrivate(facts, PS_S_IFDIR, user) else {
            _ = ps_sys_close(directory)
            return nil
        }
        return directory
    }

    private static func open(_ name: UnsafePointer<CChar>, size: Int64, in directory: Int32) -> RuntimeFile? {
        let flags =
            OpenFlag.readWrite | OpenFlag.create | OpenFlag.noFollow | OpenFlag.closeOnExec
            | OpenFlag.nonBlocking | OpenFlag.noControllingTerminal
        let opened = ps_sys_open_in(directory, name, Int32(flags), 0o600)
        guard opened >= 0 else { return nil }
        let fd = Int32(truncatingIfNeeded: opened)
        var facts = ps_own_facts()
        guard ps_sys_own_facts(fd, &facts) == 0, isPrivate(facts, PS_S_IFREG, ps_sys_only_user()),
            facts.size >= size || ps_sys_truncate_descriptor(fd, size) == 0
        else {
            _ = ps_sys_close(fd)
            return nil
        }
        return RuntimeFile(fd: fd, facts: facts)
    }

    /// Of that type, of that user, and closed to everybody else.
    private static func isPrivate(_ facts: ps_own_facts, _ type: ps_mode, _ user: Int) -> Bool {
        Int(facts.user) == user && facts.mode.isMode(of: UInt32(type.rawValue))
            && facts.mode & 0o077 == 0
    }
}
