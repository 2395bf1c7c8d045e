import CShimSys
import Testing

@Suite("Guarded copies")
struct GuardedCopyTests {
    @Test(arguments: [true, false], [false, true])
    func bytesArriveExactly(wide: Bool, through: Bool) {
        // `wide` decides the vector width for the rest of the process; both orders are right.
        if wide { ps_copy_prepare() }
        var generator = SystemRandomNumberGenerator()
        for count in Array(0...600) + [1_023, 1_024, 4_095, 4_096, 4_097, 65_537] {
            let source = (0..<count + 64).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let shift = Int.random(in: 0..<64, using: &generator)
            var target = [UInt8](repeating: 7, count: count + 128)
            let result = source.withUnsafeBytes { from in
                target.withUnsafeMutableBytes { to in
                    let start = from.baseAddress.map { $0 + shift % 16 }
                    let end = to.baseAddress.map { $0 + shift }
                    return through ? ps_copy_through(end, start, count) : ps_copy(end, start, count)
                }
            }
            #expect(result == 0)
            #expect(Array(target[shift..<shift + count]) == Array(source[shift % 16..<shift % 16 + count]))
            #expect(target[..<shift].allSatisfy { $0 == 7 })
            #expect(target[(shift + count)...].allSatisfy { $0 == 7 })
        }
    }

    @Test func aCopyThatFaultsSaysSo() {
        #expect(ps_signals_install() == 0)
        ps_signals_thread_ready()
        let hole = ps_sys_reserve(8_192)
        #expect(hole > 0)
        let address = UInt(bitPattern: hole)
        var buffer = [UInt8](repeating: 1, count: 8_192)
        buffer.withUnsafeMutableBytes { bytes in
            for count in [1, 15, 64, 127, 129, 4_096, 8_192] {
                #expect(ps_copy(bytes.baseAddress, UnsafeRawPointer(bitPattern: address), count) == 1)
                #expect(ps_copy(UnsafeMutableRawPointer(bitPattern: address), bytes.baseAddress, count) == 1)
                #expect(ps_copy_through(UnsafeMutableRawPointer(bitPattern: address), bytes.baseAddress, count) == 1)
            }
            #expect(ps_copy(nil, bytes.baseAddress, 64) == 1)
        }
        #expect(ps_probe(address) == 1)
        _ = ps_sys_unmap(address, 8_192)
    }
}
