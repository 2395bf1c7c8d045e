/// Why bytes are no superblock that can be used: which field is wrong, what it holds, and what it would have to be.
package struct SuperblockError: Error, Equatable, Sendable {
    package enum Field: UInt8, Equatable, Sendable, CaseIterable {
        case magic, version, checksum, size, pageSize, descriptorSize, deviceSize, sectionCount, arrayOffset, dataOffset
        case dataSize, generation, setRole, mirrorState, mirrorLog, setCounters

        /// As docs/device-format.md names it.
        package var name: StaticString {
            switch self {
            case .magic: "magic"
            case .version: "version"
            case .checksum: "crc32c"
            case .size: "size"
            case .pageSize: "page_size"
            case .descriptorSize: "descriptor_size"
            case .deviceSize: "device_size"
            case .sectionCount: "section_count"
            case .arrayOffset: "array_offset"
            case .dataOffset: "data_offset"
            case .dataSize: "data_size"
            case .generation: "attach_generation"
            case .setRole: "set_role"
            case .mirrorState: "mirror_state"
            case .mirrorLog: "log_size"
            case .setCounters: "set_sequence, epoch, pass_epoch or log_epoch"
            }
        }
    }

    package enum Problem: UInt8, Equatable, Sendable {
        /// The device ended before the superblock did; `found` is how many bytes there were.
        case truncated
        /// Not what the format, or the other fields, demand.
        case wrong
        /// Written by a later version than this; `expected` is the latest known.
        case newer
        /// The superblock speaks of more than the device has; `expected` is what it has.
        case beyondDevice
        /// Outside of what any device can have.
        case absurd
    }

    package let field: Field
    package let problem: Problem
    /// What the field holds.
    package let found: UInt64
    /// What it would have to hold; 0 where there is no single such value.
    package let expected: UInt64

    package init(_ field: Field, _ problem: Problem, found: UInt64, expected: UInt64 = 0) {
        self.field = field
        self.problem = problem
        self.found = found
        self.expected = expected
    }
}
