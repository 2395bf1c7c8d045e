import Foundation
import TestSupport
import Testing

@Suite("shimctl mirror: what the kernel's tracer tells", .serialized)
struct MirrorTraceTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    private func shell(_ script: String, _ arguments: String...) throws -> Run {
        try spawn("/bin/bash", ["-c", script, Shim.shimctl] + arguments, timeout: .seconds(90))
    }

    /// How the kernel tells of writes: by a program of ours, or where it tells nothing of its types by the tracer.
    enum Way: String, CaseIterable {
        case bitmap, tracer
    }

    /// Some frozen passes one after the other; the copier is stopped in between, while `event` happens, with the file
    /// system in `$1` and the tracer's instance in `$2`.
    /// - Returns: what each pass after it has compared: `changes`, `files` or `full`.
    private func compared(_ set: MirroredImage, _ way: Way, after event: String) throws -> [String] {
        let output = "\(set.image.directory)/passes"
        let script = """
            passes() { grep -c '"changes"' "$3"; }
            # The copier mounts it where it is not yet, but here in a namespace of its own.
            mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
            hide=:
            if [[ $5 == tracer ]]; then hide='mount --bind /dev/null /sys/kernel/btf/vmlinux'; fi
            unshare --mount bash -c "$hide"' && exec "$0" mirror run "$1" --every 0.2 --freeze --json --full-every 0' \
                "$0" "$1" > "$3" 2> /dev/null & runner=$!
            until (($(passes "$@") >= 1)); do sleep 0.05; done
            kill -STOP "$runner"
            before=$(wc -l < "$3")
            [[ $(ls -d /sys/kernel/tracing/instances/pmemshim-"$runner"-* 2> /dev/null | wc -l) == "$6" ]] || exit 9
            bash -c "$4" bash "$2" /sys/kernel/tracing/instances/pmemshim-"$runner"-*
            kill -CONT "$runner"
            until (($(wc -l < "$3") >= before + 3)); do sleep 0.05; done
            kill "$runner"; wait "$runner" || true
            tail -n "+$((before + 1))" "$3"
            """
        let instances = way == .tracer ? "1" : "0"
        let run = try shell(script, set.image.name, set.mount, output, event, way.rawValue, instances)
        #expect(run.ending == .exited(0), Comment(rawValue: run.stderr))
        return try run.stdout.split(separator: "\n").compactMap {
            DeviceJSON(value: try JSONSerialization.jsonObject(with: Data($0.utf8)))["compared"].text
        }
    }

    @Test("what was written while the copier stood still is known", arguments: Way.allCases)
    func known(way: Way) throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        let compared = try compared(set, way, after: "head -c 300000 /dev/urandom > $1/a; sync -f $1")
        #expect(compared.count >= 3)
        #expect(compared.allSatisfy { $0 == "changes" })
        #expect(try set.promoted().sums == set.sums())
    }

    @Test("small and large writes, zeroing and discards are known to the page", arguments: Way.allCases)
    func shapes(way: Way) throws {
        let options = ["-E", "lazy_itable_init=0,lazy_journal_init=0"]  // or else it is written to later
        let set = try MirroredImage(log: "300M", options: options)
        defer { set.close() }
        let prepare = "fallocate -l 130M $0/large; dd if=/dev/urandom of=$0/large bs=1M count=130 conv=notrunc,fsync"
        #expect(try spawn("/bin/bash", ["-c", prepare, set.mount]).ending == .exited(0))
        #expect(try set.sync("--freeze").ending == .exited(0))
        let event = """
            write() { dd if=/dev/urandom of="$1" bs="$2" seek="$3" count="$4" oflag=direct conv=notrunc status=none; }
            write $1/large 512 77 1; write $1/large 4096 200 1; write $1/large 68K 5 1; write $1/large 256K 9 3
            write $1/large 16M 1 1; write $1/large 32M 2 1
            fallocate --zero-range -o 1M -l 40K $1/large
            head -c 20M /dev/urandom > $1/other; rm $1/other; fallocate --punch-hole -o 40M -l 90M $1/large; sync -f $1
            fstrim $1
            """
        let compared = try compared(set, way, after: event)
        #expect(compared.allSatisfy { $0 == "changes" })
        // Whatever belongs to nobody, too; but for the superblock, which each freeze writes to, and the empty journal.
        let journal = Set(try set.journal().dropFirst())
        let different = try set.differentPages().filter { $0 != 0 && !journal.contains($0) }
        #expect(different == [])
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
        let compared = try compared(set, .tracer, after: event)
        #expect(compared.contains { $0 != "changes" })
        #expect(try set.promoted().sums == set.sums())
    }
}
