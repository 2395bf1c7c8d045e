/// The opcode maps, as far as they decide on length.
extension InstructionLength {
    enum Immediate {
        case none, byte, word, wordAndByte
        /// 2 or 4 bytes by operand size.
        case operand
        /// 4 bytes always: near jumps and calls.
        case near
        /// 8 bytes with REX.W, else by operand size: mov to a register.
        case full
        /// A memory offset, by address size.
        case offset
    }

    typealias Form = (hasModRM: Bool, immediate: Immediate)

    static func size(of immediate: Immediate, wide: Bool, short: Bool, address32: Bool) -> Int {
        switch immediate {
        case .none: 0
        case .byte: 1
        case .word: 2
        case .wordAndByte: 3
        case .operand: short && !wide ? 2 : 4
        case .near: 4
        case .full: wide ? 8 : short ? 2 : 4
        case .offset: address32 ? 4 : 8
        }
    }

    /// Opcodes of the maps 0 to 3 without VEX; nothing for those that 64-bit mode does not have.
    static func form(_ map: UInt8, _ opcode: UInt8) -> Form? {
        switch map {
        case 0: oneByte(opcode)
        case 1: twoByte(opcode)
        case 2: (true, .none)
        default: (true, .byte)
        }
    }

    static func vectorForm(_ map: UInt8, _ opcode: UInt8) -> Form? {
        switch map {
        case 1:
            switch opcode {
            case 0x77: (false, .none)
            case 0x70...0x73, 0xc2, 0xc4...0xc6: (true, .byte)
            default: (true, .none)
            }
        case 2, 5, 6: (true, .none)
        case 3: (true, .byte)
        default: nil
        }
    }

    private static func oneByte(_ opcode: UInt8) -> Form? {
        switch opcode {
        case 0x00...0x3f:
            switch opcode & 7 {
            case 0...3: (true, .none)
            case 4: (false, .byte)
            case 5: (false, .operand)
            default: nil
            }
        case 0x50...0x5f, 0x6c...0x6f, 0x90...0x99, 0x9b...0x9f: (false, .none)
        case 0x63, 0x84...0x8f: (true, .none)
        case 0x68: (false, .operand)
        case 0x69: (true, .operand)
        case 0x6a, 0x70...0x7f: (false, .byte)
        case 0x6b: (true, .byte)
        case 0x80, 0x83, 0xc0, 0xc1, 0xc6: (true, .byte)
        case 0x81, 0xc7: (true, .operand)
        case 0xa0...0xa3: (false, .offset)
        case 0xa4...0xa7, 0xaa...0xaf: (false, .none)
        case 0xa8, 0xb0...0xb7: (false, .byte)
        case 0xa9: (false, .operand)
        case 0xb8...0xbf: (false, .full)
        case 0xc2, 0xca: (false, .word)
        case 0xc3, 0xc9, 0xcb, 0xcc, 0xcf: (false, .none)
        case 0xc8: (false, .wordAndByte)
        case 0xcd, 0xe0...0xe7, 0xeb: (false, .byte)
        case 0xd0...0xd3, 0xd8...0xdf: (true, .none)
        case 0xd7, 0xec...0xef, 0xf1, 0xf4, 0xf5, 0xf8...0xfd: (false, .none)
        case 0xe8, 0xe9: (false, .near)
        case 0xf6: (true, .byte)
        case 0xf7: (true, .operand)
        case 0xfe, 0xff: (true, .none)
        default: nil
        }
    }

    private static func twoByte(_ opcode: UInt8) -> Form? {
        switch opcode {
        case 0x04, 0x0a, 0x0c, 0x24...0x27, 0x36, 0x39, 0x3b...0x3f, 0x7a, 0x7b, 0xa6, 0xa7: nil
        case 0x05...0x09, 0x0b, 0x0e, 0x30...0x35, 0x37, 0x77, 0xa0...0xa2, 0xa8...0xaa, 0xc8...0xcf: (false, .none)
        case 0x0f, 0x70...0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4...0xc6: (true, .byte)
        case 0x80...0x8f: (false, .near)
        default: (true, .none)
        }
    }
}
