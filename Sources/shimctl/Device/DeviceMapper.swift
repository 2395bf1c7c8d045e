import FoundationEssentials
import Glibc
import SystemPackage

/// The kernel's device mapper, asked by dmsetup(8). Mappings of ours are named `pmemshim-...`.
enum DeviceMapper {
    static let prefix = "pmemshim-"
    private static let program = "/usr/sbin/dmsetup"

    /// The name of a mapping of ours; nothing for any other device.
    static func name(of device: DeviceNumber) -> String? {
        guard let name = ProcFile.text("/sys/dev/block/\(device.description)/dm/name")?.trimmed,
            name.hasPrefix(prefix)
        else { return nil }
        return name
    }

    /// All mappings of ours.
    static var all: [DeviceNumber] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/block")) ?? []
        return names.compactMap { name in
            guard name.hasPrefix("dm-"),
                let number = ProcFile.text("/sys/block/\(name)/dev").flatMap(DeviceNumber.init(text:)),
                self.name(of: number) != nil
            else { return nil }
            return number
        }
    }

    /// - Returns: what it printed.
    /// - Throws: a `Complaint` where it cannot be run, or fails.
    @discardableResult
    static func dmsetup(_ arguments: String...) throws -> String {
        let result: Subprocess.Result
        do {
            result = try Subprocess.output(program, arguments, environment: ["LC_ALL": "C"])
        } catch {
            throw Complaint(.failure, "the device mapper needs \(program), which cannot be run")
        }
        guard result.status == 0 else {
            let line = result.errors.split(separator: "\n").joined(separator: "; ")
            throw Complaint(.failure, "dmsetup \(arguments[0]): \(line.printable)")
        }
        return result.output
    }

    /// Makes a mapping.
    /// - Parameter table: one line, as dmsetup(8) has it.
    static func make(_ name: String, table: String) throws -> DeviceNumber {
        try dmsetup("create", name, "--table", table)
        guard let made = all.first(where: { self.name(of: $0) == name }) else {
            throw Complaint(.failure, "dmsetup made \(name), but the kernel does not show it")
        }
        return made
    }

    /// Fails while anybody has it open.
    static func remove(_ name: String) throws { try dmsetup("remove", "--retry", name) }

    /// Whether the kernel has a kind of mapping, or a module of it that can be loaded.
    static func offers(_ target: String) -> Bool {
        func isThere() -> Bool {
            let text = (try? dmsetup("targets")) ?? ""
            return text.split(separator: "\n").contains { $0.split(separator: " ").first == target[...] }
        }
        if isThere() { return true }
        _ = try? Subprocess.run("/usr/sbin/modprobe", ["--quiet", "dm-\(target)"])
        return isThere()
    }
}
