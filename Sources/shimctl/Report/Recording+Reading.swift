import FoundationEssentials
import Glibc
import SystemPackage

extension Recording {
    /// Reads a recording of any size: as a stream, of which as many samples are kept as a drawing can show.
    /// - Throws: a `Complaint` that names the file, and the line which is wrong.
    init(reading path: FilePath) throws {
        var reader = RecordingReader(path: path)
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: [.nonBlocking, .closeOnExec])
            try file.closeAfter { try reader.read(file) }
        } catch let error as Errno {
            throw Complaint(.failure, "\(path.string.printable): \(error)")
        }
        guard let head = reader.head else {
            throw Complaint(.failure, "\(path.string.printable) is not a recording of shimctl record")
        }
        self.init(
            name: path.lastComponent?.string ?? path.string, head: head, samples: reader.samples.all, end: reader.end)
    }
}

/// What has been read of a recording.
private struct RecordingReader {
    let path: FilePath
    var head: Recording.Head?
    var samples = ThinnedSamples()
    var end: Recording.End?

    /// `record` writes no longer ones: 100 files of 4,096 groups.
    private static let mostBytesOfLine = 64 << 20
    private static let sample = Array(#"{"sample":{"#.utf8)

    private let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return decoder
    }()

    init(path: FilePath) { self.path = path }

    mutating func read(_ file: FileDescriptor) throws {
        guard try Stat(file).type == .regular else {
            throw Complaint(.failure, "\(path.string.printable) is no recording: not a file")
        }
        var lines = LineStream(file, mostBytes: Self.mostBytesOfLine)
        var wrong: Int?
        // The last sample that was left out, which is needed where no other follows.
        var last: LineStream.Line?
        do {
            while let line = try lines.next() {
                if line.bytes.isEmpty { continue }
                if let wrong { throw complaint(wrong) }
                if line.isWhole, line.bytes.starts(with: Self.sample), !samples.wantsNext {
                    samples.leaveOut()
                    last = line
                } else if let found = decoded(line) {
                    if found.sample != nil { last = nil }
                    try take(found)
                } else {
                    // The last line of a recording that was cut short may be half a line.
                    wrong = line.number
                }
            }
        } catch let error as LineStream.TooLong {
            throw complaint(error.number)
        }
        if let wrong, head == nil { throw complaint(wrong) }
        guard let last else { return }
        guard let sample = decoded(last)?.sample else { throw complaint(last.number) }
        samples.end(with: sample)
    }

    private mutating func take(_ line: Recording.Line) throws {
        if let found = line.head {
            guard found.schema == Recording.schema else {
                throw Complaint(
                    .failure,
                    "\(path.string.printable) has the schema \(found.schema.printable);"
                        + " this shimctl reads \(Recording.schema)")
            }
            head = found
        }
        if let sample = line.sample { samples.add(sample) }
        if let found = line.end { end = found }
    }

    private func decoded(_ line: LineStream.Line) -> Recording.Line? {
        try? decoder.decode(Recording.Line.self, from: Data(line.bytes))
    }

    private func complaint(_ line: Int) -> Complaint {
        Complaint(.failure, "\(path.string.printable), line \(line), is not a line of a recording")
    }
}

/// Samples in the order of time, of which no more than some are kept, at even distances. What was counted in those that
/// are left out is in the next one, for they are sums since the beginning.
private struct ThinnedSamples {
    /// Several times as many as a drawing is wide.
    private static let most = 4_096

    private var kept: [Recording.Sample] = []
    private var last: Recording.Sample?
    /// One of so many is kept.
    private var step = 1
    private var seen = 0

    var all: [Recording.Sample] { kept + [last].compactMap { $0 } }

    var wantsNext: Bool { seen % step == 0 }

    mutating func add(_ sample: Recording.Sample) {
        defer { seen += 1 }
        guard wantsNext else {
            last = sample.merged
            return
        }
        last = nil
        kept.append(sample.merged)
        guard kept.count == Self.most else { return }
        // Not one of those that stay.
        last = kept.last
        kept = stride(from: 0, to: kept.count, by: 2).map { kept[$0] }
        step *= 2
    }

    mutating func leaveOut() { seen += 1 }

    mutating func end(with sample: Recording.Sample) { last = sample.merged }
}

extension Recording.Sample {
    /// The same figures without their mounts, and without names that this version does not know: of a bounded size.
    fileprivate var merged: Recording.Sample {
        var calls: [String: [String: UInt64]] = [:]
        for mount in mounts {
            for (family, outcomes) in mount.calls {
                for (outcome, count) in outcomes {
                    let (row, column) = (Self.known(family, Self.families), Self.known(outcome, Self.outcomes))
                    calls[row, default: [:]][column] = (calls[row]?[column] ?? 0).saturatingAdd(count)
                }
            }
        }
        func sum(_ value: (Recording.Mount) -> UInt64) -> UInt64 { mounts.reduce(0) { $0.saturatingAdd(value($1)) } }
        let mount = Recording.Mount(
            path: "", backing: "", windows: sum(\.windows), mappedBytes: sum(\.mappedBytes), calls: calls,
            servedRead: sum(\.servedRead), passedRead: sum(\.passedRead), servedWritten: sum(\.servedWritten),
            passedWritten: sum(\.passedWritten), faults: sum(\.faults))
        return Recording.Sample(elapsedNs: elapsedNs, mounts: mounts.isEmpty ? [] : [mount])
    }

    private static let families = Set(CallFamily.allCases.map(\.name))
    private static let outcomes = Set(CallOutcome.allCases.map(\.name))

    private static func known(_ name: String, _ names: Set<String>) -> String { names.contains(name) ? name : "other" }
}
