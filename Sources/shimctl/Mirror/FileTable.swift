import CMirror
import FoundationEssentials
import Glibc
import PmemDeviceFormat
import SystemPackage

/// When each file of the primary had been changed last, as the last pass saw it: what proves that a file is still as it
/// was copied. Kept on this machine, in a directory that only root can read; it may be lost, and then all is compared.
///
/// Times are compared for equality: a clock that was set back misleads nobody.
struct FileTable: Equatable {
    let set: Superblock.Identifier
    let epoch: UInt64
    /// CLOCK_REALTIME_COARSE before the first file was looked at, ns.
    let time: Int64
    /// Which mount that was, and since when the machine runs: what was done to the device while it was not mounted, or
    /// mounted elsewhere, nobody has seen. 0: not mounted.
    let mount: UInt64
    let boot: UInt64
    /// It was made while the file system stood still: only then does it prove what a file held.
    let isStill: Bool
    /// By inode number.
    let files: [UInt64: Entry]

    struct Entry: Equatable {
        /// When it was changed last (ctime), ns.
        let changed: Int64
        /// Of where it lies: its blocks can be moved without any change of its times (e4defrag, xfs_fsr, resize2fs).
        let layout: UInt64
        /// Whether it was mapped past the page cache (DAX), or may have been.
        let isDirect: Bool

        /// That of a file that counts as changed the next time, whatever its times are then.
        var doubted: Entry { Entry(changed: .min, layout: layout, isDirect: isDirect) }
    }

    /// Whether what is changed after the table was made gets another time than this one. Two changes within one tick of
    /// the kernel's clock (at most 10 ms) have the same; on file systems that keep whole seconds (ext4 with inodes of
    /// 128 bytes, ext3, ext2) two changes within a second.
    private func isPast(_ changed: Int64) -> Bool {
        changed < time - (changed % 1_000_000_000 == 0 ? 1_020_000_000 : 20_000_000)
    }

    /// Whether a file is surely as it was when the table was made, and lies where it did.
    /// - Parameter layout: nothing: where it lies is not asked.
    func isUnchanged(_ inode: UInt64, _ time: Int64, _ layout: UInt64?) -> Bool {
        files[inode].map { isUnchanged($0, time, layout) } ?? false
    }

    /// - Parameter then: what the table has of the file.
    func isUnchanged(_ then: Entry, _ time: Int64, _ layout: UInt64?) -> Bool {
        then.changed == time && isPast(time) && (layout ?? then.layout) == then.layout
    }

    /// No file was changed just before it was made: whatever is changed afterwards gets another time.
    var isQuiet: Bool { isStill && files.values.allSatisfy { isPast($0.changed) } }

    static let directory = FilePath("/var/lib/pmemshim/mirrors")

    private static func path(_ set: Superblock.Identifier) -> FilePath {
        directory.appending("\(set.description).files")
    }

    /// - Returns: nothing where there is none, or none that is whole.
    static func load(_ set: Superblock.Identifier) -> FileTable? {
        let options: FileDescriptor.OpenOptions = [.noFollow, .closeOnExec, .nonBlocking]
        guard let file = try? FileDescriptor.open(path(set), .readOnly, options: options) else {
            return nil
        }
        defer { try? file.close() }
        guard let facts = try? Stat(file), facts.type == .regular, facts.rawValue.st_uid == geteuid(),
            facts.rawValue.st_mode & 0o077 == 0, (headSize...Int64(16) << 30).contains(Int64(facts.rawValue.st_size))
        else { return nil }
        var words = [UInt64](repeating: 0, count: Int(facts.rawValue.st_size) / 8)
        let count = words.withUnsafeMutableBytes { try? file.fill($0, at: 0) }
        guard count == words.count * 8 else { return nil }
        return FileTable(words, set)
    }

    /// The one that proves what files held when the mirror's last pass copied them: made of a file system that stood
    /// still, of that very epoch, and of the same mount. After a crash files may hold what their times tell nothing of:
    /// fdatasync(2), and stores through MAP_SYNC, make data durable without the times.
    static func proof(of membership: SetMembership, _ primary: Primary) -> FileTable? {
        guard let table = current(membership, primary), table.isStill else { return nil }
        return table
    }

    /// The one of the last pass, if nothing can have changed unseen since.
    static func current(_ membership: SetMembership, _ primary: Primary) -> FileTable? {
        guard membership.state != .empty, let mount = primary.mount, mount.identity != 0,
            let table = load(membership.set), table.epoch == membership.epoch, table.mount == mount.identity,
            table.boot == boot,
            // Of two copies of one mirror, kept by turns, the other one was made at another time.
            !table.isStill || table.time == Int64(clamping: membership.epochTime)
        else { return nil }
        return table
    }

    private init?(_ words: [UInt64], _ set: Superblock.Identifier) {
        guard words.count >= Self.headWords + 1, words[0] == Self.magic, words.last == Self.check(words.dropLast()),
            words[1] == set.high, words[2] == set.low,
            words.count == Self.headWords + 1 + Int(clamping: min(words[7], 1 << 40)) * Self.entryWords
        else { return nil }
        self.set = set
        epoch = words[3]
        time = Int64(bitPattern: words[4])
        mount = words[5]
        boot = words[6]
        isStill = words[8] == 1
        var files: [UInt64: Entry] = [:]
        files.reserveCapacity(words.count / Self.entryWords)
        for index in stride(from: Self.headWords, to: words.count - 1, by: Self.entryWords) {
            files[words[index]] = Entry(
                changed: Int64(bitPattern: words[index + 1]), layout: words[index + 2], isDirect: words[index + 3] != 0)
        }
        self.files = files
    }

    init(
        set: Superblock.Identifier, epoch: UInt64, time: Int64, mount: UInt64, isStill: Bool, files: [UInt64: Entry]
    ) {
        self.set = set
        self.epoch = epoch
        self.time = time
        self.mount = mount
        self.isStill = isStill
        self.files = files
        boot = Self.boot
    }

    /// Nothing is said where it cannot be kept: the next pass then compares all.
    func keep() {
        var words = [
            Self.magic, set.high, set.low, epoch, UInt64(bitPattern: time), mount, boot, UInt64(files.count),
            isStill ? 1 : 0,
        ]
        words.reserveCapacity(words.count + files.count * Self.entryWords + 1)
        for (inode, entry) in files {
            words += [inode, UInt64(bitPattern: entry.changed), entry.layout, entry.isDirect ? 1 : 0]
        }
        words.append(Self.check(words[...]))
        Self.forget(set)
        for level in [Self.directory.removingLastComponent(), Self.directory] { mkdir(level.string, 0o755) }
        let draft = Self.directory.appending(".\(set.description).\(getpid())")
        _ = unlink(draft.string)
        do {
            let file = try FileDescriptor.open(
                draft, .writeOnly, options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
                permissions: .ownerReadWrite)
            try file.closeAfter { _ = try words.withUnsafeBytes { try file.writeAll($0) } }
            guard rename(draft.string, Self.path(set).string) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            _ = unlink(draft.string)
        }
    }

    static func forget(_ set: Superblock.Identifier) { _ = unlink(path(set).string) }

    /// Known of this run of the machine only.
    static let boot: UInt64 = {
        let text = ProcFile.text("/proc/sys/kernel/random/boot_id") ?? ""
        return UInt64(text.filter { $0.isHexDigit }.prefix(16), radix: 16) ?? 0
    }()

    /// CLOCK_REALTIME_COARSE, which file times are taken from, ns.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        return time.nanoseconds
    }

    private static let magic: UInt64 = 0x3353_454c_4946_4d50  // "PMFILES3" as bytes
    private static let headWords = 9
    /// Of each file.
    private static let entryWords = 4
    private static let headSize = Int64(headWords + 1) * 8

    private static func check(_ words: ArraySlice<UInt64>) -> UInt64 {
        words.withUnsafeBytes { bytes in bytes.baseAddress.map { UInt64(cmirror_checksum($0, bytes.count)) } ?? 0 }
    }
}
