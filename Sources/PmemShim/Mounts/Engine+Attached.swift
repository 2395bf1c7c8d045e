import CShimSys

extension Engine {
    /// Whether the file with those facts lies on a device that `shimctl attach` has registered: such mounts are served
    /// without being named, whatever their backing.
    ///
    /// Asked once per mount and process. Where nothing is attached that is one statx, and no descriptor is opened: the
    /// number it would take for a moment is one that another thread may expect.
    func isAttached(_ held: LockHeld, _ fd: Int32, _ facts: ps_file_facts) -> Bool {
        let mounts = mounts(held)
        let pageCache = PS_BACKING_PAGECACHE
        for index in 0..<mounts.pointee.mounts {
            let known = mount(index)
            if known.pointee.identifier == facts.mount, known.pointee.device == facts.device,
                known.pointee.tree == 0, known.pointee.backing == pageCache
            {
                return true
            }
        }
        guard !mounts.pointee.unattached.has(facts) else { return false }
        if let device = blockDevice(held, fd, facts), isRegistered(held, device) { return true }
        mounts.pointee.unattached.add(facts)
        return false
    }

    /// The block device of a file's mount, as major << 32 | minor. Files of btrfs have a device number that is no block
    /// device's (major 0): there the mount's source tells.
    private func blockDevice(_ held: LockHeld, _ fd: Int32, _ facts: ps_file_facts) -> UInt64? {
        guard facts.device >> 32 == 0 else { return facts.device }
        var path = PathText(scratch(held), capacity: 128)
        path.append(AttachmentDirectory.path)
        var directory = ps_file_facts()
        guard ps_sys_facts_of_path(path.text, &directory) == 0 else { return nil }
        var device: UInt64?
        withMountInfo(held, fd) { line in
            guard line.source.first == UInt8(ascii: "/"), let start = line.source.baseAddress else { return }
            // Ends the field where it stands; the text is our own copy.
            UnsafeMutablePointer(mutating: start)[line.source.count] = 0
            var number: UInt64 = 0
            if ps_sys_block_device(UnsafePointer(OpaquePointer(start)), &number) == 0 { device = number }
        }
        return device
    }

    /// Notes the page arrays of the attached device that the files of `mount` lie on, if there is one.
    func findPages(_ held: LockHeld, _ mount: UnsafeMutablePointer<Mount>, _ fd: Int32, _ facts: ps_file_facts) {
        guard let device = blockDevice(held, fd, facts), isRegistered(held, device) else { return }
        let bytes = UnsafeRawPointer(registration(held))
        func number(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        let pageSize = UInt32(truncatingIfNeeded: number(PS_ATTACHMENT_AT_PAGE_SIZE))
        let tag = UInt32(truncatingIfNeeded: number(PS_ATTACHMENT_AT_GENERATION))
        guard pageSize == 4_096 || pageSize == 16_384 || pageSize == 65_536, tag != 0 else { return }
        mount.pointee.attached.shift = UInt32(pageSize.trailingZeroBitCount)
        mount.pointee.attached.count = number(PS_ATTACHMENT_AT_DATA_SIZE) >> UInt64(mount.pointee.attached.shift)
        mount.pointee.attached.device = device
        mount.pointee.attached.tag = tag
    }

    /// Opens the page arrays of that device, if it is still the one that is attached there.
    func openPages(_ held: LockHeld, _ mount: UnsafeMutablePointer<Mount>) -> Int32? {
        guard isRegistered(held, mount.pointee.attached.device) else { return nil }
        let registration = registration(held)
        let bytes = UnsafeRawPointer(registration)
        guard
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: PS_ATTACHMENT_AT_GENERATION, as: UInt32.self))
                == mount.pointee.attached.tag
        else { return nil }
        let numbers = UInt64(
            littleEndian: bytes.loadUnaligned(fromByteOffset: PS_ATTACHMENT_AT_PAGES_MAJOR, as: UInt64.self))
        let pages = numbers << 32 | numbers >> 32
        registration[Int(PS_ATTACHMENT_SIZE) &- 1] = 0  // ends the path at the latest there
        let path = UnsafePointer<CChar>(OpaquePointer(registration + PS_ATTACHMENT_AT_PAGES))
        let opened = ps_sys_open(path, OpenFlag.readWrite | OpenFlag.closeOnExec, 0)
        guard opened >= 0 else { return nil }
        let fd = Int32(truncatingIfNeeded: opened)
        guard ps_sys_is_block_device(fd, pages) else {
            _ = ps_sys_close(fd)
            return nil
        }
        return fd
    }

    /// What ``isRegistered(_:_:)`` has read last.
    private func registration(_ held: LockHeld) -> UnsafeMutablePointer<UInt8> { scratch(held) + 128 }

    private func isRegistered(_ held: LockHeld, _ device: UInt64) -> Bool {
        var path = PathText(scratch(held), capacity: 128)
        path.append(AttachmentDirectory.path)
        path.append(byte: UInt8(ascii: "/"))
        append(device, to: &path)
        var facts = ps_file_facts()
        guard ps_sys_facts_of_path(path.text, &facts) == 0 else { return false }
        let text = registration(held)
        guard contentOfRoots(path.text, text, capacity: 8_192) == Int(PS_ATTACHMENT_SIZE),
            isRoots(AttachmentDirectory.parent), isRoots(AttachmentDirectory.path)
        else { return false }
        let bytes = UnsafeRawPointer(text)
        func number32(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        func number64(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        return number64(PS_ATTACHMENT_AT_MAGIC) == UInt64(PS_ATTACHMENT_MAGIC)
            && number32(PS_ATTACHMENT_AT_VERSION) == UInt32(PS_ATTACHMENT_VERSION)
            && UInt64(number32(PS_ATTACHMENT_AT_DATA_MAJOR)) << 32 | UInt64(number32(PS_ATTACHMENT_AT_DATA_MINOR))
                == device
            && sequence(held, of: device) == number64(PS_ATTACHMENT_AT_DATA_SEQUENCE)
    }

    /// Which disk has that number now (/sys/dev/block/N:N/diskseq); 0 where the kernel does not say.
    private func sequence(_ held: LockHeld, of device: UInt64) -> UInt64 {
        var path = PathText(scratch(held), capacity: 128)
        path.append("/sys/dev/block/")
        append(device, to: &path)
        path.append("/diskseq")
        let digits = scratch(held) + 8_320
        let count = contentOfRoots(path.text, digits, capacity: 32)
        guard count > 1, digits[count &- 1] == newline else { return 0 }
        return decimal(UnsafeBufferPointer(start: UnsafePointer(digits), count: count &- 1)) ?? 0
    }

    /// Reads a file that belongs to root and that nobody else may write; the number of bytes, 0 if there is none.
    private func contentOfRoots(_ path: UnsafePointer<CChar>, _ room: UnsafeMutablePointer<UInt8>, capacity: Int) -> Int
    {
        let flags = OpenFlag.noFollow | OpenFlag.closeOnExec
        let opened = ps_sys_open(path, flags, 0)
        guard opened >= 0 else { return 0 }
        let fd = Int32(truncatingIfNeeded: opened)
        defer { _ = ps_sys_close(fd) }
        guard isRoots(fd, PS_S_IFREG) else { return 0 }
        return max(ps_sys_read(fd, room, capacity), 0)
    }

    private func isRoots(_ directory: StaticString) -> Bool {
        let flags = OpenFlag.path | OpenFlag.noFollow | OpenFlag.closeOnExec
        let opened = ps_sys_open(UnsafePointer(OpaquePointer(directory.utf8Start)), flags, 0)
        guard opened >= 0 else { return false }
        defer { _ = ps_sys_close(Int32(truncatingIfNeeded: opened)) }
        return isRoots(Int32(truncatingIfNeeded: opened), PS_S_IFDIR)
    }

    private func isRoots(_ fd: Int32, _ type: ps_mode) -> Bool {
        var owner: UInt32 = 0
        var mode: UInt32 = 0
        var size: Int64 = 0
        return ps_sys_owner(fd, &owner, &mode, &size) == 0 && owner == 0
            && mode.isMode(of: UInt32(type.rawValue)) && mode & 0o022 == 0
    }

    private func append(_ device: UInt64, to path: inout PathText) {
        path.append(device >> 32)
        path.append(byte: UInt8(ascii: ":"))
        path.append(device & 0xffff_ffff)
    }
}

/// Where registrations are; proved against the C header by a unit test.
enum AttachmentDirectory {
    static let parent: StaticString = "/run/pmemshim"
    static let path: StaticString = "/run/pmemshim/devices"
}
