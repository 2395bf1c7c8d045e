import Foundation
import TestSupport
import Testing

/// What programs, and whoever starts shimctl, may do to the commands that run a program: its result is never lost.
@Suite("measuring programs that misbehave") struct MeasureHostileTests {
    private let fixture: MeasuredProgram

    init() throws { fixture = try MeasuredProgram() }

    private func shell(_ script: String, timeout: Duration = .seconds(30)) throws -> Run {
        try spawn(
            "/bin/bash", ["-c", script],
            environment: fixture.environment.merging([
                "S": Shim.shimctl, "D": fixture.mount.directory, "T": fixture.scratch.path, "PATH": "/usr/bin:/bin",
                "LC_ALL": "C",
            ]) { $1 }, timeout: timeout)
    }

    @Test(
        "a SIGCHLD that is ignored where shimctl is started does not make it wait for ever",
        arguments: ["stat", "record -o $T/r"])
    func ignoredChildren(verb: String) throws {
        let run = try shell("trap '' CHLD; exec \"$S\" \(verb) --mount \"$D\" -- sh -c 'exit 7'")
        #expect(run.ending == .exited(7), "\(run.stderr)")
    }

    @Test("what --prepare leaves running in the background is not waited for")
    func background() throws {
        let run = try shell(
            "\"$S\" compare -n 2 -w 0 -p 'sleep 60 &' --mount \"$D\" -- true; echo $?; pkill -x sleep -P 1")
        #expect(run.stdout.hasSuffix("\n0\n"), "\(run.stdout)\(run.stderr)")
    }

    @Test("figures that cannot be written end nothing: the program goes on to its end")
    func fullDisk() throws {
        let run = try shell(
            "\"$S\" stat -I 50 -o /dev/full --mount \"$D\" -- sh -c 'sleep 0.5; echo done > \"$T/done\"'; echo $?")
        #expect(run.stdout == "1\n")
        #expect(FileManager.default.fileExists(atPath: "\(fixture.scratch.path)/done"))
        #expect(run.stderr.contains("/dev/full"), "\(run.stderr)")
    }

    @Test("a program that damages its own figures keeps its result", arguments: ["stat", "record -o $T/r", "advise"])
    func damaged(verb: String) throws {
        let damage = "F=\"$PMEMSHIM_RUNTIME_DIR/stats\"; head -c 4096 /dev/urandom > \"$F\"; chmod 600 \"$F\"; exit 5"
        let run = try shell("\"$S\" \(verb) --mount \"$D\" -- sh -c '\(damage)'")
        #expect(run.ending == .exited(5), "\(run.stderr)")
        #expect(run.stderr.contains("no figures"), "\(run.stderr)")
    }

    @Test("counters of any value are shown")
    func counters() throws {
        // All bits, over the counters of its record.
        let fill = """
            "$0" "$1" 5000
            F="$PMEMSHIM_RUNTIME_DIR/stats"
            yes | tr 'y\\n' '\\377' | dd of="$F" bs=1k seek=200 count=400 conv=notrunc status=none
            """
        let run = try spawn(
            Shim.shimctl,
            [
                "stat", "--mount", fixture.mount.directory, "--", "/bin/sh", "-c", fill, fixture.program.path,
                fixture.file,
            ], environment: fixture.environment.merging(["PATH": "/usr/bin:/bin"]) { $1 })
        #expect(run.ending == .exited(0), "\(run.stderr)")
    }

    @Test("an old recording stays where the new one cannot begin")
    func oldRecording() throws {
        let run = try shell(
            """
            echo old > "$T/r"
            "$S" record -o "$T/r" --mount /no/such/place -- true; echo $?
            "$S" record -o "$T/r" --mount "$D" -- no-such-program; echo $?
            cat "$T/r"
            """)
        #expect(run.stdout == "64\n127\nold\n", "\(run.stdout)\(run.stderr)")
    }

    @Test("a signal that is sent to shimctl alone reaches the program", arguments: ["INT", "TERM", "HUP", "QUIT"])
    func signals(name: String) throws {
        // Not ignored in the background, as a shell without job control has INT and QUIT there.
        let run = try shell(
            """
            python3 -c 'import os, signal, sys
            signal.signal(signal.SIGINT, signal.SIG_DFL); signal.signal(signal.SIGQUIT, signal.SIG_DFL)
            os.execv(sys.argv[1], sys.argv[1:])' "$S" stat --mount "$D" -- sleep 20 & P=$!
            sleep 0.5; kill -\(name) $P; wait $P; echo $?
            """)
        let number = ["INT": 130, "TERM": 143, "HUP": 129, "QUIT": 131][name] ?? 0
        #expect(run.stdout.hasSuffix("\(number)\n"), "\(run.stdout)\(run.stderr)")
    }

    @Test("a signal that is sent to shimctl alone ends what --prepare has started, too", arguments: ["TERM", "HUP"])
    func preparation(name: String) throws {
        let run = try shell(
            """
            "$S" compare -p 'echo $$ > "$T/pid"; exec sleep 1000' --mount "$D" -- true & P=$!
            until [ -s "$T/pid" ]; do sleep 0.05; done
            kill -\(name) $P; wait $P; echo $?
            kill -0 $(cat "$T/pid") 2> /dev/null || echo gone
            """)
        #expect(run.stdout == "\(name == "TERM" ? 143 : 129)\ngone\n", "\(run.stdout)\(run.stderr)")
        #expect(run.stderr.contains("interrupted before --prepare had ended"), "\(run.stderr)")
    }

    @Test("a --prepare that fails is told where SIGCHLD is ignored, too")
    func failedPreparation() throws {
        let run = try shell(
            "trap '' CHLD; \"$S\" compare -n 2 -p 'echo it is broken >&2; exit 3' --mount \"$D\" -- true; echo $?")
        #expect(run.stdout == "1\n", "\(run.stdout)\(run.stderr)")
        #expect(run.stderr.contains("it is broken"), "\(run.stderr)")
    }

    @Test("what --prepare leaves writing for ever is not listened to for ever")
    func chattering() throws {
        let run = try shell(
            "\"$S\" compare -n 2 -w 0 -p 'yes >&2 &' --mount \"$D\" -- true; echo $?; pkill -x yes -P 1")
        #expect(run.stdout.hasSuffix("\n0\n"), "\(run.stdout)\(run.stderr)")
    }

    @Test("the process that bench measures ends with it, however it is ended", arguments: ["TERM", "KILL"])
    func measuredProcess(name: String) throws {
        let run = try shell(
            """
            "$S" bench "$D" > /dev/null & P=$!
            until C=$(pgrep -P $P); do sleep 0.05; done
            kill -\(name) $P; wait $P 2> /dev/null
            for i in $(seq 100); do kill -0 $C 2> /dev/null || { echo gone; break; }; sleep 0.02; done
            """)
        #expect(run.stdout == "gone\n", "\(run.stdout)\(run.stderr)")
    }

    @Test("bench makes no name that its directory's owner could put something else under, and none is left by a kill")
    func unnamed() throws {
        let run = try shell(
            """
            "$S" bench --quick "$D" > /dev/null & P=$!
            for i in $(seq 20); do ls -A "$D"; sleep 0.05; done | sort -u
            kill -KILL $P; wait $P; sleep 0.2; ls -A "$D"
            """)
        #expect(run.stdout == "file\nfile\n", "\(run.stdout)")
    }

    @Test("a script without a first line that names its interpreter runs as it does under run")
    func script() throws {
        let run = try shell(
            "printf 'echo $1\\n' > \"$T/x\"; chmod +x \"$T/x\"; \"$S\" stat --mount \"$D\" -- \"$T/x\" word")
        #expect(run.stdout == "word\n", "\(run.stderr)")
    }

    @Test("a program's own -j is not taken for ours")
    func ownOption() throws {
        #expect(try shell("\"$S\" run --mount \"$D\" no-such-program -j").stdout == "")
    }

    @Test("an unknown process is one document")
    func oneDocument() throws {
        let run = try shell("\"$S\" stats --pid 4242 --json")
        #expect(run.ending == .exited(1))
        #expect(try json(run.stdout)["schema"] == .string("pmemshim.error/1"))
    }
}
