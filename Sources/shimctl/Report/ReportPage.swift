/// Recordings as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.
struct ReportPage {
    let recordings: [Recording]

    var html: String {
        var parts: [String] = []
        if recordings.count > 1 { parts.append(comparison) }
        for recording in recordings { parts.append(section(recording)) }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>pmemshim report\(recordings.count == 1 ? ": " + Html.escaped(recordings[0].title) : "")</title>
            <style>
            \(Self.style)
            </style>
            </head>
            <body>
            <main>
            <h1>pmemshim report</h1>
            \(parts.joined(separator: "\n"))
            <footer>shimctl \(Shimctl.versionNumber)</footer>
            </main>
            </body>
            </html>
            """
    }

    private func section(_ recording: Recording) -> String {
        let charts = ReportCharts(recording: recording)
        func chart(_ heading: String, _ chart: TimeChart) -> String {
            "<h3>\(Html.escaped(heading))</h3>\n\(chart.legend)\n\(chart.svg)"
        }
        let date = Figures.time(recording.head.timeUnixNs / 1_000_000_000)
        let about =
            "\(date), \(recording.head.processor), Linux \(recording.head.kernel), pmemshim \(recording.head.version)"
        return """
            <section>
            <h2 title="\(Html.escaped(recording.title))">\(Html.escaped(recording.shortTitle))</h2>
            <p class="about">\(Html.escaped(about))\(recording.end == nil ? "; <b>cut short</b>" : "")</p>
            \(Self.cards(recording.summary))
            \(chart("Served share over time", charts.share))
            \(chart("Calls a second", charts.calls))
            \(chart("Bytes a second", charts.bytes))
            <h3>Why calls were passed on to the kernel</h3>
            \(charts.reasons)
            <h3>Where files were hot</h3>
            \(charts.heat)
            \(Self.processes(recording))
            </section>
            """
    }

    private static func cards(_ summary: [(name: String, value: String)]) -> String {
        let items = summary.map { "<div><b>\(Html.escaped($0.value))</b><span>\(Html.escaped($0.name))</span></div>" }
        return "<div class=\"cards\">\(items.joined())</div>"
    }

    private static func processes(_ recording: Recording) -> String {
        let processes = (recording.end?.processes ?? []).sorted {
            $0.served.saturatingAdd($0.passedOn) > $1.served.saturatingAdd($1.passedOn)
        }
        guard !processes.isEmpty else { return "" }
        let rows = processes.prefix(20).map { process in
            let total = process.served.saturatingAdd(process.passedOn)
            return [
                process.command, "\(process.pid)", Figures.count(total),
                Figures.percentText(process.served, of: total) + " %",
            ]
        }
        let rest = processes.count - rows.count
        return "<h3>Processes</h3>\n" + Html.table(["command", "pid", "calls", "served"], rows, right: [1, 2, 3])
            + (rest > 0 ? "<p>and \(rest) more</p>" : "")
    }

    /// Several recordings side by side: before and after.
    private var comparison: String {
        let names = recordings[0].summary.map(\.name)
        let rows = names.map { name in
            [name] + recordings.map { recording in recording.summary.first { $0.name == name }?.value ?? "-" }
        }
        let most = recordings.map(\.elapsed).max() ?? 1
        var drawing = Svg(width: 860, height: Double(recordings.count) * 34 + 6)
        for (index, recording) in recordings.enumerated() {
            let y = Double(index) * 34 + 6
            drawing.label(0, y + 16, ReportCharts.shortened(recording.name, 40))
            drawing.rectangle(300, y, recording.elapsed / max(most, 1e-9) * 440, 24, index == 0 ? "passed" : "served")
            drawing.label(
                310 + recording.elapsed / max(most, 1e-9) * 440, y + 16, Figures.duration(recording.elapsed * 1e9))
        }
        return """
            <section>
            <h2>Side by side</h2>
            <h3>Elapsed time</h3>
            \(drawing.text(title: "Elapsed time of each recording"))
            \(Html.table([""] + recordings.map(\.name), rows, right: Set(1...recordings.count)))
            </section>
            """
    }

    private static let style = """
        :root { color-scheme: light dark; --ink: #1b1f24; --soft: #656d76; --page: #ffffff; --card: #f3f5f7; \
        --grid: #d8dee4; --a: #0969da; --b: #d9730d; --c: #1a9e77; --d: #8250df; --e: #b08800; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --page: #0d1117; \
        --card: #1c232c; --grid: #303842; --a: #58a6ff; --b: #f0883e; --c: #3fb98f; --d: #b391ff; --e: #d6ab29; } }
        body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 900px; margin: 0 auto; padding: 24px 20px 60px; }
        h1 { font-size: 26px; margin: 0 0 8px; } h2 { font-size: 19px; margin: 32px 0 4px; overflow-wrap: anywhere; }
        h3 { font-size: 15px; margin: 28px 0 4px; }
        .about, footer, .legend { color: var(--soft); font-size: 13px; margin: 0 0 8px; } footer { margin-top: 48px; }
        .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; \
        margin: 14px 0; }
        .cards div { background: var(--card); border-radius: 8px; padding: 10px 14px; }
        .cards b { display: block; font-size: 20px; font-variant-numeric: tabular-nums; }
        .cards span { color: var(--soft); font-size: 13px; }
        .legend span { margin-right: 18px; white-space: nowrap; }
        .legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; }
        i.served { background: var(--a); } i.passed { background: var(--b); } i.third { background: var(--c); }
        i.fourth { background: var(--d); } i.fifth { background: var(--e); }
        svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font-size: 12px; }
        svg .axis { stroke: var(--soft); } svg .grid { stroke: var(--grid); }
        svg .served { fill: var(--a); } svg .passed { fill: var(--b); } svg .third { fill: var(--c); }
        svg .fourth { fill: var(--d); } svg .fifth { fill: var(--e); } svg .heat { fill: var(--a); }
        svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
        svg .line.served { stroke: var(--a); } svg .line.passed { stroke: var(--b); }
        table { border-collapse: collapse; margin: 10px 0; font-size: 14px; max-width: 100%; }
        th, td { text-align: left; padding: 4px 18px 4px 0; border-bottom: 1px solid var(--grid); \
        overflow-wrap: anywhere; }
        th { color: var(--soft); font-weight: 600; }
        .number { text-align: right; font-variant-numeric: tabular-nums; }
        """
}

extension Recording {
    /// The program, or what else was recorded.
    var title: String { head.command.isEmpty ? "what ran meanwhile (\(name))" : head.command }

    /// No longer than a heading.
    var shortTitle: String { title.count <= 140 ? title : title.prefix(137) + "..." }

    /// Seconds.
    var elapsed: Double { Double(end?.elapsedNs ?? samples.last?.elapsedNs ?? 0) / 1e9 }

    /// What matters most.
    var summary: [(name: String, value: String)] {
        let (served, total) = (samples.last?.served ?? 0, samples.last?.total ?? 0)
        var result = [
            ("elapsed", Figures.duration(elapsed * 1e9)),
            ("data calls on served mounts", Figures.count(total)),
            ("served by the shim", Figures.percentText(served, of: total) + (total > 0 ? " %" : "")),
            ("read", Figures.bytes(samples.last?.readBytes ?? 0)),
            ("written", Figures.bytes(samples.last?.writtenBytes ?? 0)),
        ]
        if let cpu = end?.cpuNs { result.insert(("CPU time", Figures.duration(Double(cpu))), at: 1) }
        if let saved = end?.savedNs { result.append(("CPU time saved, estimated", Figures.duration(saved))) }
        if let status = end?.exitStatus, status != 0 { result.append(("exit status", "\(status)")) }
        return result.map { (name: $0.0, value: $0.1) }
    }
}
