import CShimSys
import TestSupport
import Testing

@testable import PmemDeviceFormat

@Suite("The part of a superblock that is about a set")
struct MembershipTests {
    private static func sample(_ role: SetMembership.Role = .mirror) throws -> Superblock {
        var superblock = try SuperblockBytes.sample()
        var log = SetMembership.Log(offset: 1 << 30, size: 64 << 20)
        (log.count, log.epoch, log.epochTime, log.checksum) = (5, 8, 9, 10)
        var membership = SetMembership(
            role: role, set: .init(high: 0x1112_1314_1516_1718, low: 0x191a_1b1c_1d1e_1f20),
            peer: .init(high: 0x2122_2324_2526_2728, low: 0x292a_2b2c_2d2e_2f30), peerPath: Array("/srv/a b.img".utf8),
            log: log)
        membership.state = .point
        (membership.sequence, membership.epoch, membership.epochTime, membership.passEpoch) = (3, 4, 6, 7)
        superblock.membership = membership
        return superblock
    }

    @Test("comes back as it was written, in version 2", arguments: [SetMembership.Role.primary, .mirror, .promoted])
    func roundTrip(role: SetMembership.Role) throws {
        let superblock = try Self.sample(role)
        let bytes = SuperblockBytes(superblock)
        #expect(bytes.parse() == .success(superblock))
        #expect(bytes.bytes[8] == 2)
    }

    @Test("a device without a set is of version 1, and all of that is 0")
    func versionOne() throws {
        let bytes = SuperblockBytes(try SuperblockBytes.sample()).bytes
        #expect(bytes[8] == 1)
        #expect(bytes[96..<4_092].allSatisfy { $0 == 0 })
    }

    @Test("the offsets are those of the C struct, and of docs/device-format.md")
    func offsets() throws {
        typealias Layout = SetMembership.Layout
        #expect(Layout.role == MemoryLayout<ps_superblock>.offset(of: \.set_role))
        #expect(Layout.state == MemoryLayout<ps_superblock>.offset(of: \.mirror_state))
        #expect(Layout.set == MemoryLayout<ps_superblock>.offset(of: \.set_uuid))
        #expect(Layout.peer == MemoryLayout<ps_superblock>.offset(of: \.peer_uuid))
        #expect(Layout.sequence == MemoryLayout<ps_superblock>.offset(of: \.set_sequence))
        #expect(Layout.epoch == MemoryLayout<ps_superblock>.offset(of: \.epoch))
        #expect(Layout.epochTime == MemoryLayout<ps_superblock>.offset(of: \.epoch_ns))
        #expect(Layout.passEpoch == MemoryLayout<ps_superblock>.offset(of: \.pass_epoch))
        #expect(Layout.logOffset == MemoryLayout<ps_superblock>.offset(of: \.log_offset))
        #expect(Layout.logSize == MemoryLayout<ps_superblock>.offset(of: \.log_size))
        #expect(Layout.logCount == MemoryLayout<ps_superblock>.offset(of: \.log_count))
        #expect(Layout.logEpoch == MemoryLayout<ps_superblock>.offset(of: \.log_epoch))
        #expect(Layout.logTime == MemoryLayout<ps_superblock>.offset(of: \.log_ns))
        #expect(Layout.logChecksum == MemoryLayout<ps_superblock>.offset(of: \.log_crc32c))
        #expect(Layout.peerPath == MemoryLayout<ps_superblock>.offset(of: \.peer_path))
        let bytes = SuperblockBytes(try Self.sample()).bytes
        #expect(Array(bytes[96..<104]) == [2, 0, 0, 0, 2, 0, 0, 0])
        #expect(Array(bytes[104..<136]) == Array(0x11...0x20) + Array(0x21...0x30))
        #expect(Array(bytes[136..<144]) == [3, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[216..<229]) == Array("/srv/a b.img".utf8) + [0])
    }

    @Test("a field that is wrong is named, though the checksum is right")
    func wrongFields() throws {
        let cases: [(SuperblockError.Field, Int, UInt64)] = [
            (.setRole, 96, 0), (.setRole, 96, 4), (.mirrorState, 100, 4),
            // A log within the data, not aligned, too long for a number, or with more pages than it has room for.
            (.mirrorLog, 168, 4_096), (.mirrorLog, 168, 1 << 30 | 512), (.mirrorLog, 176, .max),
            (.mirrorLog, 184, 64 << 20),
            // They are counted on from here.
            (.setCounters, 136, .max), (.setCounters, 144, .max), (.setCounters, 160, .max), (.setCounters, 192, .max),
        ]
        for (field, offset, value) in cases {
            var bytes = SuperblockBytes(try Self.sample())
            if offset < 104 { bytes.set(UInt32(value), at: offset) } else { bytes.set(value, at: offset) }
            bytes.seal()
            #expect(bytes.failure?.field == field, "\(field) at \(offset)")
        }
        let cut = SuperblockBytes(try Self.sample()).parse(deviceSize: 1 << 30 + 4_096)
        guard case .failure(let error) = cut else { throw SetupError("a log that was cut off is taken for one") }
        #expect(error.field == .mirrorLog)
        #expect(error.problem == .beyondDevice)
    }

    @Test("of two copies that differ in what they say of the set, the later one counts")
    func laterCopy() throws {
        let old = try Self.sample()
        var new = old
        new.membership?.sequence += 1
        new.membership?.epoch += 1
        for (first, second) in [(old, new), (new, old)] {
            let pair = SuperblockPair(first: .whole(first), second: .whole(second))
            #expect(pair.superblock == new)
            #expect(pair.agreement == .generationsDiffer)
        }
    }

    @Test("a log's entries and pages fit into it, and do not overlap", arguments: DeviceGeometry.pageSizes)
    func logLayout(pageSize: UInt32) {
        let page = UInt64(pageSize)
        for size in [0, page, 2 * page, 2 << 20, (2 << 20) + 4_096, 1 << 30, 64 << 30] as [UInt64] {
            let (slots, data) = SetMembership.Log.layout(size: size, pageSize: pageSize)
            #expect(data.isMultiple(of: page))
            #expect(slots * SetMembership.Log.entrySize <= data)
            #expect(data + slots * page <= size)
            if size >= 4 * page { #expect(slots > 0) }
        }
    }

    @Test("a flipped bit, wherever it is, is noticed")
    func everyBit() throws {
        let whole = SuperblockBytes(try Self.sample())
        for bit in 96 * 8..<1_240 * 8 where bit % 7 == 0 {
            var bytes = whole
            bytes.bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(bytes.failure?.field == .checksum, "bit \(bit)")
        }
    }
}
