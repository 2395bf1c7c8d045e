import Foundation
import TestSupport
import Testing

/// shimctl's copy of the table of entry points is the table.
struct EntryPointTableTests {
    @Test func isGeneratedFromTheTable() throws {
        let generated = try spawn("\(Shim.packageRoot)/scripts/lib/entry-point-table")
        #expect(generated.ending == .exited(0), "\(generated.stderr)")
        let present = try String(
            contentsOfFile: "\(Shim.packageRoot)/Sources/shimctl/Check/EntryPointTable.swift", encoding: .utf8)
        let lines = present.split(separator: "\n", omittingEmptySubsequences: false)
        let difference = zip(lines, generated.lines).first { $0 != $1 }
        #expect(difference == nil, "scripts/lib/entry-point-table > Sources/shimctl/Check/EntryPointTable.swift")
        #expect(lines.count == generated.lines.count)
        #expect(present.contains("\n        pread64 read SERVE\n"))
    }
}

/// What the command says of itself.
struct HelpTests {
    @Test(arguments: [["--version"], ["run", "--version"], ["stats", "--version"]])
    func tellsItsVersion(_ arguments: [String]) throws {
        let run = try shimctl(arguments)
        #expect(run.ending == .exited(0))
        #expect(run.stdout.hasPrefix("shimctl 0."))
    }

    @Test(arguments: [["--help"], ["run", "--help"], ["run", "-h"], ["stats", "--help"], ["check", "--help"]])
    func helpsWithExamples(_ arguments: [String]) throws {
        let run = try shimctl(arguments)
        #expect(run.ending == .exited(0))
        #expect(run.stdout.contains("EXAMPLES\n  shimctl "))
        #expect(run.stderr == "")
    }

    @Test func refusesAnUnknownCommand() throws {
        #expect(try shimctl("serve").ending == .exited(64))
    }
}
