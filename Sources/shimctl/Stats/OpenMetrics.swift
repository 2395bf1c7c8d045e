/// The figures as Prometheus and others read them: the OpenMetrics text format, version 1.0.0.
struct OpenMetrics {
    let snapshot: StatsSnapshot
    let saved: (_ mount: StatsSnapshot.Mount) -> Double?

    /// Ends with `# EOF`, as the format wants; without a newline behind it.
    var text: String {
        let mounts = snapshot.mounts
        var lines: [String] = []
        func family(_ name: String, _ type: String, unit: String = "", _ help: String, _ samples: () -> [String]) {
            let found = samples()
            guard !found.isEmpty else { return }
            lines.append("# TYPE pmemshim_\(name) \(type)")
            if !unit.isEmpty { lines.append("# UNIT pmemshim_\(name) \(unit)") }
            lines.append("# HELP pmemshim_\(name) \(help)")
            lines += found
        }
        family("calls", "counter", "Data calls on served mounts, by what became of them.") {
            mounts.flatMap { mount in
                CallFamily.allCases.flatMap { family in
                    CallOutcome.allCases.compactMap { outcome in
                        let count = mount.counters.calls(family, outcome)
                        return count > 0
                            ? sample(
                                "calls_total", mount,
                                [
                                    ("call", family.name), ("outcome", outcome == .served ? "served" : "passed_on"),
                                    ("reason", outcome == .served ? "" : outcome.name),
                                ], "\(count)") : nil
                    }
                }
            }
        }
        family("bytes", "counter", unit: "bytes", "Bytes moved, and by whom.") {
            mounts.flatMap { mount in
                [
                    ("read", "shim", mount.counters.servedRead), ("read", "kernel", mount.counters.passedRead),
                    ("write", "shim", mount.counters.servedWritten), ("write", "kernel", mount.counters.passedWritten),
                ].map { sample("bytes_total", mount, [("direction", $0.0), ("by", $0.1)], "\($0.2)") }
            }
        }
        family("windows", "gauge", "Windows that live processes have mapped.") {
            mounts.map { sample("windows", $0, [], "\($0.windows)") }
        }
        family("mapped_bytes", "gauge", unit: "bytes", "Address space of those windows.") {
            mounts.map { sample("mapped_bytes", $0, [], "\($0.mappedBytes)") }
        }
        family("faults", "counter", "Faults survived while bytes were copied.") {
            mounts.map { sample("faults_total", $0, [], "\($0.counters.faults)") }
        }
        family("processes", "gauge", "Live processes with figures.") {
            mounts.map { sample("processes", $0, [], "\($0.liveProcesses)") }
        }
        family("saved_seconds", "gauge", unit: "seconds", "CPU time saved, estimated from what calls cost there.") {
            mounts.compactMap { mount in
                saved(mount).map { sample("saved_seconds", mount, [], Figures.fixed($0 / 1e9, decimals: 6)) }
            }
        }
        return (lines + ["# EOF"]).joined(separator: "\n")
    }

    private func sample(
        _ name: String, _ mount: StatsSnapshot.Mount, _ labels: [(String, String)], _ value: String
    ) -> String {
        let all = [("mount", mount.path), ("backing", mount.backing.rawValue)] + labels.filter { !$0.1.isEmpty }
        let text = all.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        return "pmemshim_\(name){\(text)} \(value)"
    }

    /// A label's value has backslash, quotation mark and newline escaped.
    private static func escaped(_ text: String) -> String {
        text.printable.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
