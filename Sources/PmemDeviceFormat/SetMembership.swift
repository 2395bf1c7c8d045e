import CShimSys

/// What the superblock of a device says of the set that it belongs to, a device and its mirror: version 2 of the
/// format.
package struct SetMembership: Equatable, Sendable {
    package enum Role: UInt32, Sendable {
        /// The one that is used.
        case primary = 1
        /// Its copy.
        case mirror = 2
        /// Was a mirror, and is used in place of the primary since.
        case promoted = 3
    }

    package enum State: UInt32, Sendable {
        /// No pass has ended.
        case empty = 0
        /// Each page is as it was at some moment of the last pass.
        case copied = 1
        /// All pages are as they were at one moment.
        case point = 2
        /// The kernel writes to both.
        case kernel = 3
    }

    /// Where a mirror keeps pages that do not belong into its data area yet.
    package struct Log: Equatable, Sendable {
        /// Bytes from the start of the device: a multiple of 4 KiB, behind the part that the geometry knows.
        package var offset: UInt64
        /// Bytes; 0: there is none.
        package var size: UInt64
        /// Pages in it that belong into the data area; 0: it is empty.
        package var count: UInt64 = 0
        /// What ``epoch`` and ``epochTime`` are once these pages are there.
        package var epoch: UInt64 = 0
        package var epochTime: UInt64 = 0
        /// CRC-32C of its first `count` entries.
        package var checksum: UInt32 = 0

        package init(offset: UInt64, size: UInt64) {
            self.offset = offset
            self.size = size
        }
    }

    package var role: Role
    package var state: State
    /// Of the set.
    package var set: Superblock.Identifier
    /// Of the other device.
    package var peer: Superblock.Identifier
    /// Raised whenever something here is changed: of two copies the higher one counts.
    package var sequence: UInt64
    /// Of the last pass that ended; passes are counted from 1.
    package var epoch: UInt64
    /// CLOCK_REALTIME of the state that it copied, ns.
    package var epochTime: UInt64
    /// Of the pass that is changing the data area in place; 0: none.
    package var passEpoch: UInt64
    package var log: Log
    /// Where the other device was last found, UTF-8, at most 1,023 bytes; a hint, checked by ``peer``.
    package var peerPath: [UInt8] {
        didSet { peerPath = Self.bounded(peerPath) }
    }

    package init(role: Role, set: Superblock.Identifier, peer: Superblock.Identifier, peerPath: [UInt8], log: Log) {
        self.role = role
        self.set = set
        self.peer = peer
        self.peerPath = Self.bounded(peerPath)
        self.log = log
        state = .empty
        sequence = 1
        epoch = 0
        epochTime = 0
        passEpoch = 0
    }

    private static func bounded(_ path: [UInt8]) -> [UInt8] { Array(path.prefix(Int(PS_MIRROR_PATH) - 1)) }

    /// What stands in every record of the set's pages: the first four bytes of ``set``.
    package var tag: UInt32 { UInt32(truncatingIfNeeded: set.high >> 32).byteSwapped }

    /// - Parameters:
    ///   - base: the superblock.
    ///   - actual: bytes that the device has now; nothing: not known.
    /// - Throws: the first field that is wrong.
    init(_ base: UnsafeRawPointer, geometry: DeviceGeometry, actual: UInt64?) throws(SuperblockError) {
        func number32(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        func number64(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        guard let role = Role(rawValue: number32(Layout.role)) else {
            throw SuperblockError(.setRole, .absurd, found: UInt64(number32(Layout.role)))
        }
        guard let state = State(rawValue: number32(Layout.state)) else {
            throw SuperblockError(.mirrorState, .absurd, found: UInt64(number32(Layout.state)))
        }
        var log = Log(offset: number64(Layout.logOffset), size: number64(Layout.logSize))
        log.count = number64(Layout.logCount)
        log.epoch = number64(Layout.logEpoch)
        log.epochTime = number64(Layout.logTime)
        log.checksum = number32(Layout.logChecksum)
        // They are counted on from here.
        for number in [Layout.sequence, Layout.epoch, Layout.passEpoch, Layout.logEpoch].map(number64)
        where number >= 1 << 62 {
            throw SuperblockError(.setCounters, .absurd, found: number)
        }
        guard log.isPossible(geometry) else { throw SuperblockError(.mirrorLog, .absurd, found: log.size) }
        if let actual, log.size > 0, log.offset + log.size > actual {
            throw SuperblockError(.mirrorLog, .beyondDevice, found: log.size, expected: actual)
        }
        self.role = role
        self.state = state
        set = .init(base, Layout.set)
        peer = .init(base, Layout.peer)
        sequence = number64(Layout.sequence)
        epoch = number64(Layout.epoch)
        epochTime = number64(Layout.epochTime)
        passEpoch = number64(Layout.passEpoch)
        self.log = log
        let path = UnsafeRawBufferPointer(start: base + Layout.peerPath, count: Int(PS_MIRROR_PATH))
        peerPath = Array(path.prefix { $0 != 0 }.prefix(Int(PS_MIRROR_PATH) - 1))
    }

    /// Into the superblock at `base`.
    func store(_ base: UnsafeMutableRawPointer) {
        func store<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, _ offset: Int) {
            base.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
        }
        store(role.rawValue, Layout.role)
        store(state.rawValue, Layout.state)
        set.store(base, Layout.set)
        peer.store(base, Layout.peer)
        store(sequence, Layout.sequence)
        store(epoch, Layout.epoch)
        store(epochTime, Layout.epochTime)
        store(passEpoch, Layout.passEpoch)
        store(log.offset, Layout.logOffset)
        store(log.size, Layout.logSize)
        store(log.count, Layout.logCount)
        store(log.epoch, Layout.logEpoch)
        store(log.epochTime, Layout.logTime)
        store(log.checksum, Layout.logChecksum)
        for (index, byte) in peerPath.enumerated() { store(byte, Layout.peerPath + index) }
    }

    /// Offsets in bytes within `ps_superblock`, proved against the C layout by a unit test.
    enum Layout {
        static let role = 96
        static let state = 100
        static let set = 104
        static let peer = 120
        static let sequence = 136
        static let epoch = 144
        static let epochTime = 152
        static let passEpoch = 160
        static let logOffset = 168
        static let logSize = 176
        static let logCount = 184
        static let logEpoch = 192
        static let logTime = 200
        static let logChecksum = 208
        static let peerPath = 216
    }
}

extension SetMembership.Log {
    /// Pages that a log of `size` bytes holds, and where the first of them lies, bytes from the log's start.
    package static func layout(size: UInt64, pageSize: UInt32) -> (slots: UInt64, data: UInt64) {
        let page = UInt64(pageSize)
        guard size >= 2 * page else { return (0, 0) }
        // The entries, rounded up to whole pages, come first.
        let slots = (size - page) / (page + entrySize)
        return (slots, (slots * entrySize + page - 1) / page * page)
    }

    /// Bytes of an entry: `ps_mirror_log_entry`.
    package static let entrySize: UInt64 = 16

    fileprivate func isPossible(_ geometry: DeviceGeometry) -> Bool {
        guard size > 0 else { return count == 0 }
        let (end, overflows) = offset.addingReportingOverflow(size)
        return !overflows && end <= DeviceGeometry.largestDevice && offset >= geometry.deviceSize
            && offset.isMultiple(of: 4_096)
            && count <= Self.layout(size: size, pageSize: geometry.pageSize).slots
    }
}
