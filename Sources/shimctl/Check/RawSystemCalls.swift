/// `syscall` instructions in a file's code: system calls that go past libc, and so past the shim. A hint: data between
/// the code may look like instructions, and code made at run time is not there yet.
struct RawSystemCalls {
    /// How often each number is called, where the instructions before tell it.
    private(set) var numbers: [UInt32: Int] = [:]
    /// Instructions whose number is not a constant nearby.
    private(set) var unknown = 0

    var count: Int { numbers.values.reduce(unknown, +) }

    /// Walks through `code` from its beginning.
    mutating func scan(_ code: UnsafeRawBufferPointer) {
        var offset = 0
        var number: UInt32?
        // Instructions since `number` was set, and since the last byte that was none.
        var age = 0
        var run = 0
        while offset < code.count {
            guard let instruction = InstructionLength.decode(code, at: offset) else {
                // Data, or an instruction we do not know: try the next byte.
                offset += 1
                number = nil
                run = 0
                continue
            }
            offset += instruction.length
            run += 1
            if instruction.isSystemCall {
                if let number, age < 32 {
                    numbers[number, default: 0] += 1
                } else if run > 64, Self.isCode(code, at: offset) {
                    unknown += 1
                }
                number = nil
            } else if let constant = instruction.constantInEAX {
                // A number beyond the table is none.
                number = constant < 1024 ? constant : nil
                age = 0
            } else if instruction.changesEAX {
                number = nil
            } else {
                age += 1
            }
        }
    }

    /// Tables between functions hold 0f 05 as well, but seldom many instructions in a row.
    private static func isCode(_ code: UnsafeRawBufferPointer, at start: Int) -> Bool {
        var offset = start
        for _ in 0..<16 where offset < code.count {
            guard let instruction = InstructionLength.decode(code, at: offset) else { return false }
            offset += instruction.length
        }
        return true
    }
}

extension InstructionLength.Instruction {
    var isSystemCall: Bool { map == 1 && opcode == 0x05 }

    /// The value that `mov $n, %eax`, `mov $n, %rax` or `xor %eax, %eax` leaves.
    var constantInEAX: UInt32? {
        guard map == 0, rex & 0x05 == 0 else { return nil }
        switch opcode {
        case 0xb8 where length - (rex != 0 ? 1 : 0) == 5: return immediate
        case 0xc7 where modRM == 0xc0: return immediate
        case 0x31 where modRM == 0xc0, 0x33 where modRM == 0xc0: return 0
        default: return nil
        }
    }

    /// May leave something else there: calls, returns, jumps away, and moves to the register.
    var changesEAX: Bool {
        if map == 0 {
            switch opcode {
            case 0xe8, 0xc3, 0xe9, 0xeb: return true
            case 0xff: return (modRM >> 3) & 7 == 2 || (modRM >> 3) & 7 == 4
            case 0x8a, 0x8b, 0x8d, 0x63, 0x03, 0x0b, 0x13, 0x1b, 0x23, 0x2b, 0x33, 0x6b, 0x69:
                return rex & 4 == 0 && (modRM >> 3) & 7 == 0
            case 0x88, 0x89, 0x01, 0x09, 0x11, 0x19, 0x21, 0x29, 0x31, 0x83, 0x81, 0xc7, 0xc6:
                return rex & 1 == 0 && modRM >= 0xc0 && modRM & 7 == 0
            case 0x04, 0x05, 0x0c, 0x0d, 0x24, 0x25, 0x2c, 0x2d, 0x34, 0x35, 0x58, 0xb0, 0xb8:
                return rex & 1 == 0
            default: return false
            }
        }
        let isMove = 0x40...0x4f ~= opcode || [0xb6, 0xb7, 0xbe, 0xbf].contains(opcode)
        return map == 1 && isMove && rex & 4 == 0 && (modRM >> 3) & 7 == 0
    }
}
