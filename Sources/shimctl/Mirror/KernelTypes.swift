import FoundationEssentials
import PmemShim

/// The types of the running kernel, as it tells of them itself (BTF, "BPF Type Format" in the kernel's documentation):
/// where the members of its structures lie differs from one kernel to the next.
struct KernelTypes {
    private let types: Data
    private let strings: Data
    /// Of each type, where it begins among `types`; number 0 is void.
    private var places: [Int] = [0]

    /// - Returns: nothing where the kernel tells nothing, or in a form that is not known here.
    init?(_ data: Data? = ProcFile.contents("/sys/kernel/btf/vmlinux")) {
        guard let data, data.count >= 24, data.word(0) & 0xff_ffff == 0x01_eb9f else { return nil }
        let head = Int(data.word(4))
        guard let types = data.part(head, data.word(8), data.word(12)),
            let strings = data.part(head, data.word(16), data.word(20))
        else { return nil }
        self.types = types
        self.strings = strings
        places.reserveCapacity(1 << 17)
        var place = 0
        while place < types.count {
            guard place + 12 <= types.count, let tail = Self.tail(types.word(place + 4)) else { return nil }
            places.append(place)
            place += 12 + tail
        }
        guard place == types.count else { return nil }
    }

    /// How many bytes follow what every type has.
    private static func tail(_ info: UInt32) -> Int? {
        let count = Int(info & 0xffff)
        switch info >> 24 & 0x1f {
        case 2, 7, 8, 9, 10, 11, 12, 16, 18: return 0  // pointers, names of others, functions, floats, tags
        case 1, 14, 17: return 4  // integers, variables, tags of declarations
        case 3: return 12  // arrays
        case 4, 5, 15, 19: return 12 * count  // structures, unions, sections, enumerations of 64 bits
        case 6, 13: return 8 * count  // enumerations, parameters of functions
        default: return nil
        }
    }

    private enum Kind: UInt32 {
        case pointer = 2
        case structure = 4
        case name = 8
        case prototype = 13
    }

    /// The number of the first type of that kind and name.
    private func find(_ kind: Kind, _ name: String) -> Int? {
        let wanted = Array(name.utf8) + [0]
        return types.withUnsafeBytes { types in
            strings.withUnsafeBytes { strings in
                (1..<places.count).first { number in
                    let info = types.loadUnaligned(fromByteOffset: places[number] + 4, as: UInt32.self)
                    guard info >> 24 & 0x1f == kind.rawValue else { return false }
                    let start = Int(types.loadUnaligned(fromByteOffset: places[number], as: UInt32.self))
                    guard start + wanted.count <= strings.count else { return false }
                    return strings[start..<start + wanted.count].elementsEqual(wanted)
                }
            }
        }
    }

    /// What a type refers to, if it is of that kind.
    private func target(of number: Int, _ kind: Kind) -> Int? {
        guard places.indices.contains(number), number > 0, types.word(places[number] + 4) >> 24 & 0x1f == kind.rawValue
        else { return nil }
        return Int(types.word(places[number] + 8))
    }

    /// The number of an event's type, where it is called with one structure of that name alone.
    func event(_ name: String, of structure: String) -> UInt32? {
        guard let number = find(.name, "btf_trace_\(name)"), let pointer = target(of: number, .name),
            let prototype = target(of: pointer, .pointer), target(of: prototype, .prototype) != nil,
            types.word(places[prototype] + 4) & 0xffff == 2
        else { return nil }
        // The first parameter is the tracer's own; of each the name and the type are told.
        let parameter = Int(types.word(places[prototype] + 12 + 12))
        guard let pointed = target(of: parameter, .pointer), pointed == find(.structure, structure) else { return nil }
        return UInt32(number)
    }

    /// Bytes from the start of a structure to a member of it.
    func offset(of member: String, in structure: String) -> Int16? {
        guard let number = find(.structure, structure) else { return nil }
        let info = types.word(places[number] + 4)
        let wanted = Array(member.utf8) + [0]
        for index in 0..<Int(info & 0xffff) {
            let place = places[number] + 12 + index * 12
            let start = strings.startIndex + Int(types.word(place))
            guard start + wanted.count <= strings.endIndex,
                strings[start..<start + wanted.count].elementsEqual(wanted)
            else { continue }
            // In bits; of structures that have members of some bits the size is told as well.
            let bits = types.word(place + 8) & (info >> 31 == 1 ? 0xff_ffff : .max)
            guard bits % 8 == 0, info >> 31 == 0 || types.word(place + 8) >> 24 == 0 else { return nil }
            return Int16(exactly: bits / 8)
        }
        return nil
    }
}

extension Data {
    /// Of 32 bits, as this machine writes them; within the bounds, which the caller knows.
    fileprivate func word(_ offset: Int) -> UInt32 {
        withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    }

    fileprivate func part(_ head: Int, _ offset: UInt32, _ length: UInt32) -> Data? {
        let start = head + Int(offset)
        guard start <= count, start + Int(length) <= count else { return nil }
        return Data(self[startIndex + start..<startIndex + start + Int(length)])
    }
}
