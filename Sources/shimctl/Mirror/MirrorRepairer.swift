import CMirror
import CShimSys
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// Puts pages of the primary back from the mirror, and of the mirror from the primary, where the copy is proven to be
/// what the page has to be.
final class MirrorRepairer {
    enum Outcome: Equatable {
        case restored
        /// The mirror's page, from the primary's.
        case mirrored
        /// Nothing was wrong with it.
        case intact
        /// Why it was left alone.
        case refused(String)
    }

    private let devices: MirrorSet
    private let membership: SetMembership
    private let table: FileTable?
    /// A copy that may be old is put back all the same.
    private let takesStale: Bool
    private let freezeLimit: Double
    private var primary: Primary { devices.primary }
    private var mirror: MirrorDevice { devices.mirror }

    init(_ devices: MirrorSet, takesStale: Bool, freezeLimit: Double) throws {
        self.devices = devices
        self.takesStale = takesStale
        self.freezeLimit = freezeLimit
        let membership = try devices.mirror.membership
        self.membership = membership
        table = FileTable.proof(of: membership, devices.primary)
    }

    /// Those of `pages` that are wrong, as far as they may be. While it is at work the file system stands still.
    func run(_ pages: [UInt64]) throws -> [UInt64: Outcome] {
        try primary.synchronise()
        var outcomes: [UInt64: Outcome] = [:]
        let watchdog = primary.mount == nil ? nil : try Watchdog(limit: freezeLimit)
        // In parts, so that the file system does not stand still for long.
        for start in stride(from: 0, to: pages.count, by: 1_024) {
            let part = Array(pages[start..<min(start + 1_024, pages.count)])
            let freezer = watchdog.flatMap { watchdog in primary.mount.map { Freezer($0.scan.root, watchdog) } }
            try freezer?.freeze()
            do {
                let owners = try ownership(part)
                // What is written after the file system was let go on might overwrite what came since.
                for page in part { outcomes[page] = try repair(page, owners) { freezer?.holds ?? true } }
                try mirror.flush()
            } catch {
                _ = try? freezer?.thaw()
                throw error
            }
            do {
                _ = try freezer?.thaw()
            } catch {
                // The last write began in time, and may have ended late.
                let written = part.filter { outcomes[$0] == .restored }
                guard !written.isEmpty else { continue }
                throw Complaint(
                    .failure,
                    "the file system was let go on before the last of \(written.count) pages from \(written[0]) on"
                        + " was known to be written, and what programs wrote to them just then may be lost: a longer"
                        + " --freeze-limit prevents that")
            }
        }
        forget(outcomes.filter { $0.value == .restored }.map(\.key))
        return outcomes
    }

    private struct Ownership {
        var owned: [UInt64: (path: String, isUnchanged: Bool)] = [:]
        /// Pages that hold nothing but what unchanged files have.
        var unchanged = PageRanges()
        var free = PageRanges()
        var isKnown = false
        /// The file system has changed nothing of its own since the mirror's state.
        var isMetadataUnchanged = false
    }

    private func ownership(_ pages: [UInt64]) throws -> Ownership {
        var result = Ownership()
        guard let mount = primary.mount, mount.tellsFiles else { return result }
        guard let free = primary.freePages() else { return result }
        result.isKnown = true
        result.free = free
        result.isMetadataUnchanged = table?.isQuiet == true && JournalProof.isUnchanged(devices)
        let sorted = pages.sorted()
        var unchanged = FilePages(primary)
        var changed: [Range<UInt64>] = []
        do {
            try forEachFile(mount, sorted, &result, &unchanged, &changed)
        } catch {
            // Whatever could not be looked at might own it.
            result.isKnown = false
        }
        result.unchanged = unchanged.whole.subtracting(PageRanges(changed))
        return result
    }

    private func forEachFile(
        _ mount: Primary.Mount, _ sorted: [UInt64], _ result: inout Ownership, _ unchanged: inout FilePages,
        _ changed: inout [Range<UInt64>]
    ) throws {
        try mount.scan.forEachFile { file in
            guard let extents = FileScan.extents(of: file) else {
                // It might be the one.
                result.isKnown = false
                return
            }
            let found = FileScan.pages(extents, pageSize: primary.pageSize, pageCount: primary.geometry.pageCount)
            let ranges = PageRanges(found)
            let isUnchanged = table?.isUnchanged(file.inode, file.changed, FileScan.layout(extents)) ?? false
            if isUnchanged { unchanged.add(extents) } else { changed += found }
            for page in sorted where ranges.contains(page) {
                let before = result.owned[page]?.isUnchanged ?? true
                result.owned[page] = (mount.point + file.path, isUnchanged && before)
            }
        }
    }

    /// - Parameter isStill: whether the file system still stands still, and will for a while.
    private func repair(_ page: UInt64, _ owners: Ownership, while isStill: () -> Bool) throws -> Outcome {
        let late = Outcome.refused("--freeze-limit is too short for so many")
        guard isStill() else { return late }
        let size = Int(mirror.pageSize)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4_096)
        let mine = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4_096)
        defer {
            copy.deallocate()
            mine.deallocate()
        }
        try mirror.read(copy, page: page)
        let isReadable = try primary.read(mine, page: page)
        if devices.isLive {
            // Whatever reached the one has reached the other.
            if isReadable, PageCopier.isEqual(mine, copy) { return .intact }
            if !isReadable, isStill() {
                try restore(copy, page)
                return .restored
            }
        }
        let record = try mirror.records(of: page..<page + 1)[page]
        guard let record, let other = copy.baseAddress, let own = mine.baseAddress else {
            return .refused("the mirror has no record of it that counts")
        }
        let isCopyWhole = cmirror_checksum(other, size) == record.checksum
        let isOwnWhole = isReadable && cmirror_checksum(own, size) == record.checksum
        if isOwnWhole, isCopyWhole { return .intact }
        // What was read may have taken its time.
        guard isStill() else { return late }
        if isOwnWhole {
            try mirror.write(UnsafeRawBufferPointer(mine), page: page)
            return .mirrored
        }
        guard isCopyWhole else {
            return .refused(
                membership.passEpoch == 0
                    ? "the mirror's copy is damaged as well (mirror sync --full --freeze copies what the device has)"
                    : "a pass that was cut short has left the copy half done")
        }
        if let objection = objection(page, record, owners, isReadable), !takesStale { return .refused(objection) }
        guard isStill() else { return late }
        try restore(copy, page)
        return .restored
    }

    /// Why the mirror's copy, which is whole, may not be what the page has to be; nothing where it is.
    private func objection(_ page: UInt64, _ record: MirrorRecords.Record, _ owners: Ownership, _ isReadable: Bool)
        -> String?
    {
        let age = "the copy is of \(MirrorStatus.time(membership.epochTime))"
        if membership.passEpoch != 0 { return "a pass was cut short, and the copies are of different ages" }
        let isSettled = !isReadable && page > 0 && owners.isMetadataUnchanged && record.epoch + 2 <= membership.epoch
        if primary.mount != nil, !owners.isKnown {
            // Nothing has changed at all, whoever owns it.
            if isSettled, owners.owned[page]?.isUnchanged ?? true { return nil }
            return "it cannot be told to which file it belongs; \(age)"
        }
        if let owner = owners.owned[page] {
            guard table != nil else { return "it is not known what has changed since the last pass; \(age)" }
            if owners.unchanged.contains(page) { return nil }
            return owner.isUnchanged
                ? "\(owner.path.printable) shares it with what may have changed; \(age)"
                : "\(owner.path.printable) has changed since the copy; \(age)"
        }
        // Nobody's: whatever it holds.
        if owners.free.contains(page) { return nil }
        guard primary.mount != nil else {
            return "nothing is mounted, so that nobody can tell what has changed since: mount it first; \(age)"
        }
        // That it differs from its copy is what metadata does.
        guard !isReadable else { return "it is metadata, and can be read: nobody can tell that it is wrong; \(age)" }
        // The superblock's page, the first one, is also written to beside the journal.
        return isSettled ? nil : "it is metadata that may have changed since the copy, or shortly before; \(age)"
    }

    private func restore(_ bytes: UnsafeMutableRawBufferPointer, _ page: UInt64) throws {
        let raw = try DirectFile.open(primary.file, .readWrite)
        defer { try? raw.close() }
        let offset = primary.geometry.dataOffset + page * primary.pageSize
        try DeviceFile.complaining("\(primary.name), page \(page)") {
            _ = try raw.writeAll(toAbsoluteOffset: Int64(offset), UnsafeRawBufferPointer(bytes))
        }
        guard fsync(raw.rawValue) == 0 else {
            throw Complaint(.failure, "\(primary.name): fsync: \(Errno(rawValue: errno))")
        }
    }

    /// What remembers the page as it was: the kernel's caches, and the engine's memory of bad pages.
    private func forget(_ pages: [UInt64]) {
        guard !pages.isEmpty, let attachment = primary.attachment else { return }
        for path in Set(PageNames(primary).locate(pages).values.map(\.path)) {
            guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: [.noFollow, .closeOnExec])
            else { continue }
            // All of it: the kernel drops no part of what it caches in one piece.
            _ = posix_fadvise(file.rawValue, 0, 0, POSIX_FADV_DONTNEED)
            try? file.close()
        }
        if let path = attachment.data.path,
            let blocks = try? FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
        {
            cmirror_forget_buffers(blocks.rawValue)
            try? blocks.close()
        }
        for page in pages { clearBad(page, attachment) }
    }

    /// The array is soft: a word that somebody changes at this moment is a hint lost.
    private func clearBad(_ page: UInt64, _ attachment: Attachment) {
        guard
            let arrays = try? FileDescriptor.open(
                FilePath(attachment.pagesPath), .readWrite, options: [.noFollow, .closeOnExec])
        else { return }
        defer { try? arrays.close() }
        let place = Int64(page) * Int64(PS_DEVICE_DESCRIPTOR)
        var word: UInt64 = 0
        let count = withUnsafeMutableBytes(of: &word) { try? arrays.fill($0, at: place) }
        let bad = UInt64(PS_PAGE_BAD.rawValue)
        guard count == 8, UInt64(littleEndian: word) & bad != 0 else { return }
        word = (UInt64(littleEndian: word) & ~bad).littleEndian
        _ = withUnsafeBytes(of: word) { try? arrays.writeAll(toAbsoluteOffset: place, $0) }
    }
}
