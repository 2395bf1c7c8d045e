import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// A file system of one's own for a test, gone when closed or forgotten.
public final class ScratchMount {
    public enum Kind: String, CaseIterable, Sendable {
        /// tmpfs with the kernel's defaults; a directory in /dev/shm where this user may not mount.
        case tmpfs
        /// tmpfs mounted huge=always: 2 MiB pages.
        case tmpfsHuge
        /// An ext4 image on a loop device; the shim serves it only as `DIR:pagecache`.
        case ext4
        /// A directory on ext4 mounted with -o dax=always, which the shim finds by itself: in `scripts/dax-vm` only.
        case ext4DAX
        /// The same on xfs.
        case xfsDAX
        /// A directory the shim is never told of.
        case plain

        /// Why this kind cannot be had here; nil when it can. Found out once, by trying.
        public var unavailability: String? { Self.findings[self] ?? nil }

        private static let findings: [Kind: String?] = Dictionary(
            uniqueKeysWithValues: allCases.map { kind in
                do {
                    try ScratchMount(kind, mebibytes: 16).close()
                    return (kind, nil)
                } catch {
                    return (kind, "\(kind) cannot be had here: \(error)")
                }
            })
    }

    public let kind: Kind
    /// Absolute, without symbolic links.
    public let directory: String
    private let scratch: ScratchDirectory
    private var isMounted: Bool

    /// Makes it, with room for about `mebibytes` MiB. Throws ``SetupError`` with the reason where it cannot.
    public init(_ kind: Kind, mebibytes: Int = 64) throws {
        self.kind = kind
        switch kind {
        case .plain:
            scratch = try ScratchDirectory()
            directory = scratch.path
            isMounted = false
        case .ext4DAX, .xfsDAX:
            guard let place = kind.daxPlace else { throw SetupError("no DAX mount: not in scripts/dax-vm") }
            scratch = try ScratchDirectory(in: place)
            directory = scratch.path
            isMounted = false
        case .tmpfs where geteuid() != 0:
            scratch = try ScratchDirectory(in: "/dev/shm")
            directory = scratch.path
            isMounted = false
        case .tmpfs, .tmpfsHuge, .ext4:
            scratch = try ScratchDirectory()
            directory = "\(scratch.path)/mount"
            isMounted = false
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
            try mount(mebibytes: mebibytes)
            isMounted = true
        }
    }

    deinit { close() }

    /// The item for `PMEMSHIM_MOUNTS` that has this mount served.
    public var item: String { kind == .ext4 ? "\(directory):pagecache" : directory }

    /// True when nothing else is on its file system: only then may a test fill it or count its free space.
    public var isWholeFileSystem: Bool { isMounted }

    /// A path inside.
    public func path(_ name: String) -> String { "\(directory)/\(name)" }

    public func close() {
        if isMounted {
            isMounted = false
            // Lazily: a program that a failed test left behind must not keep the name.
            _ = try? spawn("/usr/bin/umount", ["--lazy", directory])
        }
        scratch.close()
    }

    private func mount(mebibytes: Int) throws {
        switch kind {
        case .tmpfs:
            try require(
                "/usr/bin/mount", ["-t", "tmpfs", "-o", "size=\(mebibytes)m,mode=0755", "pmemshim-test", directory])
        case .tmpfsHuge:
            try require(
                "/usr/bin/mount",
                ["-t", "tmpfs", "-o", "size=\(mebibytes)m,mode=0755,huge=always", "pmemshim-test", directory])
        case .ext4:
            let image = "\(scratch.path)/image"
            try require("/usr/bin/truncate", ["-s", "\(mebibytes)M", image])
            try require("/usr/sbin/mkfs.ext4", ["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", image])
            try require("/usr/bin/mount", ["-t", "ext4", "-o", "loop", image, directory])
        case .plain, .ext4DAX, .xfsDAX:
            break
        }
    }

    private func require(_ program: String, _ arguments: [String]) throws {
        let run = try spawn(program, arguments)
        guard run.ending == .exited(0) else {
            throw SetupError("\(program) \(arguments.joined(separator: " ")): \(run.ending), \(run.stderr)")
        }
    }
}
