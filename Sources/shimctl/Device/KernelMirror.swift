import FoundationEssentials
import Glibc
import PmemDeviceFormat
import SystemPackage

/// A mirror of the device mapper (target `mirror`, module dm-mirror): the kernel writes to both sides before a write
/// is done, and reads from the other one where the first cannot be read. It knows of no DAX: it is for devices without.
///
/// The kernel's log of regions is in memory only: both sides have to be equal when it is made.
struct KernelMirror: BlockSpace {
    let device: DeviceNumber
    /// The mapping's own: `pmemshim-UUID-mirrored`.
    let name: String
    /// The data areas of the primary and of its mirror.
    let own: LoopDevice
    let other: LoopDevice

    var path: String { "/dev/dm-\(device.minor)" }

    private static let suffix = "-mirrored"
    /// Sectors of 512 bytes: what the kernel takes for out of step as a whole when a write has failed.
    private static let region = 4_096

    /// The first alone would have writes wait, after one has failed, for a program that takes the failed side away, and
    /// neither would have the kernel go on with a first side that has failed. With both it goes on with the other one
    /// (the kernel's driver dm-raid1: do_failures, fail_mirror).
    private static let features = "2 handle_errors keep_log"

    static func isName(_ name: String) -> Bool {
        name.hasPrefix(DeviceMapper.prefix) && name.hasSuffix(suffix)
    }

    /// - Returns: nothing for what is no such mapping of ours.
    init?(number: DeviceNumber) {
        guard let name = DeviceMapper.name(of: number), Self.isName(name),
            let table = try? DeviceMapper.dmsetup("table", name), let legs = Self.legs(table),
            let own = LoopDevice(number: legs.own), let other = LoopDevice(number: legs.other)
        else { return nil }
        self.init(device: number, name: name, own: own, other: other)
    }

    private init(device: DeviceNumber, name: String, own: LoopDevice, other: LoopDevice) {
        self.device = device
        self.name = name
        self.own = own
        self.other = other
    }

    static func all() -> [KernelMirror] { DeviceMapper.all.compactMap(KernelMirror.init(number:)) }

    /// The numbers of the two loop devices: `0 262144 mirror core 2 4096 nosync 2 7:0 0 7:1 0`.
    static func legs(_ table: String) -> (own: Int32, other: Int32)? {
        let words = table.split(whereSeparator: \.isWhitespace)
        guard words.count >= 5, words[2] == "mirror", let arguments = Int(words[4]), arguments >= 0, arguments < 16,
            words.count >= 10 + arguments, words[5 + arguments] == "2"
        else { return nil }
        let numbers = [words[6 + arguments], words[8 + arguments]].map { word -> Int32? in
            let parts = word.split(separator: ":")
            return parts.count == 2 && parts[0] == "7" ? Int32(parts[1]) : nil
        }
        guard let own = numbers[0], let other = numbers[1] else { return nil }
        return (own, other)
    }

    /// Of two devices whose `range` is equal, and that nobody else has.
    static func make(of primary: DeviceFile, and mirror: DeviceFile, range: Range<UInt64>, name: String) throws
        -> KernelMirror
    {
        var loops: [LoopDevice] = []
        do {
            for file in [primary, mirror] { loops.append(try LoopDevice.make(of: file, range: range)) }
            let sectors = (range.upperBound - range.lowerBound) / 512
            let legs = loops.map { "\($0.device.description) 0" }.joined(separator: " ")
            let mapping = DeviceMapper.prefix + name + suffix
            let device = try DeviceMapper.make(
                mapping, table: "0 \(sectors) mirror core 2 \(region) nosync 2 \(legs) \(features)")
            return KernelMirror(device: device, name: mapping, own: loops[0], other: loops[1])
        } catch {
            for loop in loops { _ = try? loop.discard() }
            throw error
        }
    }

    /// Whether it shows that file or block device as the primary.
    func isBacked(by found: stat) -> Bool { own.isBacked(by: found) }

    /// What the kernel says of the two sides.
    struct Health: Equatable {
        /// Every write has reached it.
        let isOwnWhole: Bool
        let isOtherWhole: Bool

        /// - Parameter status: `0 262144 mirror 2 7:0 7:1 64/64 1 AA 1 core`: for each side A, or R after a read that
        ///   failed, or another letter after a write that did.
        init?(parsing status: String) {
            let words = status.split(whereSeparator: \.isWhitespace)
            guard words.count >= 9, words[2] == "mirror", words[3] == "2", words[8].count == 2 else { return nil }
            let letters = words[8].map { $0 == "A" || $0 == "R" }
            let steps = words[6].split(separator: "/")
            let isInStep = steps.count == 2 && steps[0] == steps[1]
            isOwnWhole = letters[0]
            // Regions are out of step for the sake of the side that has failed.
            isOtherWhole = letters[1] && (isInStep || !letters[0])
        }
    }

    var health: Health {
        get throws {
            guard let health = Health(parsing: try DeviceMapper.dmsetup("status", name)) else {
                throw Complaint(.failure, "\(name): what the kernel says of it is not understood")
            }
            return health
        }
    }

    /// What was below it is let go as well. What has missed writes is marked before, while nobody else has it.
    func clear(_ claim: FileDescriptor) throws -> Bool {
        let health = try health
        if health != .whole { Output.warn("shimctl detach: \(KernelMirroring.mark(self, health))") }
        try? claim.close()
        try DeviceMapper.remove(name)
        var isGone = true
        for loop in [own, other] {
            guard let claim = try loop.claim() else {
                isGone = false
                continue
            }
            if try !loop.clear(claim) { isGone = false }
        }
        return isGone
    }
}

extension KernelMirror.Health {
    static let whole = KernelMirror.Health(isOwnWhole: true, isOtherWhole: true)

    private init(isOwnWhole: Bool, isOtherWhole: Bool) {
        self.isOwnWhole = isOwnWhole
        self.isOtherWhole = isOtherWhole
    }
}
