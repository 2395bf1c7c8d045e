import ArgumentParser
import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// The process whose calls `shimctl bench` measures: once natively, once with the library preloaded. Not for people.
struct BenchWorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-worker", abstract: "The measured process of shimctl bench.", shouldDisplay: false)

    @Argument(help: "The directory, in which it makes files without names.") var directory: String
    @Argument(help: "Bytes of its file.") var size: Int
    @Argument(help: "Nanoseconds for each row.") var slice: UInt64
    @Argument(help: "Names of rows.") var rows: [String]

    func run() throws {
        // Its figures are for nobody else. A parent that is gone already is noticed by the first line that is printed.
        _ = ps_end_with_parent()
        try Complaint.reported(by: "bench") {
            let worker = try BenchWorker(FilePath(directory), size: size, slice: slice)
            try worker.warmUp()
            for name in rows {
                guard let row = BenchRow(named: name) else { throw Complaint(.usage, "there is no row \(name)") }
                try Output.line("\(name) \(Figures.fixed(try worker.nanoseconds(row), decimals: 2))")
            }
        }
    }
}

/// Makes calls of one kind for some time.
final class BenchWorker {
    private let path: FilePath
    private let slice: Duration
    private let file: FileDescriptor
    private let size: Int
    private let buffer: UnsafeMutableRawBufferPointer
    private var state: UInt64 = 0x9e37_79b9_7f4a_7c15

    /// - Parameters:
    ///   - path: the directory.
    ///   - size: of its file, bytes: whole pages (4 KiB), at least 2 MiB.
    ///   - slice: ns.
    init(_ path: FilePath, size: Int, slice: UInt64) throws {
        self.path = path
        self.size = size
        self.slice = .nanoseconds(Int64(clamping: slice))
        // The first MiB is that of the calls, the second that of the program's own work.
        buffer = .allocate(byteCount: 2 << 20, alignment: 4_096)
        buffer.initializeMemory(as: UInt8.self, repeating: 0x5a)
        file = try Self.unnamed(in: path)
        do {
            // Room for what grows beside it, too.
            let reason = posix_fallocate(file.rawValue, 0, off_t(size) + off_t(Self.mostAppended))
            guard reason == 0 else { throw Errno(rawValue: reason) }
            guard ftruncate(file.rawValue, off_t(size)) == 0 else { throw Errno(rawValue: errno) }
            let block = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8) }
            for _ in 0..<size >> 20 { try file.writeAll(block) }
        } catch {
            let needed = Figures.bytes(UInt64(size + Self.mostAppended))
            throw Complaint(.failure, "\(path.string.printable): \(error): \(needed) are needed")
        }
    }

    /// A file that no name leads to: whoever owns the directory can put nothing in its place, and it is gone with this
    /// process, however that ends.
    private static func unnamed(in directory: FilePath) throws -> FileDescriptor {
        let raw = open(directory.string, temporary | O_RDWR | O_CLOEXEC, 0o600)
        guard raw >= 0 else {
            throw Complaint(
                .failure, "\(directory.string.printable): no file can be made there: \(Errno(rawValue: errno))")
        }
        return FileDescriptor(rawValue: raw)
    }

    /// O_TMPFILE on x86-64 (open(2)), which Swift's Glibc does not show.
    private static let temporary: Int32 = 0o20_200_000

    /// Goes through the file once, so that all its pages are mapped where it is served: what that costs has a row of
    /// its own.
    func warmUp() throws {
        for place in stride(from: 0, to: size, by: 64 << 10)
        where pread(file.rawValue, buffer.baseAddress, 64 << 10, off_t(place)) < 0 { throw failure() }
    }

    deinit {
        buffer.deallocate()
        try? file.close()
    }

    /// What one call of that kind takes: elapsed time, ns.
    func nanoseconds(_ row: BenchRow) throws -> Double {
        switch row.operation {
        case .pread:
            // Some programs read pages, others what lies across their bounds: RocksDB's blocks, for one.
            return try timed(row) {
                pread(
                    self.file.rawValue, self.buffer.baseAddress, row.size,
                    self.offset(row.size, step: min(row.size, 1_024))) == row.size
            }
        case .read: return try readInOrder(row.size)
        case .pwrite:
            return try timed(row) {
                pwrite(self.file.rawValue, self.buffer.baseAddress, row.size, self.offset(row.size, step: row.size))
                    == row.size
            }
        case .append: return try append(row)
        case .fdatasync: return try sync()
        case .open: return try opening()
        case .page: return try mapping()
        }
    }

    /// Calls it until the time is over, in batches, so that the clock does not count.
    /// - Parameter call: false where it has failed.
    private func timed(_ call: () -> Bool) throws -> Double {
        // Warm first: a fifth of the time.
        _ = try counted(for: slice / 5, call)
        return try counted(for: slice, call)
    }

    /// The same for a row, which may be among work: then each call is timed by itself, and what the clock takes is
    /// taken out. The difference of two loops, one with the calls and one without, would be that of two large numbers.
    private func timed(_ row: BenchRow, _ call: () -> Bool) throws -> Double {
        guard row.isAmongWork else { return try timed(call) }
        _ = try among(for: slice / 5, call)
        let both = try among(for: slice, call)
        return max(both - (try among(for: slice / 5) { true }), 0)
    }

    /// What one call takes on average when the program works between two of them, ns; the clock included.
    private func among(for time: Duration, _ call: () -> Bool) throws -> Double {
        let begin = ContinuousClock.now
        var (calls, taken) = (0, UInt64(0))
        repeat {
            for _ in 0..<16 {
                work()
                let before = Self.now()
                guard call() else { throw failure() }
                taken += Self.now() - before
            }
            calls += 16
        } while ContinuousClock.now - begin < time
        return Double(taken) / Double(calls)
    }

    /// ns. ContinuousClock counts in attoseconds: too dear between two calls.
    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Reads and changes 1 MiB, about what a core's own caches hold: as after a program's own work, the next call finds
    /// neither the kernel's tables nor its code there. With 128 KiB a pread of 4 KiB seemed a third cheaper than it is
    /// in RocksDB.
    private func work() {
        let place = UnsafeMutableRawBufferPointer(rebasing: buffer[(1 << 20)...])
        for line in stride(from: 0, to: place.count, by: 64) {
            let word = place.load(fromByteOffset: line, as: UInt64.self)
            place.storeBytes(of: word &* 31 &+ 1, toByteOffset: line, as: UInt64.self)
        }
    }

    private func counted(for time: Duration, _ call: () -> Bool) throws -> Double {
        let begin = ContinuousClock.now
        var calls = 0
        while true {
            for _ in 0..<64 where !call() { throw failure() }
            calls += 64
            let taken = ContinuousClock.now - begin
            if taken >= time { return taken / .nanoseconds(1) / Double(calls) }
        }
    }

    private func readInOrder(_ bytes: Int) throws -> Double {
        guard lseek(file.rawValue, 0, SEEK_SET) == 0 else { throw failure() }
        var left = size
        return try timed {
            if left < bytes {
                // Once in thousands of calls.
                guard lseek(self.file.rawValue, 0, SEEK_SET) == 0 else { return false }
                left = self.size
            }
            left -= bytes
            return Glibc.read(self.file.rawValue, self.buffer.baseAddress, bytes) == bytes
        }
    }

    /// A file that grows is cut again at so many bytes.
    static let mostAppended = 16 << 20

    private func append(_ row: BenchRow) throws -> Double {
        let bytes = row.size
        let target = try Self.unnamed(in: path)
        defer { try? target.close() }
        var length = 0
        return try timed(row) {
            if length + bytes > Self.mostAppended {
                guard ftruncate(target.rawValue, 0) == 0, lseek(target.rawValue, 0, SEEK_SET) == 0 else { return false }
                length = 0
            }
            length += bytes
            return Glibc.write(target.rawValue, self.buffer.baseAddress, bytes) == bytes
        }
    }

    private func sync() throws -> Double {
        let write = {
            pwrite(self.file.rawValue, self.buffer.baseAddress, 4_096, self.offset(4_096, step: 4_096)) == 4_096
        }
        let alone = try timed(write)
        return max(try timed { write() && Glibc.fdatasync(self.file.rawValue) == 0 } - alone, 0)
    }

    /// So many files that no window is left from the last time.
    private static let files = 256

    private func opening() throws -> Double {
        var targets: [FileDescriptor] = []
        defer { for target in targets { try? target.close() } }
        for _ in 0..<Self.files {
            let target = try Self.unnamed(in: path)
            targets.append(target)
            _ = try target.writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<8_192]))
        }
        // The way to open them again.
        let names = targets.map { "/proc/self/fd/\($0.rawValue)" }
        var next = 0
        return try timed {
            next = (next + 1) % Self.files
            let descriptor = open(names[next], O_RDWR | O_CLOEXEC)
            guard descriptor >= 0 else { return false }
            defer { _ = close(descriptor) }
            return pread(descriptor, self.buffer.baseAddress, 4_096, 0) == 4_096
        }
    }

    private func mapping() throws -> Double {
        let pages = size / 4_096
        var times: [Double] = []
        for _ in 0..<3 {
            let begin = ContinuousClock.now
            guard let start = mmap(nil, size, PROT_READ, MAP_SHARED, file.rawValue, 0), start != MAP_FAILED else {
                throw failure()
            }
            var sum: UInt8 = 0
            for page in 0..<pages { sum &+= start.load(fromByteOffset: page * 4_096, as: UInt8.self) }
            // What is read must be used, or nothing would be read.
            buffer[0] = sum
            munmap(start, size)
            times.append((.now - begin) / .nanoseconds(1) / Double(pages))
        }
        return Statistics.median(times) ?? 0
    }

    /// At random; never at the very end, which grows.
    /// - Parameter step: what it is a multiple of.
    private func offset(_ bytes: Int, step: Int) -> off_t {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        let places = UInt64(max((size - bytes) / step, 1))
        return off_t(state % places) * off_t(step)
    }

    private func failure() -> Complaint {
        Complaint(.failure, "\(path.string.printable): a call failed: \(Errno(rawValue: errno))")
    }
}
