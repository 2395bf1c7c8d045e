import CBlock
import FoundationEssentials
import Glibc
import SystemPackage

/// Which parts of a block device are written to, as the kernel's tracer tells (tracefs, event block_bio_queue): every
/// write that reaches the device from a file system or a program, and none of the stores into directly mapped pages.
///
/// An instance of the tracer of our own, so that nobody else's tracing is in the way. Whatever might have been lost is
/// told, never passed over.
final class BlockTrace {
    private let folder: FilePath
    private let pipe: FileDescriptor
    private let pageSize: UInt64
    private let pageCount: UInt64
    private var text: [UInt8] = []
    private var hasLost = false
    /// Lines read since the instance was made.
    private var events: UInt64 = 0
    private var ranges: [Range<UInt64>] = []
    /// What was taken, and when.
    private var history: [(time: ContinuousClock.Instant, ranges: PageRanges)] = []

    /// - Parameters:
    ///   - pageSize: bytes; pages are told.
    ///   - pageCount: pages of the device.
    /// - Returns: nothing where the kernel has no tracer, or this process may not use it.
    init?(_ device: DeviceNumber, pageSize: UInt64, pageCount: UInt64) {
        guard let root = Self.root else { return nil }
        self.pageSize = pageSize
        self.pageCount = pageCount
        Self.sweep(root)
        folder = root.appending("instances/\(Self.prefix)\(getpid())-\(device.major)-\(device.minor)")
        _ = rmdir(folder.string)
        guard mkdir(folder.string, 0o700) == 0 else { return nil }
        // A new instance has the settings of the global one.
        for option in ["raw", "hex", "bin", "fields", "block", "stacktrace", "userstacktrace", "annotate", "markers"] {
            let path = folder.appending("options/\(option)")
            if access(path.string, F_OK) == 0, !Self.write("0", path) {
                _ = rmdir(folder.string)
                return nil
            }
        }
        let event = folder.appending("events/block/block_bio_queue")
        // As the kernel counts devices within itself.
        let number = device.major << 20 | device.minor
        guard Self.write("dev == \(number) && nr_sector > 0", event.appending("filter")),
            Self.write("4096", folder.appending("buffer_size_kb")), Self.write("1", event.appending("enable")),
            let pipe = try? FileDescriptor.open(
                folder.appending("trace_pipe"), .readOnly, options: [.nonBlocking, .closeOnExec])
        else {
            _ = rmdir(folder.string)
            return nil
        }
        self.pipe = pipe
    }

    deinit {
        try? pipe.close()
        _ = rmdir(folder.string)
    }

    /// What has been written to since the last call. An earlier one may have been under way still when that was asked.
    /// - Returns: nothing where something may have been lost: all may have been written to.
    func take() -> PageRanges? {
        drain()
        countEvents()
        defer {
            ranges = []
            hasLost = false
        }
        let taken = PageRanges(ranges)
        history = history.filter { .now - $0.time < Self.longestFlight } + [(.now, taken)]
        return hasLost ? nil : taken
    }

    /// Of what was taken, the part that may be on its way to the device still: a read may overtake it. What is written
    /// back from the page cache is waited for by syncfs; direct writes are not.
    var recent: PageRanges {
        history.filter { .now - $0.time < Self.longestFlight }.reduce(PageRanges()) { $0.union($1.ranges) }
    }

    /// ns.
    static let longestFlightNs: Int64 = 1_000_000_000
    private static let longestFlight = Duration.nanoseconds(longestFlightNs)

    /// Reads what the kernel has collected, so that its room is enough. To be called now and then.
    func drain() {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(pipe.rawValue, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                if count == 0 || errno != EAGAIN { hasLost = true }
                break
            }
            text += buffer.prefix(count)
            var start = 0
            while let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) {
                note(String(decoding: text[start..<end], as: UTF8.self))
                start = end + 1
            }
            text.removeFirst(start)
            // No line that is meant.
            if text.count > 4_096 {
                text = []
                hasLost = true
            }
        }
        if ranges.count > 1 << 16 { ranges = PageRanges(ranges).ranges }
        // Somebody else may have stopped it.
        let event = folder.appending("events/block/block_bio_queue/enable")
        if ProcFile.text(event.string)?.first != "1"
            || ProcFile.text(folder.appending("tracing_on").string)?.first != "1"
        {
            hasLost = true
        }
    }

    /// `kworker/0:1-15 [000] d..2. 123.45: block_bio_queue: 7,3 WS 1234 + 8 [kworker/0:1]`: sectors of 512 bytes.
    /// Whatever else a line says (`CPU:0 [LOST 12 EVENTS]`) means that something may be missing.
    private func note(_ line: String) {
        guard let place = line.firstRange(of: "block_bio_queue: ") else {
            hasLost = hasLost || !line.isEmpty
            return
        }
        events += 1
        let words = line[place.upperBound...].split(separator: " ", maxSplits: 5)
        guard words.count >= 5, words[3] == "+", let sector = UInt64(words[2]), let count = UInt64(words[4]) else {
            hasLost = true
            return
        }
        guard !words[1].hasPrefix("R") else { return }
        ranges.append(
            PageRanges.touched(
                by: sector.saturatingMultiply(512), count.saturatingMultiply(512), pageSize: pageSize, end: pageCount))
    }

    /// What another process has read or thrown away is missing in what was read here.
    private func countEvents() {
        var sum: UInt64 = 0
        let folder = folder.appending("per_cpu")
        for processor in (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? [] {
            let text = ProcFile.text(folder.appending("\(processor)/stats").string) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("read events: ") }
            guard let count = line.flatMap({ UInt64($0.dropFirst(13)) }) else {
                hasLost = true
                return
            }
            sum += count
        }
        if sum != events { hasLost = true }
        events = sum
    }

    private static let prefix = "pmemshim-"

    /// Where the tracer is; mounted as systemd does it where it is not yet.
    private static var root: FilePath? {
        let root = FilePath("/sys/kernel/tracing")
        if access(root.appending("instances").string, W_OK) != 0 {
            _ = mount("tracefs", root.string, "tracefs", 0, nil)
        }
        return access(root.appending("instances").string, W_OK) == 0 ? root : nil
    }

    /// What processes that were killed have left.
    private static func sweep(_ root: FilePath) {
        let instances = root.appending("instances")
        for name in (try? FileManager.default.contentsOfDirectory(atPath: instances.string)) ?? []
        where name.hasPrefix(prefix) {
            let number = name.dropFirst(prefix.count).prefix { $0.isNumber }
            if let process = pid_t(number), kill(process, 0) != 0, errno == ESRCH {
                _ = rmdir(instances.appending(name).string)
            }
        }
    }

    private static func write(_ text: String, _ path: FilePath) -> Bool {
        guard let file = try? FileDescriptor.open(path, .writeOnly, options: .closeOnExec) else { return false }
        defer { try? file.close() }
        return (try? file.writeAll(text.utf8)) != nil
    }
}

extension UInt64 {
    fileprivate func saturatingMultiply(_ other: UInt64) -> UInt64 {
        let (product, overflows) = multipliedReportingOverflow(by: other)
        return overflows ? .max : product
    }
}
