import ArgumentParser

/// `shimctl mirror`: a second device with a copy.
struct MirrorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror",
        abstract: "Keep a copy of a device on a second one, verify it, repair from it.",
        discussion: """
            A mirror is a second device or image file of the same size. A process with root's rights copies what has \
            changed, now and then: programs and the kernel notice nothing of it, whether they use the shim or not. The \
            mirror knows a checksum of each page.

            With --freeze the file system stands still for the end of a pass, so that the mirror has the state of one \
            moment: it can be mounted after the primary is lost (shimctl attach MIRROR --promote). docs/mirror.md says \
            what is protected, against what, and how old a copy can be.

            EXAMPLES
              shimctl mirror add pmem /dev/sdb
              shimctl mirror sync pmem --freeze
              shimctl mirror run pmem --every 30 --freeze
              shimctl mirror status pmem
              shimctl mirror verify pmem
              shimctl mirror repair pmem
              shimctl attach /dev/sdb --promote
            """,
        subcommands: [
            MirrorAdd.self, MirrorSync.self, MirrorRun.self, MirrorStatus.self, MirrorVerify.self, MirrorRepair.self,
            MirrorRemove.self, MirrorThaw.self,
        ])
}

/// `shimctl mirror sync`: one pass.
struct MirrorSync: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync", abstract: "Copy what has changed, once.",
        discussion: """
            The first pass compares everything; later ones what has changed since, as far as that is known: files by \
            their change times, the file system's own data by what is left. A device that is not mounted is compared \
            in full.

            EXIT STATUS
              0 done; 1 it cannot be done, or pages were found that cannot be read, or have changed by themselves, \
            which a message names (all others are copied); 64 for a bad option
            """)

    @OptionGroup var options: MirrorPassOptions

    func run() throws {
        var isClean = true
        try Complaint.reported(by: "mirror sync") {
            isClean = try MirrorRunner(options).pass()
        }
        if !isClean { throw ExitCode(1) }
    }
}
