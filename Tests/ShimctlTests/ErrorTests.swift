import Foundation
import TestSupport
import Testing

/// What every verb does with what it cannot use: one message, one documented status, and JSON where JSON was asked for.
@Suite("errors") struct ErrorTests {
    static let verbs = [
        "run", "env", "profile", "advise", "check", "doctor", "bench", "stat", "compare", "top", "stats", "record",
        "report", "create", "attach", "detach", "list", "inspect",
    ]

    @Test("every verb has help with examples or a purpose, and its exit statuses", arguments: Self.verbs)
    func help(verb: String) throws {
        let run = try shimctl(verb, "--help", environment: ["COLUMNS": "80"])
        #expect(run.ending == .exited(0))
        #expect(run.stdout.contains("OVERVIEW"))
        if verb != "profile" { #expect(run.stdout.contains("EXIT STATUS"), "\(run.stdout)") }
    }

    @Test("a misspelt option is refused with status 64, and named", arguments: Self.verbs)
    func option(verb: String) throws {
        // With what the verb cannot do without, so that the option is all that is wrong.
        let needed = ["check", "bench", "report", "create", "attach", "detach", "inspect"].contains(verb) ? ["/x"] : []
        let run = try shimctl([verb] + needed + ["--no-such-option"])
        #expect(run.ending == .exited(64), "\(run.stdout)\(run.stderr)")
        #expect(run.stderr.contains("no-such-option"), "\(run.stderr)")
        #expect(run.stdout == "")
    }

    @Test(
        "with --json an error is a document on standard output, and a line on standard error",
        arguments: [
            ["check", "--json", "/no/such/program"], ["inspect", "--json", "/no/such/device"],
            ["stats", "--json", "--pid", "4242"], ["bench", "--json", "/no/such/place"],
            ["stats", "--json", "--nonsense"],
            ["compare", "--json", "--mount", "/dev/shm", "--", "/bin/false"], ["profile", "show", "--json", "nosuch"],
        ])
    func document(arguments: [String]) throws {
        let scratch = try ScratchDirectory()
        let run = try shimctl(arguments, environment: ["PMEMSHIM_RUNTIME_DIR": scratch.path])
        guard case .exited(let status) = run.ending, status != 0 else {
            Issue.record("\(run.ending)")
            return
        }
        let last = try #require(run.stdout.split(separator: "\n").last)
        let document = try json(String(last))
        #expect(document["schema"] == .string("pmemshim.error/1"), "\(run.stdout)")
        #expect(document["exit_status"] == .number(UInt64(status)))
        #expect(document["error"].text?.isEmpty == false)
        #expect(!run.stderr.isEmpty)
    }

    @Test(
        "a full or closed standard output is an error, and no crash",
        arguments: [
            ["stats"], ["doctor"], ["profile", "list"], ["top", "--once", "-d", "0.1"], ["check", "/bin/ls"], ["list"],
            ["env", "--mount", "/dev/shm"], ["stats", "--openmetrics"],
        ])
    func output(arguments: [String]) throws {
        let scratch = try ScratchDirectory()
        for target in ["> /dev/full", ">&-"] {
            let run = try spawn(
                "/bin/sh", ["-c", "\"$0\" \"$@\" \(target)", Shim.shimctl] + arguments,
                environment: [
                    "PMEMSHIM_LIBRARY": EmptyLibrary.shared.get().path, "PMEMSHIM_RUNTIME_DIR": scratch.path,
                    "PATH": "/usr/bin:/bin",
                ])
            #expect(run.ending == .exited(1), "\(arguments) \(target): \(run.stderr)")
            #expect(run.stderr.contains("standard output"), "\(run.stderr)")
        }
    }

    @Test("no permission is told with what was refused")
    func permission() throws {
        if geteuid() != 0 { try Test.cancel("becoming another user needs root") }
        let readable = try ReadableShimctl()
        func nobody(_ arguments: [String]) throws -> Run {
            try spawn(
                "/usr/bin/setpriv",
                ["--reuid=65534", "--regid=65534", "--clear-groups", readable.path] + arguments,
                environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"])
        }
        let refused: [(arguments: [String], status: Int32, message: String)] = [
            (["stats", "--user", "root"], 1, "only root"),
            (["stats", "--all-users"], 1, "only root"), (["record", "-o", "/etc/x", "--seconds", "1"], 1, "/etc/x"),
            (["detach", "nosuch"], 1, "needs root"),
        ]
        for (arguments, status, message) in refused {
            let run = try nobody(arguments)
            #expect(run.ending == .exited(status), "\(arguments): \(run.stderr)")
            #expect(run.stderr.contains(message), "\(run.stderr)")
        }
        #expect(try nobody(["doctor", "--pid", "1"]).stdout.contains("another user"))
    }
}
