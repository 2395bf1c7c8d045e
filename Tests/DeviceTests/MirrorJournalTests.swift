import Foundation
import TestSupport
import Testing

/// ext4's journal is empty while the file system stands still, and a mirror does without what it held before.
@Suite("shimctl mirror: an empty journal is not copied", .serialized) struct MirrorJournalTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    private func bash(_ script: String, _ arguments: String...) throws -> Run {
        try spawn("/bin/bash", ["-c", script, Shim.shimctl] + arguments, timeout: .seconds(120))
    }

    /// Passes beside some hundred transactions, and two after them.
    private func transactions(_ set: MirroredImage, _ options: String = "") throws {
        let script = """
            : > "$3"
            "$0" mirror run "$1" --every 0.3 --freeze --json --full-every 0 $4 > "$3" & runner=$!
            until (($(grep -c '"changes"' "$3") >= 2)); do sleep 0.05; done
            for i in {1..300}; do
                dd if=/dev/urandom of="$2/f$((i % 7))" bs=4096 count=1 conv=notrunc,fsync status=none
            done
            before=$(wc -l < "$3")
            until (($(wc -l < "$3") >= before + 2)); do sleep 0.05; done
            kill "$runner"; wait "$runner"
            """
        let run = try bash(script, set.image.name, set.mount, "\(set.image.directory)/passes", options)
        #expect(run.stderr == "")
    }

    // Or else it is written to later.
    private static let initialised = ["-E", "lazy_itable_init=0,lazy_journal_init=0"]

    @Test(
        "of hundreds of transactions nothing but the journal's first block is copied",
        arguments: [("", []), ("--in-place", []), ("", ["-g", "2048", "-O", "^flex_bg", "-J", "size=64"])])
    func skipped(options: String, mkfs: [String]) throws {
        let set = try MirroredImage(options: Self.initialised + mkfs)
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        try transactions(set, options)
        // The superblock, which each freeze writes to, is the first page.
        let different = Set(try set.differentPages()).subtracting([0])
        let journal = try set.journal()
        #expect(different.count > 300)
        #expect(different.isSubset(of: Set(journal.dropFirst())))
        let promoted = try set.promoted()
        #expect(promoted.fsck.ending == .exited(0), "\(promoted.fsck.stdout)")
        #expect(try promoted.sums == set.sums())
        #expect(try set.verify()["faults"].items.isEmpty)
    }

    @Test("a log that is smaller than the journal is enough, after the next mount as well")
    func smallLog() throws {
        let set = try MirroredImage(log: "4M", options: Self.initialised)
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        for _ in 0..<4 { try transactions(set) }
        #expect(try Set(set.differentPages()).intersection(set.journal()).count > 1_024)
        #expect(try set.sync("--freeze").ending == .exited(0))
        try set.unmount()
        try set.mountAgain()
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.promoted().sums == set.sums())
        #expect(try set.sync("--freeze", "--full").stderr.contains("is full"))
        #expect(try set.sync("--freeze", "--full", "--in-place").ending == .exited(0))
        #expect(try set.differentPages().filter { $0 != 0 } == [])
    }

    @Test("all of a journal that has been made anew is copied")
    func anew() throws {
        let set = try MirroredImage(options: Self.initialised)
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        try transactions(set)
        try set.unmount()
        // Other tests have mount namespaces of their own, which hold it for a while.
        let script = """
            held=/sys/fs/ext4/$(basename "$(readlink -f "$1")")
            while [[ -d $held ]]; do sleep 0.1; done
            tune2fs -O ^has_journal "$1" && tune2fs -j "$1"
            """
        let tuned = try bash(script, set.image.blocks)
        try #require(tuned.ending == .exited(0), "\(tuned.stdout)\(tuned.stderr)")
        try set.mountAgain()
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.differentPages().filter { $0 != 0 } == [])
        #expect(try set.promoted().fsck.ending == .exited(0))
    }

    @Test(
        "all of it is copied of journals in other forms",
        arguments: ["fast_commit", "^has_journal", "meta_bg,^resize_inode"])
    func others(feature: String) throws {
        let set = try MirroredImage(options: ["-O", feature] + Self.initialised)
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        try transactions(set)
        #expect(try set.differentPages().filter { $0 != 0 } == [])
        #expect(try set.promoted().sums == set.sums())
    }

    @Test("a mirror in the primary's place recovers from its journal, in which older transactions are left")
    func recovery() throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        try transactions(set)
        let offset = try #require(
            set.json(try shimctl(["inspect", set.mirror, "--json"]))["superblock"]["data_offset"].number)
        // What the device holds while it is mounted is what is left when the power goes.
        let script = """
            cd "$1" && mkdir point && cp --sparse=always "$2" promoted.img || exit 2
            "$0" attach promoted.img --name "$3" --promote > /dev/null || exit 3
            mount "/dev/pmemshim/$3" point || exit 4
            for i in {1..200}; do
                dd if=/dev/urandom of="point/new$((i % 50))" bs=4096 count=1 conv=fsync status=none || exit 5
            done
            (cd point && find . -type f | LC_ALL=C sort | xargs sha1sum) > before
            cp --sparse=always promoted.img lost.img
            umount point && "$0" detach "$3" > /dev/null || exit 6
            blocks=$(losetup --find --show --offset "$4" lost.img) || exit 7
            trap 'umount point 2> /dev/null; losetup -d "$blocks"' EXIT
            dumpe2fs -h "$blocks" 2> /dev/null | grep -q needs_recovery || exit 8
            mount "$blocks" point || exit 9
            (cd point && find . -type f | LC_ALL=C sort | xargs sha1sum) > after
            umount point
            e2fsck -f -n "$blocks" > fsck || exit 10
            cmp before after || exit 11
            wc -l < after
            """
        let name = "\(set.image.name)-p"
        let run = try bash(script, set.image.directory, set.mirror, name, "\(offset)")
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.stdout == "57\n")
    }
}
