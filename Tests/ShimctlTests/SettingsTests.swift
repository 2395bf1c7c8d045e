import Foundation
import TestSupport
import Testing

/// One table of settings (Sources/CShimSys/settings.def): what the engine reads, `run` lets through, and documents say.
struct SettingsTests {
    private static func table() throws -> String {
        try String(contentsOfFile: "\(Shim.packageRoot)/Sources/CShimSys/settings.def", encoding: .utf8)
    }

    /// The variables of the rows of a kind: `SETTING`, `TEST_VARIABLE`.
    private static func variables(_ kind: String) throws -> [String] {
        try table().split(separator: "\n").compactMap { line in
            guard line.hasPrefix("\(kind)("), let comma = line.firstIndex(of: ",") else { return nil }
            return "PMEMSHIM_\(line[..<comma].dropFirst(kind.count + 1))"
        }
    }

    @Test func runLetsEveryVariableOfTheTableThrough() throws {
        let scratch = try ScratchDirectory(in: "/dev/shm")
        let values = [
            "PMEMSHIM_MOUNTS": scratch.path, "PMEMSHIM_LOG": "\(scratch.path)/log", "PMEMSHIM_MAP_AFTER": "7",
            "PMEMSHIM_RUNTIME_DIR": "\(scratch.path)/runtime",
            "PMEMSHIM_LIBRARY": try EmptyLibrary.shared.get().path,
        ]
        let names = try Self.variables("SETTING")
        #expect(names.count >= 8)
        for name in try names + Self.variables("TEST_VARIABLE") {
            // All other settings are flags, and what tests read may be anything.
            let value = values[name] ?? "1"
            let run = try shimctl(
                "run", "--mount", scratch.path, "--", "/usr/bin/printenv", name, environment: [name: value])
            #expect(run.ending == .exited(0), "\(name): \(run.stderr)")
            #expect(run.stdout == "\(value)\n", "\(name)")
        }
    }

    @Test(arguments: ["README.md", "docs/shimctl.md"])
    func theDocumentsHaveTheTable(_ document: String) throws {
        let text = try String(contentsOfFile: "\(Shim.packageRoot)/\(document)", encoding: .utf8)
        #expect(try Self.variables("SETTING").filter { !text.contains($0) } == [])
        let generated = try spawn("\(Shim.packageRoot)/scripts/lib/settings-table", [document])
        #expect(generated.ending == .exited(0), "\(generated.stderr)")
        #expect(generated.stdout == text, "scripts/generate writes it anew")
    }

    @Test func theManualHasTheTable() throws {
        let text = try String(contentsOfFile: "\(Shim.packageRoot)/docs/man/pmemshim.7", encoding: .utf8)
        #expect(try Self.variables("SETTING").filter { !text.contains("\\fB\($0)\\fR (") } == [])
        let check = try spawn("\(Shim.packageRoot)/scripts/lib/manual", ["--check"])
        #expect(check.ending == .exited(0), "scripts/generate writes it anew: \(check.stdout)\(check.stderr)")
    }

    /// A misspelt variable in a script would set nothing, and in a document mislead.
    @Test func everyVariableNamedAnywhereIsInTheTable() throws {
        let known = try Set(Self.variables("SETTING") + Self.variables("TEST_VARIABLE"))
        // One that `run` has to refuse, an environment that ends within a name, the placeholder of a usage text, and a
        // condition of the compiler's.
        let others: Set = ["PMEMSHIM_MOUNT", "PMEMSHIM_M", "PMEMSHIM_NAME", "PMEMSHIM_CHECKS"]
        let places = ["Sources", "Tests", "Benchmarks", "scripts", "docs", "README.md", "CONTRIBUTING.md"]
        let found = try spawn(
            "/usr/bin/grep", ["-rhowIE", "PMEMSHIM_[A-Z_]+"] + places.map { "\(Shim.packageRoot)/\($0)" })
        let named = Set(found.lines.map(String.init).filter { !$0.isEmpty })
        #expect(named.isSuperset(of: try Self.variables("SETTING")))
        #expect(named.subtracting(known).subtracting(others) == [])
    }

    @Test func theEnginesNoteNamesTheLimitOfTheTable() throws {
        let most = try #require(try Self.table().firstMatch(of: /LIMIT\(MAP_AFTER_MOST, ([0-9]+)\)/)).1
        let engine = try String(
            contentsOfFile: "\(Shim.packageRoot)/Sources/PmemShim/Ground/Settings.swift", encoding: .utf8)
        #expect(engine.contains("is not a number from 0 to \(most):"))
    }

    @Test(arguments: ["2", "yes", " 1"]) func exclusiveIsZeroOrOne(_ value: String) throws {
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", "/bin/true", environment: ["PMEMSHIM_EXCLUSIVE": value])
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("PMEMSHIM_EXCLUSIVE"))
    }
}
