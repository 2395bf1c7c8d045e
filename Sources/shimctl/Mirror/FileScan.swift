import CMirror
import Glibc
import SystemPackage

/// Goes through all files of a mounted file system, whatever else is mounted on top of its directories.
///
/// Directories are kept by handles, not by names: no path is too long, and none leads elsewhere meanwhile.
struct FileScan {
    struct File {
        let inode: UInt64
        /// When it, or what is said of it, was changed last (ctime), ns since 1970. Of
        /// files that the kernel writes to without a word: the end of time.
        let changed: Int64
        /// What it takes of the device, bytes (st_blocks of stat(2)).
        let size: UInt64
        /// Whether it is mapped past the page cache (DAX), or may be.
        let isDirect: Bool
        /// Where it is found, and its name there, which need not be UTF-8: good during the visit.
        let directory: Int32
        let entry: UnsafePointer<CChar>
        fileprivate let parent: String

        /// From the mount point on, for people.
        var path: String { "\(parent)/\(String(cString: entry))" }
    }

    /// Of its root directory.
    let root: FileDescriptor

    /// - Parameter path: a mount point, whose mount shows the whole file system.
    /// - Throws: an `Errno` where the kernel does not allow it.
    init(_ path: String) throws {
        let descriptor = cmirror_tree(path)
        guard descriptor >= 0 else { throw Errno(rawValue: -descriptor) }
        root = FileDescriptor(rawValue: descriptor)
    }

    func close() { try? root.close() }

    /// Calls `visit` for every regular file, once for each of its names. A file that is renamed meanwhile may be
    /// missed, but not without a new `changed`.
    /// - Throws: an `Errno` where a directory cannot be read: then not all was seen; a `Complaint` where that is
    ///   because the file system is damaged.
    func forEachFile(_ visit: (File) throws -> Void) throws {
        var place = "/"
        do {
            try scan(&place, visit)
        } catch let reason as Errno where Self.damage.contains(reason) {
            throw Complaint(.failure, "the file system is damaged at \(place.printable) (\(reason)): run fsck")
        }
    }

    /// EUCLEAN, too (xfs).
    private static let damage: [Errno] = [.badMessage, .ioError, Errno(rawValue: 117)]

    private func scan(_ place: inout String, _ visit: (File) throws -> Void) throws {
        var facts = stat()
        guard fstat(root.rawValue, &facts) == 0 else { throw Errno(rawValue: errno) }
        let device = facts.st_dev
        let silent = SilentFiles()
        var said = cmirror_facts()
        guard let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) else { throw Errno.notSupported }
        var first = cmirror_handle()
        let reason = cmirror_handle(root.rawValue, ".", &first)
        guard reason == 0 else { throw Errno(rawValue: -reason) }
        var waiting = [(handle: first, path: "")]
        while var next = waiting.popLast() {
            place = next.path + "/"
            let descriptor = cmirror_open_directory(root.rawValue, &next.handle)
            if descriptor == -ESTALE { continue }  // removed meanwhile
            guard descriptor >= 0 else { throw Errno(rawValue: -descriptor) }
            guard let stream = fdopendir(descriptor) else {
                Glibc.close(descriptor)
                throw Errno(rawValue: errno)
            }
            defer { closedir(stream) }
            errno = 0
            while let entry = readdir(stream) {
                // It stays where it is until the next one is asked for.
                let name = UnsafeRawPointer(entry).advanced(by: nameOffset).assumingMemoryBound(to: CChar.self)
                defer { errno = 0 }
                if strcmp(name, ".") == 0 || strcmp(name, "..") == 0 { continue }
                let reason = cmirror_facts(descriptor, name, &said)
                if reason == -ENOENT { continue }
                guard reason == 0 else { throw Errno(rawValue: -reason) }
                guard said.device == device else { throw Errno.improperLink }
                switch said.mode & S_IFMT {
                case S_IFREG:
                    let isSilent =
                        silent.contains(dev_t(said.device), ino_t(said.inode))
                        || next.path.isEmpty && SilentFiles.isQuota(String(cString: name))
                    try visit(
                        File(
                            inode: said.inode, changed: isSilent ? .max : said.changed, size: said.blocks << 9,
                            isDirect: said.is_direct != 0, directory: descriptor, entry: name, parent: next.path))
                case S_IFDIR:
                    var handle = cmirror_handle()
                    let reason = cmirror_handle(descriptor, name, &handle)
                    if reason == -ENOENT { continue }
                    guard reason == 0 else { throw Errno(rawValue: -reason) }
                    waiting.append((handle, "\(next.path)/\(String(cString: name))"))
                default: break
                }
            }
            guard errno == 0 else { throw Errno(rawValue: errno) }
        }
    }

    /// Waits for writes into the file that are under way. A write sets the file's time when it begins, and may copy
    /// long after. What begins later has a later time. Both calls take the lock of the inode that a write holds: reads
    /// do on xfs, and on ext4 with DAX, the search for a hole on ext4.
    static func settle(_ file: File) {
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | noAccessTime
        let descriptor = openat(file.directory, file.entry, flags)
        guard descriptor >= 0 else { return }
        var byte: UInt8 = 0
        _ = pread(descriptor, &byte, 1, 0)
        _ = lseek(descriptor, 0, Self.seekHole)
        Glibc.close(descriptor)
    }

    /// Where a file lies: bytes of the device, and which byte of the file is the first of them.
    /// - Returns: nothing where it cannot be told.
    static func extents(of file: File) -> [(bytes: Range<UInt64>, offset: UInt64)]? {
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | noAccessTime
        let descriptor = openat(file.directory, file.entry, flags)
        // Removed, or replaced, meanwhile: what took its place has changed, and is seen the next time.
        guard descriptor >= 0 else { return errno == ENOENT || errno == ELOOP ? [] : nil }
        defer { Glibc.close(descriptor) }
        return extents(descriptor, inode: file.inode)
    }

    /// The same of one that is found by a link of /proc.
    static func extents(of path: String, inode: UInt64) -> [(bytes: Range<UInt64>, offset: UInt64)]? {
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | noAccessTime)
        guard descriptor >= 0 else { return nil }
        defer { Glibc.close(descriptor) }
        return extents(descriptor, inode: inode)
    }

    /// For the answers of one call. Made once: a pass asks for each file, and has one thread.
    nonisolated(unsafe) private static var room = [cmirror_extent](repeating: cmirror_extent(), count: 512)

    private static func extents(_ descriptor: Int32, inode: UInt64) -> [(bytes: Range<UInt64>, offset: UInt64)]? {
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { return nil }
        guard UInt64(facts.st_ino) == inode else { return [] }
        var result: [(bytes: Range<UInt64>, offset: UInt64)] = []
        var start: UInt64 = 0
        while true {
            let count = cmirror_extents(descriptor, start, &room, Int32(room.count))
            guard count >= 0 else { return nil }
            for extent in room.prefix(Int(count)) {
                // Lies among the file system's own data, whose changes are seen otherwise, or nowhere yet.
                guard extent.is_certain != 0 else { continue }
                let (end, overflows) = extent.physical.addingReportingOverflow(extent.length)
                guard !overflows else { return nil }
                result.append((extent.physical..<end, extent.logical))
            }
            guard count > 0 else { break }
            let last = room[Int(count) - 1]
            if last.is_last != 0 { break }
            start = last.logical + last.length
        }
        return result
    }

    /// Two files, or one file at two times, that lie at other places have other ones.
    static func layout(_ extents: [(bytes: Range<UInt64>, offset: UInt64)]) -> UInt64 {
        extents.reduce(0xcbf2_9ce4_8422_2325) { hash, extent in
            [extent.bytes.lowerBound, extent.bytes.upperBound, extent.offset].reduce(hash) { hash, word in
                let mixed = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
                return mixed ^ mixed >> 29
            }
        }
    }

    /// The same as pages of the device: all of which it has a part.
    static func pages(of file: File, pageSize: UInt64, pageCount: UInt64) -> [Range<UInt64>]? {
        extents(of: file).map { pages($0, pageSize: pageSize, pageCount: pageCount) }
    }

    static func pages(_ extents: [(bytes: Range<UInt64>, offset: UInt64)], pageSize: UInt64, pageCount: UInt64)
        -> [Range<UInt64>]
    {
        extents.map { bytes, _ in
            PageRanges.touched(by: bytes.lowerBound, UInt64(bytes.count), pageSize: pageSize, end: pageCount)
        }
    }

    /// SEEK_HOLE (lseek(2)), which Swift's Glibc does not show.
    private static let seekHole: Int32 = 4
    /// O_NOATIME (open(2)), which Swift's Glibc does not show.
    private static let noAccessTime: Int32 = 0o1_000_000
}

extension timespec {
    /// ns since 1970.
    var nanoseconds: Int64 { Int64(tv_sec) &* 1_000_000_000 &+ Int64(tv_nsec) }
}
