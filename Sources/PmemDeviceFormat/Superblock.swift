import CShimSys

/// What the superblock of a device says, once it has been found true. The layout is `ps_superblock`.
package struct Superblock: Equatable, Sendable {
    /// Sixteen bytes as two words, in the order they have on media.
    package struct Identifier: Equatable, Sendable {
        package var high: UInt64
        package var low: UInt64

        package init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }

        /// Not a number: its bytes stand in the order they are written in.
        init(_ base: UnsafeRawPointer, _ offset: Int) {
            high = UInt64(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            low = UInt64(bigEndian: base.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
        }

        func store(_ base: UnsafeMutableRawPointer, _ offset: Int) {
            base.storeBytes(of: high.bigEndian, toByteOffset: offset, as: UInt64.self)
            base.storeBytes(of: low.bigEndian, toByteOffset: offset + 8, as: UInt64.self)
        }
    }

    package var identifier: Identifier
    package var geometry: DeviceGeometry
    /// Raised by every attach; flags in the page arrays count only with the generation they were set under. ``tag`` is
    /// never 0.
    package var generation: UInt64
    /// CLOCK_REALTIME when the device was created, ns; for people only.
    package var created: UInt64
    /// What a device that belongs to a set says of that; nothing: it stands alone.
    package var membership: SetMembership?

    /// - Parameter generation: nothing where its tag would be 0.
    package init?(identifier: Identifier, geometry: DeviceGeometry, generation: UInt64, created: UInt64) {
        guard UInt32(truncatingIfNeeded: generation) != 0 else { return nil }
        self.identifier = identifier
        self.geometry = geometry
        self.generation = generation
        self.created = created
        membership = nil
    }

    /// What stands beside the flags in the page arrays: the low half of the generation.
    package var tag: UInt32 { UInt32(truncatingIfNeeded: generation) }

    /// The superblock of the next attach.
    package var raised: Superblock {
        var next = self
        next.generation = generation &+ 1
        if next.tag == 0 { next.generation &+= 1 }
        return next
    }

    /// Bytes of one copy on media.
    package static let size = Int(PS_DEVICE_SUPERBLOCK)
    /// Offsets of the two copies.
    package static let offsets: [UInt64] = [0, UInt64(PS_DEVICE_COPY_OFFSET)]

    /// Puts the copy into the first ``size`` bytes of `target`.
    /// - Returns: false, and nothing written, where there is less room.
    package func write(to target: UnsafeMutableRawBufferPointer) -> Bool {
        guard target.count >= Self.size, let base = target.baseAddress else { return false }
        for index in 0..<Self.size { target[index] = 0 }
        func store<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, _ offset: Int) {
            base.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
        }
        store(UInt64(PS_DEVICE_MAGIC), SuperblockLayout.magic)
        store(UInt32(membership == nil ? PS_DEVICE_VERSION : PS_DEVICE_VERSION_SET), SuperblockLayout.version)
        store(UInt32(PS_DEVICE_SUPERBLOCK), SuperblockLayout.size)
        identifier.store(base, SuperblockLayout.uuid)
        store(geometry.pageSize, SuperblockLayout.pageSize)
        store(UInt32(PS_DEVICE_DESCRIPTOR), SuperblockLayout.descriptorSize)
        store(geometry.deviceSize, SuperblockLayout.deviceSize)
        store(geometry.sectionCount, SuperblockLayout.sectionCount)
        store(geometry.arrayOffset, SuperblockLayout.arrayOffset)
        store(geometry.dataOffset, SuperblockLayout.dataOffset)
        store(geometry.dataSize, SuperblockLayout.dataSize)
        store(generation, SuperblockLayout.generation)
        store(created, SuperblockLayout.created)
        membership?.store(base)
        store(ps_superblock_checksum(base), SuperblockLayout.checksum)
        return true
    }
}

/// Offsets in bytes within `ps_superblock`, proved against the C layout by a unit test.
enum SuperblockLayout {
    static let magic = 0
    static let version = 8
    static let size = 12
    static let uuid = 16
    static let pageSize = 32
    static let descriptorSize = 36
    static let deviceSize = 40
    static let sectionCount = 48
    static let arrayOffset = 56
    static let dataOffset = 64
    static let dataSize = 72
    static let generation = 80
    static let created = 88
    static let checksum = 4_092
}
