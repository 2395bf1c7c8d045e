import CShimSys
import Testing

@testable import PmemDeviceFormat
@testable import PmemShim

/// The parser meets bytes that are nearly right, since only those come far: a valid superblock with fields replaced by
/// numbers that break arithmetic, its checksum mended. It must end with a geometry that holds, or name a field.
@Suite("Superblocks from a hostile hand")
struct ParserFuzzTests {
    private static let fresh = UInt64.random(in: 0...UInt64.max)

    @Test("end in a true geometry or a named field, never in a trap", arguments: [1, fresh])
    func hostile(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var accepted = 0
        var named: Set<SuperblockError.Field> = []
        for _ in 0..<1_500 {
            var whole = try SuperblockBytes.sample(
                size: (6 << 20) + random.next() % (1 << (21 + random.next() % 40)),
                pageSize: DeviceGeometry.pageSizes[Int(random.next() % 3)], generation: random.next() | 1)
            if random.next() % 2 == 0 { whole.membership = membership(of: whole) }
            var bytes = SuperblockBytes(whole)
            for _ in 0..<random.next() % 3 { change(&bytes, &random) }
            if random.next() % 8 != 0 { bytes.seal() }
            let actual: UInt64? = random.next() % 2 == 0 ? nil : interesting(&random)
            switch bytes.parse(deviceSize: actual) {
            case .failure(let error): named.insert(error.field)
            case .success(let superblock):
                accepted += 1
                #expect(superblock.tag != 0, "seed \(seed)")
                let geometry = superblock.geometry
                let end = geometry.dataOffset.addingReportingOverflow(geometry.dataSize)
                #expect(!end.overflow && end.partialValue <= geometry.deviceSize, "seed \(seed)")
                if let actual { #expect(geometry.deviceSize <= actual, "seed \(seed)") }
            }
        }
        // Both ways were gone.
        #expect(accepted > 100)
        // And every field was found out by itself: by the one seed of which that is known. A field that only one value
        // makes wrong is missed by every twentieth.
        guard seed == 1 else { return }
        #expect(named.isSuperset(of: Set(SuperblockError.Field.allCases)), "seed \(seed): \(named)")
    }

    @Test("random bytes of any length are no superblock", arguments: [1, fresh])
    func noise(seed: UInt64) {
        var random = SplitMix(state: seed)
        for _ in 0..<500 {
            let bytes = (0..<Int(random.next() % 64)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let whole = bytes + [UInt8](repeating: bytes.first ?? 0, count: Int(random.next() % 5_000))
            let isAccepted = whole.withUnsafeBytes { (try? Superblock(parsing: $0)) != nil }
            #expect(!isAccepted, "seed \(seed)")
        }
    }

    private func membership(of superblock: Superblock) -> SetMembership {
        let start = (superblock.geometry.deviceSize + 4_095) & ~4_095
        return SetMembership(
            role: .mirror, set: superblock.identifier, peer: superblock.identifier, peerPath: Array("/dev/x".utf8),
            log: start < 1 << 62 ? .init(offset: start, size: 64 << 20) : .init(offset: 0, size: 0))
    }

    private func change(_ bytes: inout SuperblockBytes, _ random: inout SplitMix) {
        let fields = [
            (0, 8), (8, 4), (12, 4), (32, 4), (36, 4), (40, 8), (48, 8), (56, 8), (64, 8), (72, 8), (80, 8), (96, 4),
            (100, 4), (136, 8), (144, 8), (160, 8), (168, 8), (176, 8), (184, 8), (192, 8),
        ]
        let (offset, width) = fields[Int(random.next() % UInt64(fields.count))]
        let value = interesting(&random)
        if width == 8 {
            bytes.set(value, at: offset)
        } else {
            bytes.set(UInt32(truncatingIfNeeded: value), at: offset)
        }
    }

    private func interesting(_ random: inout SplitMix) -> UInt64 {
        let edges: [UInt64] = [
            0, 1, 63, 64, 4_095, 4_096, 16_384, 65_536, 1 << 20, 2 << 20, (6 << 20) - 1, 6 << 20, 1 << 31, 1 << 32,
            (1 << 32) - 1, 1 << 62, 1 << 63, (1 << 63) - 1, .max, .max - (2 << 20),
        ]
        switch random.next() % 4 {
        case 0: return random.next()
        case 1: return random.next() >> (random.next() % 64)
        default: return edges[Int(random.next() % UInt64(edges.count))]
        }
    }
}

/// A small generator that gives the same from the same seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
