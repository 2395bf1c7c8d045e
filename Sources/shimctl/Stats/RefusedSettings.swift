import Glibc
import SystemPackage

/// What the shim in this user's processes could not use of its settings, from the file `refused` of the runtime
/// directory: lines `TIME PID COMMAND: TEXT`, TIME in seconds since 1970. The shim never writes to a program's standard
/// error, and where settings come from a service's own environment nobody else looks at them. Anybody of that user may
/// have scribbled over the file: it is text for people, and nothing in it is believed.
struct RefusedSettings {
    struct Line: Encodable, Equatable {
        let timeUnixS: UInt64
        let pid: Int32
        let command: String
        let text: String
        /// How often the same was said of the same command; the time and the process are the last ones.
        var count: UInt64
    }

    static let fileName = "refused"
    /// What the shim leaves it at.
    static let mostBytes = 64 << 10
    static let mostShown = 20

    /// The last said first.
    private(set) var lines: [Line] = []

    /// - Parameter pid: only what was said by that process.
    init(in place: RuntimePlace, pid: Int32? = nil) throws {
        guard let descriptor = try place.open(Self.fileName) else { return }
        defer { try? descriptor.close() }
        var bytes = [UInt8](repeating: 0, count: Self.mostBytes)
        let filled = try DeviceFile.complaining("the refused settings") {
            try bytes.withUnsafeMutableBytes { try descriptor.fill($0, at: 0) }
        }
        for text in bytes.prefix(filled).split(separator: UInt8(ascii: "\n")) {
            guard let line = Line(parsing: text), pid == nil || line.pid == pid else { continue }
            add(line)
        }
        lines.sort { $0.timeUnixS > $1.timeUnixS }
    }

    private mutating func add(_ line: Line) {
        guard let same = lines.firstIndex(where: { $0.command == line.command && $0.text == line.text }) else {
            return lines.append(line)
        }
        let count = lines[same].count + 1
        if line.timeUnixS >= lines[same].timeUnixS { lines[same] = line }
        lines[same].count = count
    }

    /// For people; empty where nothing was refused.
    var text: String {
        guard !lines.isEmpty else { return "" }
        let shown = lines.prefix(Self.mostShown).map { line in
            "  \(Figures.time(line.timeUnixS))  \(line.command) (\(line.pid)): \(line.text)"
                + (line.count > 1 ? " (\(Figures.count(line.count)) times)" : "")
        }
        let hidden = lines.count - shown.count
        return
            (["Settings that were refused: nothing is served because of them"] + shown
            + (hidden > 0 ? ["  ... and \(hidden) more (--json lists all)"] : [])).joined(separator: "\n")
    }
}

extension RefusedSettings.Line {
    /// - Returns: nothing for what is no such line.
    fileprivate init?(parsing bytes: some Sequence<UInt8>) {
        let text = String(printable: bytes)
        let parts = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let time = UInt64(parts[0]), let pid = Int32(parts[1]),
            let colon = parts[2].firstRange(of: ": ")
        else { return nil }
        timeUnixS = time
        self.pid = pid
        command = String(parts[2][..<colon.lowerBound])
        self.text = String(parts[2][colon.upperBound...])
        count = 1
    }
}
