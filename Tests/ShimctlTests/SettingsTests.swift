import Foundation
import TestSupport
import Testing

/// One list of settings: what the engine reads, `run` lets through, and the documents explain.
struct SettingsTests {
    /// The names that the engine compares a variable with, from its source.
    private static func known() throws -> [String] {
        let source = try String(
            contentsOfFile: "\(Shim.packageRoot)/Sources/PmemShim/Ground/Settings.swift", encoding: .utf8)
        return source.matches(of: /value\(name, "([A-Z_]+)="\)/).map { "PMEMSHIM_\($0.1)" }
    }

    @Test func runLetsEverySettingOfTheEngineThrough() throws {
        let scratch = try ScratchDirectory(in: "/dev/shm")
        let values = [
            "PMEMSHIM_MOUNTS": scratch.path, "PMEMSHIM_LOG": "\(scratch.path)/log", "PMEMSHIM_MAP_AFTER": "7",
            "PMEMSHIM_RUNTIME_DIR": "\(scratch.path)/runtime",
        ]
        let names = try Self.known()
        #expect(names.count >= 7)
        for name in names {
            // All others are flags.
            let value = values[name] ?? "1"
            let run = try shimctl(
                "run", "--mount", scratch.path, "--", "/usr/bin/printenv", name, environment: [name: value])
            #expect(run.ending == .exited(0), "\(name): \(run.stderr)")
            #expect(run.stdout == "\(value)\n", "\(name)")
        }
    }

    @Test(arguments: ["README.md", "docs/shimctl.md"]) func theDocumentsNameEverySetting(_ document: String) throws {
        let text = try String(contentsOfFile: "\(Shim.packageRoot)/\(document)", encoding: .utf8)
        #expect(try Self.known().filter { !text.contains($0) } == [])
    }

    @Test(arguments: ["2", "yes", " 1"]) func exclusiveIsZeroOrOne(_ value: String) throws {
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", "/bin/true", environment: ["PMEMSHIM_EXCLUSIVE": value])
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("PMEMSHIM_EXCLUSIVE"))
    }
}
