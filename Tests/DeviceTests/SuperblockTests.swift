import CShimSys
import Testing

@testable import PmemDeviceFormat
@testable import PmemShim

/// A superblock and its bytes on media, to be changed.
struct SuperblockBytes {
    var bytes = [UInt8](repeating: 0xee, count: Superblock.size)

    init(_ superblock: Superblock) { bytes.withUnsafeMutableBytes { #expect(superblock.write(to: $0)) } }

    static func sample(size: UInt64 = 1 << 30, pageSize: UInt32 = 4_096, generation: UInt64 = 7) throws -> Superblock {
        let geometry = try #require(DeviceGeometry(deviceSize: size, pageSize: pageSize))
        return try #require(
            Superblock(
                identifier: .init(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10), geometry: geometry,
                generation: generation, created: 1_234))
    }

    mutating func set<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, at offset: Int) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self) }
    }

    /// The checksum that belongs to what the bytes are now.
    mutating func seal() {
        set(bytes.withUnsafeBytes { $0.baseAddress.map { ps_superblock_checksum($0) } ?? 0 }, at: 4_092)
    }

    func parse(deviceSize: UInt64? = nil) -> Result<Superblock, SuperblockError> {
        bytes.withUnsafeBytes { buffer in
            do throws(SuperblockError) {
                return .success(try Superblock(parsing: buffer, deviceSize: deviceSize))
            } catch {
                return .failure(error)
            }
        }
    }

    var failure: SuperblockError? { if case .failure(let error) = parse() { error } else { nil } }
}

@Suite("Superblock on media")
struct SuperblockTests {
    @Test(
        "comes back as it was written", arguments: DeviceGeometry.pageSizes,
        [6 << 20, 1 << 30, 16 << 40, UInt64(Int64.max)])
    func roundTrip(pageSize: UInt32, size: UInt64) throws {
        let superblock = try SuperblockBytes.sample(size: size, pageSize: pageSize)
        #expect(SuperblockBytes(superblock).parse(deviceSize: size) == .success(superblock))
    }

    @Test("has the layout of docs/device-format.md, whatever the machine's order of bytes")
    func layout() throws {
        let bytes = SuperblockBytes(try SuperblockBytes.sample(generation: 0x1122_3344_5566_7788)).bytes
        #expect(Array(bytes[0..<8]) == Array("PMEMSHIM".utf8))
        #expect(Array(bytes[8..<16]) == [1, 0, 0, 0, 0, 0x10, 0, 0])
        #expect(Array(bytes[16..<32]) == Array(1...16))
        #expect(Array(bytes[32..<40]) == [0, 0x10, 0, 0, 64, 0, 0, 0])
        #expect(Array(bytes[40..<48]) == [0, 0, 0, 0x40, 0, 0, 0, 0])
        #expect(Array(bytes[48..<56]) == [8, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[56..<64]) == [0, 0, 0x20, 0, 0, 0, 0, 0])
        #expect(Array(bytes[64..<72]) == [0, 0, 0x20, 1, 0, 0, 0, 0])
        #expect(Array(bytes[80..<88]) == [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11])
        #expect(bytes[96..<4_092].allSatisfy { $0 == 0 })
    }

    @Test("the engine's offsets are those of the C struct")
    func offsets() {
        #expect(SuperblockLayout.uuid == MemoryLayout<ps_superblock>.offset(of: \.uuid))
        #expect(SuperblockLayout.pageSize == MemoryLayout<ps_superblock>.offset(of: \.page_size))
        #expect(SuperblockLayout.descriptorSize == MemoryLayout<ps_superblock>.offset(of: \.descriptor_size))
        #expect(SuperblockLayout.deviceSize == MemoryLayout<ps_superblock>.offset(of: \.device_size))
        #expect(SuperblockLayout.sectionCount == MemoryLayout<ps_superblock>.offset(of: \.section_count))
        #expect(SuperblockLayout.arrayOffset == MemoryLayout<ps_superblock>.offset(of: \.array_offset))
        #expect(SuperblockLayout.dataOffset == MemoryLayout<ps_superblock>.offset(of: \.data_offset))
        #expect(SuperblockLayout.dataSize == MemoryLayout<ps_superblock>.offset(of: \.data_size))
        #expect(SuperblockLayout.generation == MemoryLayout<ps_superblock>.offset(of: \.attach_generation))
        #expect(SuperblockLayout.created == MemoryLayout<ps_superblock>.offset(of: \.created_ns))
        #expect(SuperblockLayout.checksum == MemoryLayout<ps_superblock>.offset(of: \.crc32c))
        #expect(PageArray.Field.group.rawValue == MemoryLayout<ps_page_descriptor>.offset(of: \.group))
        #expect(PageArray.Field.section.rawValue == MemoryLayout<ps_page_descriptor>.offset(of: \.section))
        #expect(PageArray.Field.ownerInode.rawValue == MemoryLayout<ps_page_descriptor>.offset(of: \.owner_inode))
        #expect(PageArray.Field.ownerIndex.rawValue == MemoryLayout<ps_page_descriptor>.offset(of: \.owner_index))
        #expect(PageArray.Field.reads.rawValue == MemoryLayout<ps_page_descriptor>.offset(of: \.reads))
        #expect(PageArray.Field.writes.rawValue == MemoryLayout<ps_page_descriptor>.offset(of: \.writes))
    }

    @Test("the checksum is CRC-32C: the check value of its definition")
    func checksum() {
        #expect(Array("123456789".utf8).withUnsafeBytes { $0.baseAddress.map { ps_crc32c($0, 9) } } == 0xe306_9283)
    }

    @Test("a field that is wrong is named, though the checksum is right")
    func fieldsAreNamed() throws {
        let cases: [(SuperblockError.Field, SuperblockError.Problem, Int, UInt64)] = [
            (.magic, .wrong, 0, 1), (.size, .wrong, 12, 4_095), (.pageSize, .absurd, 32, 8_192),
            (.pageSize, .absurd, 32, 0), (.descriptorSize, .wrong, 36, 0), (.descriptorSize, .wrong, 36, 128),
        ]
        for (field, problem, offset, value) in cases {
            var bytes = SuperblockBytes(try SuperblockBytes.sample())
            if offset == 0 { bytes.set(value, at: offset) } else { bytes.set(UInt32(value), at: offset) }
            bytes.seal()
            #expect(bytes.failure?.field == field)
            #expect(bytes.failure?.problem == problem)
            #expect(bytes.failure?.found == value)
        }
        for value: UInt64 in [0, 1, 1 << 21, UInt64.max, 1 << 63, (1 << 30) + 1] {
            for (field, offset) in [
                (SuperblockError.Field.sectionCount, 48), (.arrayOffset, 56), (.dataOffset, 64), (.dataSize, 72),
            ] {
                var bytes = SuperblockBytes(try SuperblockBytes.sample())
                bytes.set(value, at: offset)
                bytes.seal()
                // The one that stands there anyway is no mistake.
                if case .success = bytes.parse() { continue }
                #expect(bytes.failure?.field == field)
                #expect(bytes.failure?.found == value)
            }
        }
        for value: UInt64 in [0, 1, 1 << 63, UInt64.max] {
            var bytes = SuperblockBytes(try SuperblockBytes.sample())
            bytes.set(value, at: 40)
            bytes.seal()
            #expect(bytes.failure?.field == .deviceSize)
            #expect(bytes.failure?.problem == .absurd)
        }
        var bytes = SuperblockBytes(try SuperblockBytes.sample())
        bytes.set(UInt64(5) << 32, at: 80)
        bytes.seal()
        #expect(bytes.failure?.field == .generation)
    }

    @Test("a later version is told from a broken one, with or without a checksum that this version understands")
    func laterVersion() throws {
        for version: UInt32 in [3, 4, .max] {
            var bytes = SuperblockBytes(try SuperblockBytes.sample())
            bytes.set(version, at: 8)
            #expect(bytes.failure == SuperblockError(.version, .newer, found: UInt64(version), expected: 2))
            bytes.seal()
            #expect(bytes.failure == SuperblockError(.version, .newer, found: UInt64(version), expected: 2))
        }
        var bytes = SuperblockBytes(try SuperblockBytes.sample())
        bytes.set(UInt32(0), at: 8)
        #expect(bytes.failure?.field == .checksum)
        bytes.seal()
        #expect(bytes.failure == SuperblockError(.version, .wrong, found: 0, expected: 1))
    }

    @Test("a device that was cut is refused")
    func truncated() throws {
        let bytes = SuperblockBytes(try SuperblockBytes.sample(size: 1 << 30))
        let expected = SuperblockError(.deviceSize, .beyondDevice, found: 1 << 30, expected: (1 << 30) - 1)
        #expect(bytes.parse(deviceSize: (1 << 30) - 1) == .failure(expected))
        if case .failure = bytes.parse(deviceSize: 1 << 31) { Issue.record("a larger device is fine") }
        for count in [0, 1, 8, 4_095] {
            let failure = bytes.bytes.prefix(count).withUnsafeBytes { part -> SuperblockError? in
                do throws(SuperblockError) {
                    _ = try Superblock(parsing: part)
                    return nil
                } catch { return error }
            }
            #expect(failure == SuperblockError(.magic, .truncated, found: UInt64(count), expected: 4_096))
        }
    }

    @Test("a flipped bit, wherever it is, is noticed")
    func everyBit() throws {
        let whole = SuperblockBytes(try SuperblockBytes.sample())
        for bit in 0..<Superblock.size * 8 where bit < 1_024 || bit % 61 == 0 || bit >= (Superblock.size - 8) * 8 {
            var bytes = whole
            bytes.bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(bytes.failure != nil, "bit \(bit)")
        }
    }

    @Test("the attach generation never has a low half of 0")
    func generations() throws {
        #expect(try SuperblockBytes.sample(generation: 7).raised.generation == 8)
        let last = try SuperblockBytes.sample(generation: UInt64(UInt32.max))
        #expect(last.raised.generation == 1 << 32 | 1)
        #expect(try SuperblockBytes.sample(generation: .max).raised.tag != 0)
    }

    @Test("the pair gives the whole copy, and the higher generation")
    func pair() throws {
        let one = try SuperblockBytes.sample()
        let broken = SuperblockPair.Copy.broken(SuperblockError(.checksum, .wrong, found: 1, expected: 2))
        #expect(SuperblockPair(first: broken, second: .whole(one)).superblock == one)
        #expect(SuperblockPair(first: .whole(one), second: broken).superblock == one)
        #expect(SuperblockPair(first: broken, second: broken).superblock == nil)
        #expect(SuperblockPair(first: .whole(one), second: .whole(one)).agreement == .identical)
        let cut = SuperblockPair(first: .whole(one.raised), second: .whole(one))
        #expect(cut.agreement == .generationsDiffer)
        #expect(cut.superblock == one.raised)
        #expect(SuperblockPair(first: .whole(one), second: .whole(one.raised)).superblock == one.raised)
        let other = try SuperblockBytes.sample(size: 2 << 30, generation: 100)
        #expect(SuperblockPair(first: .whole(one), second: .whole(other)).agreement == .differ)
        #expect(SuperblockPair(first: .whole(one), second: .whole(other)).superblock == one)
    }
}
