/// Instructions for the kernel's own machine (BPF; Documentation/bpf/standardization/instruction-set.rst), as words of
/// 64 bits. Registers: 0 is what functions return, 1 to 5 are what they are called with, and lost in the call; 6 to 9
/// stay; 10 is the end of the stack.
struct KernelProgram {
    private var words: [UInt64] = []
    private var labels: [String: Int] = [:]
    private var jumps: [(place: Int, label: String)] = []

    enum Width: UInt8 {
        case word = 0x61
        case double = 0x79
    }

    enum Operation: UInt8 {
        case add = 0x07
        case subtract = 0x17
        case and = 0x57
        case shiftLeft = 0x67
        case shiftRight = 0x77
        case move = 0xb7
    }

    /// Of unsigned numbers.
    enum Condition: UInt8 {
        case equal = 0x15
        case greater = 0x25
        case different = 0x55
    }

    private mutating func emit(
        _ code: UInt8, _ target: UInt8 = 0, _ source: UInt8 = 0, _ offset: Int16 = 0, _ value: Int32 = 0
    ) {
        words.append(
            UInt64(code) | UInt64(target | source << 4) << 8 | UInt64(UInt16(bitPattern: offset)) << 16
                | UInt64(UInt32(bitPattern: value)) << 32)
    }

    /// Register `target` becomes what lies `offset` bytes behind the address in register `source`.
    mutating func load(_ width: Width, _ target: UInt8, from source: UInt8, _ offset: Int16) {
        emit(width.rawValue, target, source, offset)
    }

    /// 32 bits of register `source` to the stack.
    mutating func store(_ source: UInt8, stack offset: Int16) { emit(0x63, 10, source, offset) }

    mutating func set(_ operation: Operation, _ target: UInt8, _ value: Int32) {
        emit(operation.rawValue, target, 0, 0, value)
    }

    mutating func set(_ operation: Operation, _ target: UInt8, register source: UInt8) {
        emit(operation.rawValue | 8, target, source)
    }

    /// The words behind the address in register `target` get the bits of register `source`, in one step for all
    /// processors.
    mutating func setBits(at target: UInt8, of source: UInt8) { emit(0xdb, target, source, 0, 0x40) }

    mutating func loadMap(_ target: UInt8, descriptor: Int32) {
        emit(0x18, target, 1, 0, descriptor)
        emit(0)
    }

    mutating func callLookup() { emit(0x85, 0, 0, 0, 1) }

    mutating func exit() { emit(0x95) }

    mutating func jump(to label: String) {
        jumps.append((words.count, label))
        emit(0x05)
    }

    /// - Parameter isShort: only 32 bits are compared.
    mutating func jump(
        to label: String, if register: UInt8, _ condition: Condition, _ value: Int32, isShort: Bool = false
    ) {
        jumps.append((words.count, label))
        emit(condition.rawValue + (isShort ? 1 : 0), register, 0, 0, value)
    }

    mutating func jump(to label: String, if register: UInt8, _ condition: Condition, register other: UInt8) {
        jumps.append((words.count, label))
        emit(condition.rawValue | 8, register, other)
    }

    mutating func label(_ name: String) { labels[name] = words.count }

    /// With all jumps to their labels.
    var instructions: [UInt64] {
        var result = words
        for jump in jumps {
            // Counted from the next one; a label that is not there leads nowhere, which the kernel refuses.
            let distance = Int16(clamping: (labels[jump.label] ?? 1 << 20) - jump.place - 1)
            result[jump.place] |= UInt64(UInt16(bitPattern: distance)) << 16
        }
        return result
    }
}
