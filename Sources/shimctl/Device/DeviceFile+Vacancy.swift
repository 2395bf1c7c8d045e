import CBlock
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// Whether anything is on a device. What no library knows by name is somebody's all the same.
extension DeviceFile {
    /// Where the first byte is that is not 0, at `start` or behind it; nothing where there is none.
    ///
    /// Of a file, all that has been given room is read. Of a block device of more than 1 GiB, the first and the last
    /// 8 MiB, where data would begin, and 64 KiB at each of 1,024 places: some seconds on a disk that has to move its
    /// heads.
    /// - Throws: also where something cannot be read: nobody can say that it is empty.
    func firstContent(from start: UInt64 = 0) throws -> UInt64? {
        if !isBlockDevice { return try firstContentOfFile(from: start) }
        for range in rangesToLookAt where range.upperBound > start {
            if let found = try firstByte(in: max(range.lowerBound, start)..<range.upperBound) { return found }
        }
        return nil
    }

    /// What is on it, for a message: what libblkid or libmagic calls it, else where it begins. Nothing for an empty
    /// one.
    func occupant() throws -> String? {
        let first = try firstContent()
        // Of a large block device only samples were looked at: libblkid knows more places.
        guard first != nil || isBlockDevice else { return nil }
        if let known = try? DeviceContent(of: self).found() { return known }
        guard let first else { return nil }
        return try magic() ?? "data (its first byte that is not 0 is at \(Figures.count(first)))"
    }

    /// What libmagic calls it, where it is installed and knows it by its beginning.
    private func magic() throws -> String? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        let count = try read(into: buffer, at: 0)
        return MagicLibrary.name(of: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }

    private var rangesToLookAt: [Range<UInt64>] {
        guard size > 1 << 30 else { return [0..<size] }
        let edge: UInt64 = 8 << 20
        let starts = DeviceGeometry.pageSizes.compactMap {
            DeviceGeometry(deviceSize: size, pageSize: $0)?.dataOffset
        }
        let samples = (1..<1_024).map { $0 * (size / 1_024 / 65_536 * 65_536) }.map { $0..<$0 + 65_536 }
        return [0..<edge, size - edge..<size] + starts.map { $0..<$0 + (1 << 20) } + samples
    }

    private func firstContentOfFile(from start: UInt64) throws -> UInt64? {
        let progress = ProgressLine("looking for content", total: size)
        defer { progress.end() }
        var offset = off_t(start)
        while offset < off_t(size) {
            // A file system that cannot tell says that all is data.
            let data = lseek(descriptor.rawValue, offset, Int32(CBLOCK_SEEK_DATA))
            if data < 0, errno == ENXIO { return nil }
            let begin = data < 0 ? offset : data
            let hole = lseek(descriptor.rawValue, begin, Int32(CBLOCK_SEEK_HOLE))
            let end = hole > begin ? hole : off_t(size)
            if let found = try firstByte(in: UInt64(begin)..<UInt64(end), progress) { return found }
            offset = end
        }
        return nil
    }

    /// Where in `range` the first byte is that is not 0.
    func firstByte(in range: Range<UInt64>, _ progress: ProgressLine? = nil) throws -> UInt64? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4_096)
        defer { buffer.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let wanted = Int(min(UInt64(buffer.count), range.upperBound - offset))
            let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: offset)
            if let index = buffer[..<count].firstIndexOfContent { return offset + UInt64(index) }
            guard count == wanted else { return nil }
            offset += UInt64(count)
            progress?.show(offset)
        }
        return nil
    }
}

extension Slice<UnsafeMutableRawBufferPointer> {
    /// Of the first byte that is not 0.
    fileprivate var firstIndexOfContent: Int? {
        let words = count / 8
        var index = 0
        while index < words, base.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self) == 0 { index += 1 }
        return (index * 8..<count).first { base[$0] != 0 }
    }
}
