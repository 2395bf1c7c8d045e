import Foundation
import TestSupport
import Testing

/// What one run of a program leaves in the background is no part of the next run's figures.
@Suite("what an earlier run left running") struct MeasureLeftoverTests {
    private let fixture: MeasuredProgram

    init() throws { fixture = try MeasuredProgram() }

    private func run(_ verb: [String], _ script: String) throws -> Run {
        try fixture.shimctl(
            verb + ["--mount", fixture.mount.directory, "--", "/bin/sh", "-c", script, fixture.program.path]
                + [fixture.file, fixture.scratch.path])
    }

    @Test("compare counts no call that it makes during a later run")
    func calls() throws {
        // Under the shim: the first leaves a process that makes its calls in the second, which waits for it.
        let run = try run(
            ["compare", "-n", "2", "-w", "0", "--json"],
            """
            [ -n "$PMEMSHIM_MOUNTS" ] || exit 0
            if [ -e "$2/left" ]; then
                touch "$2/go"; until [ -e "$2/done" ]; do sleep 0.01; done
            else
                touch "$2/left"
                (until [ -e "$2/go" ]; do sleep 0.01; done; "$0" "$1" 5000; touch "$2/done") > /dev/null 2>&1 &
            fi
            "$0" "$1" 1000 > /dev/null
            """)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let figures = try json(run.stdout)["figures"]
        #expect((figures["served"].number ?? 0) + (figures["passed_on"].number ?? 0) == 2_000)
    }

    @Test("stat takes its memory and CPU time for that of no later run")
    func usage() throws {
        // The first leaves a large process that ends in the second, which waits for that.
        let run = try run(
            ["stat", "-r", "2", "--json"],
            """
            if [ -e "$2/pid" ]; then
                touch "$2/go"; read P < "$2/pid"
                until [ ! -e /proc/$P ] || grep -q "State:.Z" /proc/$P/status 2> /dev/null; do sleep 0.01; done
                sleep 0.2
            else
                exec /usr/bin/python3 -c '
            import os, sys, time
            if os.fork():
                while not os.path.exists(sys.argv[1] + "/pid"): time.sleep(0.01)
                os._exit(0)
            large = bytearray(256 << 20)
            with open(sys.argv[1] + "/new", "w") as file: print(os.getpid(), file=file)
            os.rename(sys.argv[1] + "/new", sys.argv[1] + "/pid")
            while not os.path.exists(sys.argv[1] + "/go"): time.sleep(0.01)
            ' "$2" > /dev/null 2>&1
            fi
            """)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let second = try json(run.stderr)["runs"][1]
        #expect(second["peak_memory_bytes"].number ?? .max < 128 << 20, "\(run.stderr)")
    }

    @Test("compare's figures are those of the runs that count, not of the warm-up")
    func warmup() throws {
        let run = try fixture.run(["compare", "-n", "2", "-w", "2", "--json"], calls: 1_000)
        let figures = try json(run.stdout)["figures"]
        #expect((figures["served"].number ?? 0) + (figures["passed_on"].number ?? 0) == 2_000)
    }
}
