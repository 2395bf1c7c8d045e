import FoundationEssentials

/// The processor, as /proc/cpuinfo tells (proc_cpuinfo(5)).
enum Processor {
    /// `AMD EPYC`; "unknown processor" where /proc does not tell.
    static var name: String { field("model name") ?? "unknown processor" }

    /// Names of what it can do: `avx2`, `clwb`. Empty where /proc does not tell.
    static var features: Set<String> {
        Set((field("flags") ?? "").split(separator: " ").map(String.init))
    }

    /// Of the first processor.
    private static func field(_ name: String) -> String? {
        let text = String(decoding: ProcFile.contents("/proc/cpuinfo") ?? Data(), as: UTF8.self)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
            let colon = line.firstIndex(of: ":")
        else { return nil }
        return String(line[line.index(after: colon)...]).trimmed.printable
    }
}
