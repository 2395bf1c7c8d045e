/// What the shim counted in the runs that used one runtime directory: read from its statistics file by the helper
/// program `read-stats`, which is compiled against the layout's own header.
///
/// A differential test in which nothing was served proves nothing: tests assert with these.
public struct ServedCounts: Sendable, Equatable {
    /// calls[family][outcome], named as in `enum ps_family` and `enum ps_outcome`, in lower case.
    public var calls: [String: [String: Int]] = [:]
    public var servedBytesRead = 0
    public var servedBytesWritten = 0
    /// SIGBUS and SIGSEGV survived inside a guarded copy.
    public var faults = 0
    /// What the shim has to say about bad settings or why it gave way; empty when all is well.
    public var notes: [String] = []

    public init() {}

    /// Calls served, of one family or of all.
    public func served(_ family: String? = nil) -> Int { count("served", of: family) }

    /// Calls passed on to the kernel for one reason.
    public func passedOn(_ reason: String, _ family: String? = nil) -> Int { count(reason, of: family) }

    /// All calls passed on to the kernel.
    public var passedOn: Int {
        calls.values.reduce(0) { $0 + $1.reduce(0) { $0 + ($1.key == "served" ? 0 : $1.value) } }
    }

    private func count(_ outcome: String, of family: String?) -> Int {
        if let family { return calls[family]?[outcome] ?? 0 }
        return calls.values.reduce(0) { $0 + ($1[outcome] ?? 0) }
    }

    /// Reads the statistics file in a runtime directory; all zero when there is none, as where nothing was served.
    public static func read(runtimeDirectory: String) throws -> ServedCounts {
        let run = try spawn(Programs.path("read-stats"), ["\(runtimeDirectory)/stats"])
        guard run.ending == .exited(0) else { throw SetupError("read-stats: \(run.stderr)") }
        var counts = ServedCounts()
        for line in run.lines {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            switch words.first {
            case "call":
                guard words.count == 4, let number = Int(words[3]) else { continue }
                counts.calls[words[1], default: [:]][words[2], default: 0] += number
            case "bytes":
                counts.servedBytesRead += Int(words[1]) ?? 0
                counts.servedBytesWritten += Int(words[2]) ?? 0
            case "faults":
                counts.faults += Int(words[1]) ?? 0
            case "note":
                counts.notes.append(words.dropFirst().joined(separator: " "))
            default:
                continue
            }
        }
        return counts
    }
}
