import Foundation
import TestSupport
import Testing

@Suite("shimctl mirror: what it lets stand still goes on", .serialized)
struct MirrorFreezeTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    private func shell(_ script: String, _ arguments: String...) throws -> Run {
        try spawn("/bin/sh", ["-c", script, Shim.shimctl] + arguments, timeout: .seconds(90))
    }

    @Test("without its watchdog nothing is frozen")
    func watchdog() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 12 << 20)
        let script = """
            trap '' PIPE
            "$0" mirror sync "$1" --freeze --rate 4M & pass=$!
            for i in $(seq 1500); do pgrep -f --parent "$pass" mirror-watchdog > /dev/null && break; sleep 0.02; done
            pkill -KILL -f --parent "$pass" mirror-watchdog || echo "none to kill"
            wait "$pass"; echo "status $?"; timeout 5 sh -c 'date > "$0/alive"' "$2"
            """
        let run = try shell(script, set.image.name, set.mount)
        #expect(run.ending == .exited(0))
        #expect(run.stdout == "status 1\n", "\(run.stdout)")
        #expect(run.stderr.contains("the watchdog is gone"), "\(run.stderr)")
    }

    @Test(
        "a watchdog that is stopped or killed before it lets go on a late pass does not leave it standing still",
        arguments: ["STOP", "KILL"])
    func lateWatchdog(signal: String) throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 12 << 20)
        let script = """
            strace -f -o "$3" -e trace=pread64,ioctl -e inject=pread64:delay_enter=250000 "$0" mirror sync "$1" \
                --freeze --freeze-limit 400 & tracer=$!
            for i in $(seq 1500); do grep -q FIFREEZE "$3" && break; sleep 0.02; done
            dog=$(pgrep -f --parent "$(pgrep --parent "$tracer")" mirror-watchdog); kill -"$4" "$dog" && echo told
            wait "$tracer"; echo "status $?"
            (: > "$2/written"; : > "$3.written") & sleep 1; test -e "$3.written"; echo "goes on: $?"
            fsfreeze -u "$2"; echo "thaw: $?"; kill -KILL "$dog" 2> /dev/null && echo "still there"
            """
        let run = try shell(script, set.image.name, set.mount, "\(set.image.directory)/trace", signal)
        #expect(run.stdout == "told\nstatus 1\ngoes on: 0\nthaw: 1\n", "\(run.stdout)\(run.stderr)")
        #expect(run.stderr.contains("--freeze-limit"), "\(run.stderr)")
    }

    @Test("one watchdog serves all passes, and keeps the file system from being unmounted in none")
    func oneWatchdog() throws {
        let set = try MirroredImage()
        defer { set.close() }
        let script = """
            out=$3
            passes() { for i in $(seq 300); do test "$(wc -l < "$out")" -gt "$1" && break; sleep 0.05; done; }
            "$0" mirror run "$1" --every 0.3 --freeze --json > "$out" & run=$!
            passes 0; first=$(pgrep -f --parent "$run" mirror-watchdog)
            passes 3; test "$(pgrep -f --parent "$run" mirror-watchdog)" = "$first" && echo same
            for i in $(seq 50); do umount "$2" 2> /dev/null && break; sleep 0.02; done; mountpoint -q "$2"
            echo "mounted: $?"; mount "$4" "$2"; kill -KILL "$first"
            passes $(($(wc -l < "$out") + 1)); kill "$run"; wait "$run"; echo "status $?"
            """
        let output = "\(set.image.directory)/passes"
        let run = try shell(script, set.image.name, set.mount, output, set.image.blocks)
        #expect(run.stdout == "same\nmounted: 32\nstatus 0\n", "\(run.stdout)\(run.stderr)")
    }

    @Test("what a copier and its watchdog, killed together, have left standing still is let go on by mirror thaw")
    func thaw() throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try spawn("/usr/sbin/fsfreeze", ["-f", set.mount]).ending == .exited(0))
        #expect(try shimctl(["mirror", "thaw", set.image.name]).ending == .exited(0))
        #expect(try shell("timeout 5 sh -c 'date > \"$0/alive\"' \"$1\"", set.mount).ending == .exited(0))
        #expect(try shimctl(["mirror", "thaw", set.image.name]).ending == .exited(0))
    }

    @Test("a pass that was too slow leaves the freeze of another tool alone")
    func freezeOfOthers() throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        try set.write("a", 4_096)
        let script = """
            strace -f -o "$3" -e trace=pread64,ioctl -e inject=pread64:delay_enter=100000 "$0" mirror sync "$1" \
                --freeze --freeze-limit 100 & pass=$!
            for i in $(seq 600); do grep -q FIFREEZE "$3" && break; sleep 0.05; done
            for i in $(seq 300); do fsfreeze -f "$2" 2> /dev/null && break; sleep 0.02; done
            (: > "$2/written"; : > "$3.written") & sleep 0.7; test ! -e "$3.written"; echo "still: $?"
            fsfreeze -u "$2"; echo "thaw: $?"; wait "$pass"
            """
        let run = try shell(script, set.image.name, set.mount, "\(set.image.directory)/trace")
        #expect(run.stdout.contains("still: 0\nthaw: 0\n"), "\(run.stdout)\(run.stderr)")
    }

    @Test("mirror run ends where nobody reads what it says any more")
    func closedOutput() throws {
        let set = try MirroredImage()
        defer { set.close() }
        let script = """
            timeout 30 "$0" mirror run "$1" --every 0.2 --freeze --json | head -n 1 > /dev/null; echo "${PIPESTATUS[0]}"
            """
        let run = try spawn("/bin/bash", ["-c", script, Shim.shimctl, set.image.name], timeout: .seconds(60))
        #expect(run.stdout == "\(128 + SIGPIPE)\n")
    }
}
