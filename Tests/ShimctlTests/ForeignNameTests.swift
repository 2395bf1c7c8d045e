import Foundation
import TestSupport
import Testing

/// Names that are not UTF-8: what shimctl itself would have to understand is refused, what is a program's is its own.
@Suite("names that are not UTF-8") struct ForeignNameTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory(in: "/dev/shm") }

    /// A script in which `$S` is shimctl, `$D` a directory that is named with a byte 0xff, and `$T` one that has the
    /// name which Swift makes of it.
    private func shell(_ script: String) throws -> Run {
        try spawn(
            "/bin/bash", ["-c", "D=$P/$'d\\xff'; T=$P/$'d\\xef\\xbf\\xbd'; mkdir \"$D\" \"$T\"\n" + script],
            environment: [
                "S": try Shim.shimctl, "P": scratch.path, "PATH": "/usr/bin:/bin", "LC_ALL": "C",
                "PMEMSHIM_LIBRARY": try EmptyLibrary.shared.get().path,
            ])
    }

    private func isRefused(_ run: Run) -> Bool {
        run.stdout == "64\n" && run.stderr.contains("d\\xff\" is not UTF-8")
    }

    @Test(
        "an argument that is not UTF-8 is refused with its name, though there is another of the name that Swift makes",
        arguments: [
            "run --mount \"$D\" -- /bin/echo ran", "env --mount \"$D\"", "advise \"$D\"", "bench --quick \"$D\"",
            "stat --mount \"$D\" -- /bin/echo ran", "compare --mount \"$D\" -- /bin/echo ran",
            "record -o \"$D/r\" --mount \"$P\" -- /bin/echo ran", "advise --mount \"$D\" -- /bin/echo ran",
            "doctor --mount \"$D\"", "stats --mount \"$D\"", "stats --heat \"$D\"", "run --log \"$D\" -- /bin/echo ran",
        ])
    func argument(command: String) throws {
        let run = try shell("\"$S\" \(command); echo $?; ls -A \"$T\"")
        #expect(run.stdout == "64\n", "\(run.stdout)")
        #expect(run.stderr.contains("d\\xff"), "\(run.stderr)")
        #expect(run.stderr.contains("is not UTF-8"), "\(run.stderr)")
    }

    @Test(
        "a directory whose real path is not UTF-8 is refused with that path",
        arguments: [
            "run --mount . -- /bin/echo ran", "env --mount ../link", "advise .", "bench --quick .", "doctor --mount .",
            "stats --mount ../link",
        ])
    func realPath(command: String) throws {
        let run = try shell("ln -s \"$D\" \"$P/link\"; cd \"$D\"; \"$S\" \(command); echo $?")
        #expect(isRefused(run), "\(run.stdout)\(run.stderr)")
    }

    @Test("a log file in a working directory that is not UTF-8 is refused, and made nowhere")
    func log() throws {
        let run = try shell(
            """
            cd "$D"; "$S" run --mount /dev/shm --log log -- /bin/echo ran; echo $?; ls -A "$D" "$T" | grep log
            """)
        #expect(run.stdout == "64\n", "\(run.stdout)")
        #expect(run.stderr.contains("d\\xff/log\" is not UTF-8"), "\(run.stderr)")
    }

    @Test(
        "a setting that is not UTF-8 is refused with its name",
        arguments: ["PMEMSHIM_MOUNTS", "PMEMSHIM_RUNTIME_DIR", "PMEMSHIM_LOG", "LD_PRELOAD"])
    func setting(name: String) throws {
        let run = try shell("export \(name)=\"$D\"; \"$S\" run -- /bin/echo ran 2>&1; echo $?")
        let lines = run.lines
        #expect(lines.contains("64") && !lines.contains("ran"), "\(run.stdout)")
        #expect(run.stdout.contains("\(name)=\(scratch.path)/d\\xff\" is not UTF-8"), "\(run.stdout)")
    }

    @Test(
        "a program whose name is not UTF-8 is the one that is run, also as a script without a first line",
        arguments: ["run --mount /dev/shm -- \"$D/x\"", "stat --mount /dev/shm -- \"$D/x\"", "run -- $'x\\xff'"])
    func program(command: String) throws {
        let run = try shell(
            """
            echo 'echo right' > "$D/x"; echo 'echo wrong' > "$T/x"; chmod +x "$D/x" "$T/x"
            cp "$D/x" "$P/"$'x\\xff'; PATH=$P:$PATH; "$S" \(command)
            """)
        #expect(run.stdout == "right\n", "\(run.stdout)\(run.stderr)")
    }
}
