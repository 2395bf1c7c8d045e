import FoundationEssentials
import Glibc
import SystemPackage

/// A linear mapping of the device mapper, made by dmsetup(8): unlike a loop device it keeps DAX.
struct LinearDevice: BlockSpace {
    let device: DeviceNumber
    /// The mapping's own: `pmemshim-UUID-data`.
    let name: String

    var path: String { "/dev/dm-\(device.minor)" }

    /// - Returns: nothing for what is no mapping of ours.
    init?(number: DeviceNumber) {
        guard let name = DeviceMapper.name(of: number), !KernelMirror.isName(name) else { return nil }
        device = number
        self.name = name
    }

    static func all() -> [LinearDevice] { DeviceMapper.all.compactMap(LinearDevice.init(number:)) }

    /// Ends our claim on the device: the mapping has its own, and fails where somebody else was faster.
    static func make(of file: DeviceFile, range: Range<UInt64>, name: String) throws -> LinearDevice {
        file.claim?.release()
        let origin = DeviceNumber(file.stat.rawValue.st_rdev).description
        let sectors = (range.upperBound - range.lowerBound) / 512
        let mapping = DeviceMapper.prefix + name
        let made = try DeviceMapper.make(mapping, table: "0 \(sectors) linear \(origin) \(range.lowerBound / 512)")
        return LinearDevice(device: made, name: mapping)
    }

    private init(device: DeviceNumber, name: String) {
        self.device = device
        self.name = name
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
        try DeviceMapper.remove(name)
        return true
    }
}
