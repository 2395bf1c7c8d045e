import Foundation
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
        let text = try? String(contentsOfFile: "/sys/dev/block/\(number.description)/dm/name", encoding: .utf8)
        guard let name = text?.trimmingCharacters(in: .whitespacesAndNewlines), name.hasPrefix(Self.prefix) else {
            return nil
        }
        device = number
        self.name = name
    }

    static func all() -> [LinearDevice] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/block")) ?? []
        return names.compactMap { name in
            guard name.hasPrefix("dm-"),
                let text = try? String(contentsOfFile: "/sys/block/\(name)/dev", encoding: .utf8),
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

    func clear() throws -> Bool {
        try Self.dmsetup(["remove", "--retry", name])
        return true
    }

    private static func dmsetup(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/dmsetup")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw Complaint(.failure, "a device with DAX is mapped with /usr/sbin/dmsetup, which cannot be run")
        }
        let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let line = said.split(separator: "\n").joined(separator: "; ")
            throw Complaint(.failure, "dmsetup \(arguments[0]): \(line.printable)")
        }
    }
}
