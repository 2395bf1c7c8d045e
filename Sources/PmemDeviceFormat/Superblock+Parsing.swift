import CShimSys

extension Superblock {
    /// Reads one copy. Nothing in it is trusted: all that follows from the device's size and the page size is computed
    /// anew and compared.
    ///
    /// - Parameters:
    ///   - bytes: what stands at one of ``offsets``; what is behind the first ``size`` bytes is not looked at.
    ///   - deviceSize: bytes the device has now; nothing if not known. A superblock may speak of less, never of more.
    /// - Throws: the first field that is wrong.
    package init(parsing bytes: UnsafeRawBufferPointer, deviceSize actual: UInt64? = nil) throws(SuperblockError) {
        guard bytes.count >= Self.size, let base = bytes.baseAddress else {
            throw SuperblockError(.magic, .truncated, found: UInt64(bytes.count), expected: UInt64(Self.size))
        }
        func number32(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        func number64(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        func demand(_ field: SuperblockError.Field, _ found: UInt64, is expected: UInt64) throws(SuperblockError) {
            guard found == expected else { throw SuperblockError(field, .wrong, found: found, expected: expected) }
        }

        try demand(.magic, number64(SuperblockLayout.magic), is: UInt64(PS_DEVICE_MAGIC))
        // Before the checksum: a later version may keep its own elsewhere.
        let version = number32(SuperblockLayout.version)
        guard version <= PS_DEVICE_VERSION_SET else {
            throw SuperblockError(.version, .newer, found: UInt64(version), expected: UInt64(PS_DEVICE_VERSION_SET))
        }
        try demand(.checksum, UInt64(number32(SuperblockLayout.checksum)), is: UInt64(ps_superblock_checksum(base)))
        guard version >= PS_DEVICE_VERSION else {
            throw SuperblockError(.version, .wrong, found: UInt64(version), expected: UInt64(PS_DEVICE_VERSION))
        }
        try demand(.size, UInt64(number32(SuperblockLayout.size)), is: UInt64(Self.size))
        let pageSize = number32(SuperblockLayout.pageSize)
        guard pageSize == 4_096 || pageSize == 16_384 || pageSize == 65_536 else {
            throw SuperblockError(.pageSize, .absurd, found: UInt64(pageSize))
        }
        try demand(
            .descriptorSize, UInt64(number32(SuperblockLayout.descriptorSize)), is: UInt64(PS_DEVICE_DESCRIPTOR))
        let deviceSize = number64(SuperblockLayout.deviceSize)
        guard let geometry = DeviceGeometry(deviceSize: deviceSize, pageSize: pageSize) else {
            throw SuperblockError(.deviceSize, .absurd, found: deviceSize)
        }
        if let actual, deviceSize > actual {
            throw SuperblockError(.deviceSize, .beyondDevice, found: deviceSize, expected: actual)
        }
        try demand(.sectionCount, number64(SuperblockLayout.sectionCount), is: geometry.sectionCount)
        try demand(.arrayOffset, number64(SuperblockLayout.arrayOffset), is: geometry.arrayOffset)
        try demand(.dataOffset, number64(SuperblockLayout.dataOffset), is: geometry.dataOffset)
        try demand(.dataSize, number64(SuperblockLayout.dataSize), is: geometry.dataSize)
        let generation = number64(SuperblockLayout.generation)
        guard
            var whole = Superblock(
                identifier: Identifier(base, SuperblockLayout.uuid), geometry: geometry, generation: generation,
                created: number64(SuperblockLayout.created))
        else { throw SuperblockError(.generation, .absurd, found: generation) }
        if version == PS_DEVICE_VERSION_SET {
            whole.membership = try SetMembership(base, geometry: geometry, actual: actual)
        }
        self = whole
    }
}
