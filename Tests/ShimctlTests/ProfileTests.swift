import Foundation
import TestSupport
import Testing

/// Profiles: files that say how a program is best run under the shim.
@Suite("profiles") struct ProfileTests {
    private let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory() }

    private func write(_ text: String, as name: String = "mine") throws {
        try Data(text.utf8).write(to: URL(filePath: "\(directory.path)/\(name).profile"))
    }

    private func shimctl(_ arguments: String...) throws -> Run {
        try ShimctlTests.shimctl(arguments, environment: ["PMEMSHIM_PROFILES": directory.path])
    }

    @Test("every profile of the package can be shown, and says what it is for")
    func package() throws {
        let place = "\(Shim.packageRoot)/packaging/profiles"
        let names = try FileManager.default.contentsOfDirectory(atPath: place).filter { $0.hasSuffix(".profile") }
        #expect(
            Set(["sqlite", "postgresql", "mariadb", "redis", "rocksdb", "lmdb", "java"].map { $0 + ".profile" })
                .isSubset(of: Set(names)))
        for name in names.map({ String($0.dropLast(8)) }) {
            let run = try ShimctlTests.shimctl(
                "profile", "show", name, "--json", environment: ["PMEMSHIM_PROFILES": place])
            #expect(run.ending == .exited(0), "\(run.stderr)")
            let document = try json(run.stdout)
            #expect(document["schema"] == .string("pmemshim.profile/1"))
            #expect(document["description"].text?.isEmpty == false)
            #expect(document["program"].items.allSatisfy { $0["reason"].text?.isEmpty == false }, "\(name)")
            #expect(!document["not_served"].items.isEmpty, "\(name)")
        }
    }

    @Test("its settings reach the program, and what is set outside comes before them")
    func settings() throws {
        try write("[Profile]\nDescription=d\n[Environment]\nPMEMSHIM_MAP_AFTER=7\nPMEMSHIM_PARANOID=1\n")
        let command = ["run", "--profile", "mine", "--mount", "/dev/shm", "--", "/usr/bin/env"]
        let run = try ShimctlTests.shimctl(
            command, environment: ["PMEMSHIM_PROFILES": directory.path, "PMEMSHIM_PARANOID": "0"])
        #expect(run.lines.contains("PMEMSHIM_MAP_AFTER=7"), "\(run.stdout)\(run.stderr)")
        #expect(run.lines.contains("PMEMSHIM_PARANOID=0"))
    }

    @Test(
        "a profile that is wrong is refused with its file and line",
        arguments: [
            ("Description=d\n", "line 1"), ("[Profile]\nDescription=\n", "line 2"),
            ("[Other]\n", "there is no section"),
            ("[Environment]\n\n# note\nPMEMSHIM" + "_MONTS=/a\n", "line 4"),
            ("[Profile]\nnonsense\n", "neither [Section]"),
            ("[Program]\nBecause=of that\n", "Because follows"), ("[Environment]\nPMEMSHIM_LIBRARY=/a\n", "no place"),
            ("[Profile]\nDataDirectory=relative\n", "absolute"),
        ])
    func wrong(text: String, message: String) throws {
        try write(text)
        let run = try shimctl("profile", "show", "mine")
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("mine.profile, line "), "\(run.stderr)")
        #expect(run.stderr.contains(message), "\(run.stderr)")
    }

    @Test("a bad value in a profile is refused by run as one in the environment is")
    func badValue() throws {
        try write("[Environment]\nPMEMSHIM_MAP_AFTER=often\n")
        let run = try shimctl("run", "--profile", "mine", "--mount", "/dev/shm", "--", "/bin/true")
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("often"))
    }

    @Test("lines go on behind a backslash, and comments are left out")
    func syntax() throws {
        try write("# one\n; two\n[Profile]\nDescription=one \\\n  two\n[Program]\nSet=a=b\nBecause=c\n")
        let document = try json(try shimctl("profile", "show", "--json", "mine").stdout)
        #expect(document["description"] == .string("one two"))
        #expect(document["program"][0]["setting"] == .string("a=b"))
    }

    @Test("one that is not there, or no name, is refused with those that are")
    func unknown() throws {
        try write("[Profile]\nDescription=d\n")
        let run = try shimctl("profile", "show", "other")
        #expect(run.ending == .exited(64))
        #expect(run.stderr.contains("mine"))
        for name in ["../mine", "", ".hidden", "a/b"] {
            #expect(try shimctl("profile", "show", name).ending == .exited(64), "\(name)")
        }
    }

    @Test("list shows those that are right although another is wrong, and says so")
    func list() throws {
        try write("[Profile]\nDescription=good\n")
        try write("nonsense", as: "bad")
        let run = try shimctl("profile", "list")
        #expect(run.ending == .exited(1))
        #expect(run.stdout.contains("good"))
        #expect(run.stderr.contains("bad.profile"))
    }
}
