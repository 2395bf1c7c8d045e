import CBlock
import FoundationEssentials
import Glibc
import SystemPackage

/// Which parts of a block device are written to, as the kernel's tracer tells (tracefs, event block_bio_queue): every
/// write that reaches the device from a file system or a program, and none of the stores into directly mapped pages.
///
/// An instance of the tracer of our own, so that nobody else's tracing is in the way. Whatever might have been lost is
/// told, never passed over.
final class BlockTrace: WriteTrace {
    private let folder: FilePath
    private let layout: TraceLayout
    /// Of each processor.
    private let pipes: [FileDescriptor]
    private let pageSize: UInt64
    private let pageCount: UInt64
    private var hasLost = false
    /// Records read since the instance was made.
    private var events: UInt64 = 0
    /// Records that were never to be read.
    private var overruns: UInt64 = 0
    private var ranges: [Range<UInt64>] = []
    private var history = RecentWrites()

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
        let event = folder.appending("events/block/block_bio_queue")
        guard Self.prepare(folder, event, device),
            let layout = TraceLayout(
                page: ProcFile.text(folder.appending("events/header_page").string) ?? "",
                event: ProcFile.text(event.appending("format").string) ?? ""),
            let pipes = Self.pipes(folder)
        else {
            _ = rmdir(folder.string)
            return nil
        }
        self.layout = layout
        self.pipes = pipes
    }

    deinit {
        for pipe in pipes { try? pipe.close() }
        _ = rmdir(folder.string)
    }

    /// Whatever makes records beside those of the event, or costs more than these, is off. A new instance has the
    /// settings of the global one.
    private static func prepare(_ folder: FilePath, _ event: FilePath, _ device: DeviceNumber) -> Bool {
        let unwanted = ["stacktrace", "userstacktrace", "markers", "copy_trace_marker", "record-cmd", "record-tgid"]
        for option in unwanted {
            let path = folder.appending("options/\(option)")
            if access(path.string, F_OK) == 0, !write("0", path) { return false }
        }
        // What is lost is lost from the beginning on, and told with the first page that is read.
        let overwrite = folder.appending("options/overwrite")
        if access(overwrite.string, F_OK) == 0, !write("1", overwrite) { return false }
        // As the kernel counts devices within itself.
        let number = device.major << 20 | device.minor
        return write("dev == \(number) && nr_sector > 0", event.appending("filter"))
            && write("4096", folder.appending("buffer_size_kb")) && write("1", event.appending("enable"))
    }

    /// Opened for each processor that there may ever be.
    private static func pipes(_ folder: FilePath) -> [FileDescriptor]? {
        let folder = folder.appending("per_cpu")
        var pipes: [FileDescriptor] = []
        for processor in (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? [] {
            let path = folder.appending("\(processor)/trace_pipe_raw")
            guard let pipe = try? FileDescriptor.open(path, .readOnly, options: [.nonBlocking, .closeOnExec]) else {
                for pipe in pipes { try? pipe.close() }
                return nil
            }
            pipes.append(pipe)
        }
        return pipes.isEmpty ? nil : pipes
    }

    func take() -> PageRanges? {
        drain()
        // What is there still has come meanwhile, or else it cannot be read.
        let before = events
        if countEvents() > 0 {
            drain()
            if countEvents() > 0, events == before { hasLost = true }
        }
        defer {
            ranges = []
            hasLost = false
        }
        let taken = PageRanges(ranges)
        history.add(taken)
        return hasLost ? nil : taken
    }

    var recent: PageRanges { history.pages }

    func drain() {
        let page = UnsafeMutableRawBufferPointer.allocate(byteCount: layout.pageSize, alignment: 8)
        defer { page.deallocate() }
        for pipe in pipes {
            while true {
                let count = Glibc.read(pipe.rawValue, page.baseAddress, page.count)
                if count < 0, errno == EINTR { continue }
                // ENODEV: of a processor that has not been there since the instance was made.
                if count < 0, errno != EAGAIN, errno != ENODEV { hasLost = true }
                // Linux 6.18 says 0, and not EAGAIN, where there is nothing but what the filter has thrown away.
                guard count > 0 else { break }
                note(UnsafeRawBufferPointer(rebasing: page[..<count]))
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

    private func note(_ page: UnsafeRawBufferPointer) {
        // Not the property itself: every use of it would be checked for others.
        var found = ranges
        ranges = []
        let told = layout.read(page) { record in
            guard !record.isRead else { return }
            let pages = PageRanges.touched(
                by: record.sector.saturatingMultiply(512), record.count * 512, pageSize: pageSize, end: pageCount)
            // What is written in order is one range: a file, and the journal now and then.
            var index = found.count
            while index > max(found.count - 4, 0) {
                index -= 1
                let old = found[index]
                guard old.upperBound >= pages.lowerBound, old.lowerBound <= pages.lowerBound else { continue }
                if old.upperBound < pages.upperBound { found[index] = old.lowerBound..<pages.upperBound }
                return
            }
            found.append(pages)
        }
        ranges = found
        events += told.events
        if told.hasLost { hasLost = true }
    }

    /// What another process has read or thrown away is missing in what was read here, as is what was overwritten before
    /// it was read.
    /// - Returns: how many records wait to be read.
    private func countEvents() -> UInt64 {
        var (read, waiting, lost): (UInt64, UInt64, UInt64) = (0, 0, 0)
        let folder = folder.appending("per_cpu")
        for processor in (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? [] {
            var counts: [Substring: UInt64] = [:]
            for line in (ProcFile.text(folder.appending("\(processor)/stats").string) ?? "").split(separator: "\n") {
                guard let colon = line.lastIndex(of: ":") else { continue }
                counts[line[..<colon]] = UInt64(line[line.index(after: colon)...].drop { $0 == " " })
            }
            guard let reads = counts["read events"], let entries = counts["entries"], let overrun = counts["overrun"],
                let nested = counts["commit overrun"], let dropped = counts["dropped events"]
            else {
                hasLost = true
                return 0
            }
            read += reads
            waiting += entries
            lost += overrun + nested + dropped
        }
        if read != events || lost != overruns { hasLost = true }
        (events, overruns) = (read, lost)
        return waiting
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
