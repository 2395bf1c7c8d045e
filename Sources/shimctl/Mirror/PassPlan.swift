import Glibc
import PmemShim
import SystemPackage

/// Which pages a pass has to compare, and why no others.
struct PassPlan {
    enum Kind: String {
        /// All pages.
        case full
        /// All but those that belong to files that are unchanged, or to nobody.
        case files
        /// What the kernel has seen being written to, and changed files.
        case changes
    }

    let kind: Kind
    let pages: PageRanges
    /// When each file was changed last; nothing where it cannot be told.
    let files: [UInt64: FileTable.Entry]?
    /// CLOCK_REALTIME_COARSE before the first file was looked at, ns.
    let time: Int64
    /// The pages of files that are surely unchanged, where these are known.
    let unchanged: PageRanges?
    /// A file of which it cannot be told where it lies, for it cannot be opened (a lease, fcntl(2)).
    var unknown: String?
}

/// Finds that out.
struct PassPlanner {
    let primary: Primary
    /// Asked at each file: throws where the look at all of them takes too long.
    var check: () throws -> Void = {}

    /// - Parameters:
    ///   - table: of the last pass, if it counts.
    ///   - traced: what was written to since, if that is known.
    ///   - wantsAll: all pages are to be compared.
    ///   - time: CLOCK_REALTIME_COARSE before what was dirty was written back, ns; nothing: now, all stands still.
    ///   - lists: whether to say which files are unchanged, which means to look at every file's extents.
    func plan(table: FileTable?, traced: PageRanges?, wantsAll: Bool, lists: Bool, time: Int64?) throws
        -> PassPlan
    {
        let time = time ?? FileTable.now
        let all = PageRanges([0..<primary.geometry.pageCount])
        guard let mount = primary.mount, mount.tellsFiles else {
            // Where no page is mapped directly, every write is traced.
            let isTraced = traced != nil && primary.mount?.directFiles == Primary.Mount.DirectFiles.none && !wantsAll
            return PassPlan(
                kind: isTraced ? .changes : .full, pages: isTraced ? traced ?? all : all, files: nil, time: time,
                unchanged: nil)
        }
        let needsUnchanged = lists || traced == nil
        // What is not mapped directly and was written to, the trace has.
        let needed: Scan.Needed = wantsAll ? .none : traced == nil ? .all : .direct
        let scan: Scan
        do {
            scan = try self.scan(table, needsUnchanged: needsUnchanged && table != nil, changed: needed)
        } catch is Errno {
            return PassPlan(kind: .full, pages: all, files: nil, time: time, unchanged: nil)
        }
        let unchanged = table == nil || !needsUnchanged ? nil : scan.unchanged
        guard !wantsAll, table != nil, let changed = scan.changed else {
            return PassPlan(
                kind: .full, pages: all, files: scan.files, time: time, unchanged: unchanged, unknown: scan.unknown)
        }
        if let traced {
            return PassPlan(
                kind: .changes, pages: traced.union(changed), files: scan.files, time: time, unchanged: unchanged)
        }
        guard let free = primary.freePages(), let unchanged else {
            return PassPlan(kind: .full, pages: all, files: scan.files, time: time, unchanged: unchanged)
        }
        let pages = all.subtracting(free).subtracting(unchanged).union(changed)
        return PassPlan(kind: .files, pages: pages, files: scan.files, time: time, unchanged: unchanged)
    }

    /// Bytes that files take which have changed since `table` was made, or may have, or are new: no fewer, unless
    /// blocks have been moved. Where they lie is not asked, which takes half of a look at everything.
    /// - Returns: nothing where it cannot be told.
    func changedBytes(since table: FileTable) throws -> UInt64? {
        var bytes: UInt64 = 0
        do {
            try primary.mount?.scan.forEachFile {
                if !table.isUnchanged($0.inode, $0.changed, nil) { bytes += $0.size }
            }
        } catch is Errno {
            return nil
        }
        return bytes
    }

    /// The plan where nothing at all has changed, which need not look at any file. Of ext4 on DAX, while it stands
    /// still: all that was dirty has been written by then, the times of files that were stored to as well, so that the
    /// tracer has seen the journal, or the tables of inodes, being written to. Only the superblock, the first page, is
    /// written by the freeze itself; xfs writes to its log as well.
    /// - Returns: nothing where something has.
    func nothing(since table: FileTable?, traced: PageRanges?) -> PassPlan? {
        guard let table, let traced, let mount = primary.mount, mount.type == "ext4", mount.directFiles == .all,
            primary.pageSize == 4_096, traced.ranges.allSatisfy({ $0 == 0..<1 }), table.isQuiet
        else { return nil }
        return PassPlan(kind: .changes, pages: traced, files: table.files, time: FileTable.now, unchanged: nil)
    }

    /// No call of write(2) takes longer, ns.
    static let longestWrite: Int64 = 600_000_000_000

    private struct Scan {
        /// Of which files it has to be found out where they lie, if they have changed.
        enum Needed {
            case none, direct, all
        }

        var files: [UInt64: FileTable.Entry] = [:]
        /// Nothing where it cannot be told of one of them where it lies.
        var changed: PageRanges?
        var unchanged = PageRanges()
        var unknown: String?
    }

    /// Waits for all writes that are under way: of what they have written it may be that only a later look tells.
    func settle() throws {
        let recent = FileTable.now - Self.longestWrite
        try primary.mount?.scan.forEachFile { if $0.changed > recent { FileScan.settle($0) } }
    }

    private func scan(_ table: FileTable?, needsUnchanged: Bool, changed needed: Scan.Needed) throws -> Scan {
        var result = Scan()
        var changed: [Range<UInt64>] = []
        var unchanged = FilePages(primary)
        let directFiles = primary.mount?.directFiles ?? .none
        let isExt4 = primary.mount?.type == "ext4"
        let recent = FileTable.now - Self.longestWrite
        // A little more, so that some new ones do not have all of it made anew.
        result.files.reserveCapacity((table?.files.count ?? 0) * 9 / 8)
        try primary.mount?.scan.forEachFile { file in
            try check()
            let then = table?.files[file.inode]
            let seemsUnchanged = then.map { table?.isUnchanged($0, file.changed, nil) ?? false } ?? false
            let isDirect = directFiles == .all || directFiles == .some && file.isDirect
            if isDirect, !seemsUnchanged, file.changed > recent { FileScan.settle(file) }
            // Blocks that are moved without a change of times are copied by writes, which are traced but on DAX; and
            // ext4 moves none on DAX (EXT4_IOC_MOVE_EXT is refused; EXT4_IOC_SWAP_BOOT sets the times).
            // The attribute takes effect when the file is opened again, without another change of times.
            let wasDirect = then?.isDirect ?? false
            if let then, seemsUnchanged, !needsUnchanged, !(isDirect || wasDirect) || isExt4 {
                result.files[file.inode] = .init(
                    changed: then.changed, layout: then.layout, isDirect: isDirect || wasDirect)
                return
            }
            // By another name of it.
            guard result.files[file.inode] == nil else { return }
            // What had been stored to before it was put into the page cache counts, too.
            let isNeeded =
                switch needed {
                case .none: false
                case .direct: isDirect || wasDirect
                case .all: true
                }
            guard let extents = FileScan.extents(of: file) else {
                // Its times are forgotten, so that it counts as changed.
                if isNeeded { result.unknown = file.path }
                return
            }
            let layout = FileScan.layout(extents)
            result.files[file.inode] = .init(changed: file.changed, layout: layout, isDirect: isDirect)
            if let then, table?.isUnchanged(then, file.changed, layout) ?? false {
                if needsUnchanged { unchanged.add(extents) }
            } else if isNeeded || needsUnchanged {
                changed += FileScan.pages(
                    extents, pageSize: primary.pageSize, pageCount: primary.geometry.pageCount)
            }
        }
        result.changed = result.unknown == nil ? PageRanges(changed) : nil
        // What is shared by both may have changed.
        result.unchanged = unchanged.whole.subtracting(PageRanges(changed))
        return result
    }
}

/// Pages that hold nothing but what some files have. Blocks may be smaller than pages: then one page can be of several
/// files, and of the file system itself.
struct FilePages {
    private let pageSize: UInt64
    private let pageCount: UInt64
    private var bytes: [Range<UInt64>] = []

    init(_ primary: Primary) {
        pageSize = primary.pageSize
        pageCount = primary.geometry.pageCount
    }

    /// Of one file.
    mutating func add(_ extents: [(bytes: Range<UInt64>, offset: UInt64)]) { bytes += extents.map(\.bytes) }

    var whole: PageRanges {
        PageRanges(
            PageRanges(bytes).ranges.map {
                PageRanges.within($0.lowerBound, $0.upperBound - $0.lowerBound, pageSize: pageSize, end: pageCount)
            })
    }
}
