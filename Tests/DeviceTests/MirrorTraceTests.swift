import Foundation
import TestSupport
import Testing

@Suite("shimctl mirror: what the kernel's tracer tells", .serialized)
struct MirrorTraceTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    private func shell(_ script: String, _ arguments: String...) throws -> Run {
        try spawn("/bin/bash", ["-c", script, Shim.shimctl] + arguments, timeout: .seconds(90))
    }

    /// Some frozen passes one after the other; the copier is stopped in between, while `event` happens, with the file
    /// system in `$1` and the tracer's instance in `$2`.
    /// - Returns: what each pass after it has compared: `changes`, `files` or `full`.
    private func compared(_ set: MirroredImage, after event: String) throws -> [String] {
        let output = "\(set.image.directory)/passes"
        let script = """
            passes() { grep -c '"changes"' "$3"; }
            "$0" mirror run "$1" --every 0.2 --freeze --json --full-every 0 > "$3" 2> /dev/null & runner=$!
            until (($(passes "$@") >= 1)); do sleep 0.05; done
            kill -STOP "$runner"
            before=$(wc -l < "$3")
            bash -c "$4" bash "$2" /sys/kernel/tracing/instances/pmemshim-"$runner"-*
            kill -CONT "$runner"
            until (($(wc -l < "$3") >= before + 3)); do sleep 0.05; done
            kill "$runner"; wait "$runner"
            tail -n "+$((before + 1))" "$3"
            """
        let run = try shell(script, set.image.name, set.mount, output, event)
        return try run.stdout.split(separator: "\n").compactMap {
            DeviceJSON(value: try JSONSerialization.jsonObject(with: Data($0.utf8)))["compared"].text
        }
    }

    @Test("what was written while the copier stood still is known")
    func known() throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        let compared = try compared(set, after: "head -c 300000 /dev/urandom > $1/a; sync -f $1")
        #expect(compared.count >= 3)
        #expect(compared.allSatisfy { $0 == "changes" })
        #expect(try set.promoted().sums == set.sums())
    }

    @Test(
        "what the tracer has lost is not taken for unchanged",
        arguments: [
            // More than its room holds.
            """
            for i in {1..14}; do
                dd if=/dev/zero of=$1/direct bs=512 count=16384 oflag=direct conv=notrunc status=none
            done
            """,
            "head -c 300000 /dev/urandom > $1/a; sync -f $1; timeout 0.5 cat $2/trace_pipe > /dev/null",
            "head -c 300000 /dev/urandom > $1/a; sync -f $1; echo > $2/trace",
            "echo 0 > $2/tracing_on; head -c 300000 /dev/urandom > $1/a; sync -f $1",
            "echo 0 > $2/events/block/block_bio_queue/enable; head -c 300000 /dev/urandom > $1/a; sync -f $1",
            "echo 1 > $2/events/sched/sched_switch/enable; head -c 300000 /dev/urandom > $1/a; sync -f $1",
        ])
    func lost(event: String) throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        let compared = try compared(set, after: event)
        #expect(compared.contains { $0 != "changes" })
        #expect(try set.promoted().sums == set.sums())
    }
}
