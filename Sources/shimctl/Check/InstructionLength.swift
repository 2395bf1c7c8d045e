/// Lengths of x86-64 instructions (Intel SDM volume 2, chapter 2 and appendix A): enough to walk through code from one
/// instruction to the next, so that the bytes 0f 05 inside of another instruction are not taken for `syscall`.
///
/// Not by Zydis or Capstone, which know all of an instruction: either would bring a library of 0.5 to 8 MB onto every
/// machine for its length and one immediate. On 201 libraries of Debian's it counts what objdump does, but for one.
struct InstructionLength {
    /// An instruction, as far as the scan for system calls wants to know it.
    struct Instruction {
        let length: Int
        /// 0: one-byte opcodes; 1: 0f; 2: 0f 38; 3: 0f 3a; others: VEX and EVEX only.
        let map: UInt8
        let opcode: UInt8
        /// Zero without one.
        let modRM: UInt8
        let rex: UInt8
        /// The last 4 bytes as an immediate (of instructions that have one).
        let immediate: UInt32
    }

    private let code: UnsafeRawBufferPointer
    private var position: Int
    private let limit: Int

    /// The instruction at `offset`; nothing if it is no instruction, or does not end within `code`.
    static func decode(_ code: UnsafeRawBufferPointer, at offset: Int) -> Instruction? {
        var decoder = InstructionLength(code: code, position: offset, limit: min(code.count, offset + 15))
        return decoder.decode(from: offset)
    }

    private mutating func next() -> UInt8? {
        guard position < limit else { return nil }
        defer { position += 1 }
        return code[position]
    }

    private mutating func decode(from start: Int) -> Instruction? {
        var has16BitOperand = false
        var has32BitAddress = false
        guard var byte = next() else { return nil }
        prefixes: while true {
            switch byte {
            case 0x66: has16BitOperand = true
            case 0x67: has32BitAddress = true
            case 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65: break
            default: break prefixes
            }
            guard let following = next() else { return nil }
            byte = following
        }
        var rex: UInt8 = 0
        if byte & 0xf0 == 0x40 {
            rex = byte
            guard let following = next() else { return nil }
            byte = following
        }
        var map: UInt8 = 0
        var isVector = false
        switch byte {
        case 0x0f:
            guard let second = next() else { return nil }
            (map, byte) = (1, second)
            if second == 0x38 || second == 0x3a {
                guard let third = next() else { return nil }
                (map, byte) = (second == 0x38 ? 2 : 3, third)
            }
        case 0xc5, 0xc4, 0x62:
            guard let decoded = vectorPrefix(byte) else { return nil }
            (map, byte) = decoded
            isVector = true
        default: break
        }
        guard let form = isVector ? Self.vectorForm(map, byte) : Self.form(map, byte) else { return nil }
        var modRM: UInt8 = 0
        var immediate = form.immediate
        if form.hasModRM {
            guard let decoded = operand() else { return nil }
            modRM = decoded
            // Group 3: only TEST has an immediate.
            if map == 0, !isVector, byte == 0xf6 || byte == 0xf7, modRM & 0x30 != 0 { immediate = .none }
        }
        position += Self.size(of: immediate, wide: rex & 8 != 0, short: has16BitOperand, address32: has32BitAddress)
        guard position <= limit else { return nil }
        let value = position - start >= 5 ? code.loadUnaligned(fromByteOffset: position - 4, as: UInt32.self) : 0
        return Instruction(
            length: position - start, map: map, opcode: byte, modRM: modRM, rex: rex, immediate: value)
    }

    /// The rest of a VEX or EVEX prefix, and the opcode.
    private mutating func vectorPrefix(_ first: UInt8) -> (map: UInt8, opcode: UInt8)? {
        guard let second = next() else { return nil }
        var map: UInt8 = 1
        if first == 0xc4 {
            guard next() != nil else { return nil }
            map = second & 0x1f
        } else if first == 0x62 {
            guard next() != nil, next() != nil else { return nil }
            map = second & 0x07
        }
        guard let opcode = next() else { return nil }
        return (map, opcode)
    }

    /// ModRM with SIB and displacement.
    private mutating func operand() -> UInt8? {
        guard let modRM = next() else { return nil }
        let mode = modRM >> 6
        guard mode != 3 else { return modRM }
        var base = modRM & 7
        if base == 4 {
            guard let sib = next() else { return nil }
            base = sib & 7
        }
        switch mode {
        case 0: position += base == 5 ? 4 : 0
        case 1: position += 1
        default: position += 4
        }
        return modRM
    }
}
