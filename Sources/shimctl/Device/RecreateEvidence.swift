import CShimSys
import PmemDeviceFormat
import PmemShim

/// Whether a device without any superblock looks as one of ours does. Written with another page size or size, a
/// superblock has the data begin where it does not: so there must be something that speaks for the parameters, and
/// nothing against.
struct RecreateEvidence {
    private let file: DeviceFile
    private let pair: SuperblockPair

    init(_ file: DeviceFile, _ pair: SuperblockPair) {
        self.file = file
        self.pair = pair
    }

    /// What stands where nothing does on a device of ours, whatever its parameters; nothing where nothing does.
    func stranger() throws -> String? {
        for gap in Self.gaps where try file.firstByte(in: gap) != nil { return try file.occupant() }
        return nil
    }

    /// What speaks against that layout, or that nothing speaks for it; nothing where it may be written.
    func objection(to geometry: DeviceGeometry) throws -> String? {
        let damaged = try damagedCopies()
        for copy in damaged where copy.pageSize != geometry.pageSize || copy.deviceSize != geometry.deviceSize {
            return "a damaged copy of the superblock says \(copy.deviceSize) bytes and pages of \(copy.pageSize)"
        }
        if try content(geometry) != nil || !damaged.isEmpty { return nil }
        if let (other, found) = try others(than: geometry).first {
            return "with --page-size \(other.pageSize) there would be \(found)"
        }
        // All is empty: there is nothing that could be lost.
        guard let found = try file.firstContent() else { return nil }
        return "at \(Figures.count(geometry.dataOffset)), where the data would begin, there is no file system that is"
            + " known, but there is data at \(Figures.count(found))"
    }

    /// What may help to find the parameters that were given to create.
    func hint() throws -> String {
        if let copy = try damagedCopies().first {
            return "; a damaged copy of the superblock says --size \(copy.deviceSize) --page-size \(copy.pageSize)"
        }
        return try others(than: nil).map { "; with --page-size \($0.0.pageSize) there would be \($0.1)" }.joined()
    }

    /// What libblkid finds where the data would begin.
    func content(_ geometry: DeviceGeometry) throws -> String? {
        let end = geometry.dataOffset + geometry.dataSize
        guard end <= file.size else { return nil }
        return try DeviceContent(of: file).found(in: geometry.dataOffset..<end)
    }

    /// Layouts with other page sizes under which there would be something known.
    func others(than geometry: DeviceGeometry?) throws -> [(DeviceGeometry, String)] {
        try DeviceGeometry.pageSizes.compactMap { pageSize in
            guard let other = DeviceGeometry(deviceSize: geometry?.deviceSize ?? file.size, pageSize: pageSize),
                other.dataOffset != geometry?.dataOffset, let found = try content(other)
            else { return nil }
            return (other, found)
        }
    }

    /// Nothing is ever written there.
    private static let gaps = [
        UInt64(PS_DEVICE_SUPERBLOCK)..<UInt64(PS_DEVICE_COPY_OFFSET),
        UInt64(PS_DEVICE_COPY_OFFSET) + UInt64(PS_DEVICE_SUPERBLOCK)..<UInt64(PS_DEVICE_ARRAY_OFFSET),
    ]

    /// What copies say that have our magic number and nothing else that is sure.
    private func damagedCopies() throws -> [(deviceSize: UInt64, pageSize: UInt32)] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Superblock.size, alignment: 8)
        defer { buffer.deallocate() }
        return try zip(Superblock.offsets, [pair.first, pair.second]).compactMap { offset, copy in
            guard case .broken(let reason) = copy, reason.field != .magic,
                try file.read(into: buffer, at: offset) == buffer.count
            else { return nil }
            func number<Number: FixedWidthInteger & BitwiseCopyable>(
                _ field: PartialKeyPath<ps_superblock>, _ type: Number.Type
            ) -> Number {
                let offset = MemoryLayout<ps_superblock>.offset(of: field) ?? 0
                return Number(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: type))
            }
            let pageSize = number(\.page_size, UInt32.self)
            let deviceSize = number(\.device_size, UInt64.self)
            // A field that no device can have is where the damage is.
            guard DeviceGeometry(deviceSize: deviceSize, pageSize: pageSize) != nil else { return nil }
            return (deviceSize, pageSize)
        }
    }
}

extension DeviceFile {
    /// Where one copy of the superblock is whole, the other's place may have been given to something else since (mkfs
    /// on the whole device leaves the second copy): that is not overwritten unasked.
    func demandOwnBeginning(_ pair: SuperblockPair) throws {
        guard pair.agreement == .oneBroken, let found = try DeviceContent(of: self).foundBeforeArrays() else { return }
        throw Complaint(
            .failure,
            "\"\(path.string.printable)\" holds \(found), though one copy of a superblock is left: not overwritten"
                + " without shimctl create --recreate --force")
    }
}
