import FoundationEssentials
import Glibc
import SystemPackage

/// A linear mapping of the device mapper, made by dmsetup(8): unlike a loop device it keeps DAX.
struct LinearDevice: BlockSpace {
    let device: DeviceNumber
    /// The mapping's own: `pmemshim-UUID-data`.
    let name: String

    var path: String { "/dev/dm-\(device.minor)" }

    private static let prefix = "pmemshim-"

    /// - Returns: nothing for what is no mapping of ours.
    init?(number: DeviceNumber) {
        let text = ProcFile.text("/sys/dev/block/\(number.description)/dm/name")
        guard let name = text?.trimmed, name.hasPrefix(Self.prefix) else {
            return nil
        }
        device = number
        self.name = name
    }

    static func all() -> [LinearDevice] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/block")) ?? []
        return names.compactMap { name in
            guard name.hasPrefix("dm-"),
                let text = ProcFile.text("/sys/block/\(name)/dev"),
                let number = DeviceNumber(text: text)
            else { return nil }
            return LinearDevice(number: number)
        }
    }

    /// Ends our claim on the device: the mapping has its own, and fails where somebody else was faster.
    static func make(of file: DeviceFile, range: Range<UInt64>, name: String) throws -> LinearDevice {
        file.claim?.release()
        let origin = DeviceNumber(file.stat.rawValue.st_rdev).description
        let sectors = (range.upperBound - range.lowerBound) / 512
        let mapping = prefix + name
        try dmsetup(["create", mapping, "--table", "0 \(sectors) linear \(origin) \(range.lowerBound / 512)"])
        guard let made = all().first(where: { $0.name == mapping }) else {
            throw Complaint(.failure, "dmsetup made \(mapping), but the kernel does not show it")
        }
        return made
    }

    /// Whether it is a mapping of the block device with those facts, and of nothing else: what it lies on is asked of
    /// the kernel, and its name says nothing, which a copy of the device would bear as well.
    func isBacked(by found: stat) -> Bool {
        guard found.st_mode & S_IFMT == S_IFBLK else { return false }
        let below = "/sys/dev/block/\(device.description)/slaves"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: below)) ?? []
        let numbers = names.map { name in
            (ProcFile.text("\(below)/\(name)/dev")).flatMap(DeviceNumber.init(text:))
        }
        return numbers == [DeviceNumber(found.st_rdev)]
    }

    /// The mapper refuses to remove what anybody has open, our own claim included.
    func clear(_ claim: FileDescriptor) throws -> Bool {
        try? claim.close()
        try Self.dmsetup(["remove", "--retry", name])
        return true
    }

    private static func dmsetup(_ arguments: [String]) throws {
        let result: Subprocess.Result
        do {
            result = try Subprocess.run("/usr/sbin/dmsetup", arguments)
        } catch {
            throw Complaint(.failure, "a device with DAX is mapped with /usr/sbin/dmsetup, which cannot be run")
        }
        guard result.status == 0 else {
            let line = result.errors.split(separator: "\n").joined(separator: "; ")
            throw Complaint(.failure, "dmsetup \(arguments[0]): \(line.printable)")
        }
    }
}
