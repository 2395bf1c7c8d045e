import Foundation
import TestSupport
import Testing

/// An image file of a test's own, and shimctl at work on it.
final class DeviceImage {
    private let scratch: ScratchDirectory
    let path: String
    /// Under which it is attached; unlike any other of this machine.
    let name: String
    private var isAttached = false

    /// - Parameter parent: on which file system; it must take sparse files of the size that is wanted.
    init(in parent: String = "/tmp") throws {
        scratch = try ScratchDirectory(in: parent)
        path = "\(scratch.path)/device.img"
        name = "test-" + (scratch.path.split(separator: ".").last.map(String.init) ?? "x")
    }

    /// One that has been created with `size`, and attached if that is wanted.
    convenience init(size: String, attached: Bool = false) throws {
        try self.init()
        let created = try create("--size", size)
        guard created.ending == .exited(0) else { throw SetupError("create: \(created.ending), \(created.stderr)") }
        guard attached else { return }
        let run = try attach()
        guard run.ending == .exited(0) else { throw SetupError("attach: \(run.ending), \(run.stderr)") }
    }

    deinit { close() }

    func close() {
        if isAttached { _ = try? shimctl(["detach", path]) }
        isAttached = false
        scratch.close()
    }

    var directory: String { scratch.path }
    var blocks: String { "/dev/pmemshim/\(name)" }
    var pages: String { "/dev/pmemshim/\(name).pages" }

    @discardableResult
    func create(_ options: String...) throws -> Run { try shimctl(["create", path] + options) }

    func attach() throws -> Run {
        let run = try shimctl(["attach", path, "--name", name])
        if run.ending == .exited(0) { isAttached = true }
        return run
    }

    func detach() throws -> Run {
        let run = try shimctl(["detach", path])
        if run.ending == .exited(0) { isAttached = false }
        return run
    }

    func inspect(_ options: String...) throws -> DeviceJSON {
        let run = try shimctl(["inspect", path, "--json"] + options)
        guard let document = try? JSONSerialization.jsonObject(with: Data(run.output)) else {
            throw SetupError("inspect: \(run.ending), \(run.stdout)\(run.stderr)")
        }
        return DeviceJSON(value: document)
    }

    /// Bytes of the image that have been given room on its file system.
    var allocated: Int {
        var found = stat()
        return stat(path, &found) == 0 ? Int(found.st_blocks) * 512 : -1
    }

    func bytes(at offset: UInt64, count: Int) throws -> Data {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? handle.close() }
        try handle.seek(toOffset: offset)
        return try handle.read(upToCount: count) ?? Data()
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? handle.close() }
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data(bytes))
    }

    /// Overwrites a copy of the superblock with noise.
    func destroyCopy(at offset: UInt64) throws {
        try write((0..<4_096).map { _ in UInt8.random(in: 0...255) }, at: offset)
    }

    /// Why nothing can be attached here; nothing if it can.
    static let attachUnavailability: String? =
        geteuid() != 0
        ? "attach needs root"
        : FileManager.default.fileExists(atPath: "/dev/loop-control") ? nil : "there are no loop devices"

    static func skipUnlessAttachable() throws {
        if let reason = attachUnavailability { try Test.cancel(Comment(rawValue: reason)) }
    }
}

func shimctl(_ arguments: [String]) throws -> Run {
    let variables = ProcessInfo.processInfo.environment.filter {
        !$0.key.hasPrefix("PMEMSHIM_") && !$0.key.hasPrefix("LD_")
    }
    return try spawn(
        Shim.shimctl, arguments, environment: variables.merging(["LC_ALL": "C"]) { $1 }, timeout: .seconds(120))
}

/// A JSON value by keys.
struct DeviceJSON {
    let value: Any?

    subscript(key: String) -> DeviceJSON { DeviceJSON(value: (value as? [String: Any])?[key]) }
    subscript(index: Int) -> DeviceJSON {
        let items = value as? [Any] ?? []
        return DeviceJSON(value: items.indices.contains(index) ? items[index] : nil)
    }

    var number: UInt64? { (value as? NSNumber)?.uint64Value }
    var text: String? { value as? String }
    var flag: Bool? { value as? Bool }
    var texts: [String] { value as? [String] ?? [] }
    var isNull: Bool { value is NSNull }
}
