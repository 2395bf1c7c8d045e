import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl report`: what a recording shows.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Show what shimctl record has recorded: in the terminal, or as an HTML page with drawings.",
        discussion: """
            The page has everything in itself and can be sent to others: the served share, calls and bytes over time, \
            why calls were passed on, which parts of which files were hot, and the processes. Several recordings \
            stand side by side, the first as what was before.

            EXAMPLES
              shimctl report pmemshim.record
              shimctl report before.record after.record --html result.html

            EXIT STATUS
              0; 1 if a file cannot be read, is no recording, or the page cannot be written; 64 for a bad option
            """)

    @Argument(help: ArgumentHelp("Recordings.", valueName: "file"), completion: .file())
    var files: [String]

    @Option(help: ArgumentHelp("Write a page to this file.", valueName: "out"), completion: .file(extensions: ["html"]))
    var html: String?

    func run() throws {
        try Complaint.reported(by: "report") {
            let recordings = try files.map { try Recording(reading: FilePath($0)) }
            guard let html else {
                return try Output.line(recordings.map(Self.text).joined(separator: "\n\n"))
            }
            let file = try Output.file(html)
            defer { try? file.close() }
            try Output.line(ReportPage(recordings: recordings).html, to: file, named: html)
        }
    }

    /// For a terminal.
    private static func text(_ recording: Recording) -> String {
        var lines = ["\(recording.title.printable)" + (recording.end == nil ? " (cut short)" : "")]
        for (name, value) in recording.summary {
            lines.append("  " + value + String(repeating: " ", count: max(14 - value.count, 1)) + name)
        }
        let charts = ReportCharts(recording: recording)
        let share = charts.share
        if let values = share.series.first?.values, values.count > 1, values.contains(where: { $0 != nil }) {
            lines += ["", "  served, % over time  0 " + Sparkline.text(values, most: 100, width: 48) + " 100"]
        }
        if let last = recording.samples.last {
            let reasons = last.reasons
            if !reasons.isEmpty { lines += ["", "  Passed on to the kernel"] }
            for (outcome, count) in reasons {
                let number = Figures.count(count)
                lines.append(
                    "  " + String(repeating: " ", count: max(14 - number.count, 0)) + number + "  "
                        + outcome.explanation)
            }
        }
        return lines.joined(separator: "\n")
    }
}

/// A row of small bars.
enum Sparkline {
    /// `values` from 0 to `most` as so many characters, each the mean of its part; a blank where that has no values.
    static func text(_ values: [Double?], most: Double, width: Int) -> String {
        let marks = Array(isUnicode ? "▁▂▃▄▅▆▇█" : ".:-=+*#@")
        guard !values.isEmpty, most > 0 else { return "" }
        let columns = min(width, values.count)
        return String(
            (0..<columns).map { column -> Character in
                let begin = column * values.count / columns
                let part = values[begin..<max((column + 1) * values.count / columns, begin + 1)].compactMap { $0 }
                guard !part.isEmpty else { return " " }
                let mean = part.reduce(0, +) / Double(part.count)
                let height = (min(max(mean / most, 0), 1) * Double(marks.count - 1)).rounded(.up)
                return marks[Int(height)]
            })
    }

    /// As the locale has it (locale(7)).
    private static var isUnicode: Bool {
        let environment = ProcessInfo.processInfo.environment
        let name = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        return name.lowercased().contains("utf-8") || name.lowercased().contains("utf8")
    }
}
