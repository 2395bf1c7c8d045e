import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// What the shim has and needs on this machine.
enum MachineFindings {
    static var all: [Finding] { [library, kernel, processor] + storage + [cgroup].compactMap { $0 } }

    private static var library: Finding {
        do {
            let found = try ShimLibrary.found()
            let path = found.path.string
            guard let version = LibraryVersion.of(found.path) else {
                return Finding(
                    .warning, "library", "\(path) does not say its version: it is older than shimctl, or another",
                    cure: "install the library and shimctl from one package")
            }
            guard version == Shimctl.versionNumber else {
                return Finding(
                    .warning, "library", "\(path) is version \(version), shimctl \(Shimctl.versionNumber)",
                    cure: "install the library and shimctl from one package")
            }
            return Finding(.ok, "library", "\(path), version \(version)")
        } catch {
            return Finding(
                .error, "library", "\(error)", cure: "install the package, or set PMEMSHIM_LIBRARY to its path")
        }
    }

    private static var kernel: Finding {
        let release = Calibration.kernelRelease
        let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        guard numbers.count == 2 else { return Finding(.note, "kernel", "Linux \(release)") }
        let version = numbers[0] * 1_000 + numbers[1]
        if version < 4_014 {
            return Finding(
                .error, "kernel", "Linux \(release) has no MADV_WIPEONFORK: the library serves nothing",
                cure: "Linux 4.14 is the least, 4.15 for persistent memory")
        }
        if version < 6_005 {
            return Finding(
                .note, "kernel",
                "Linux \(release): the pages of files with holes are found by mincore; since 6.5 cachestat does it")
        }
        return Finding(.ok, "kernel", "Linux \(release)")
    }

    private static var processor: Finding {
        let features = Processor.features
        let name = Processor.name
        if features.contains("avx512f"), features.contains("avx512bw") {
            return Finding(.ok, "processor", "\(name): AVX-512, so that overwrites of 1 to 64 bytes are served")
        }
        if features.contains("avx2") {
            return Finding(
                .note, "processor",
                "\(name): AVX2 without AVX-512: of overwrites below 512 bytes those of 4, 8, ... 32 are served")
        }
        return Finding(.note, "processor", "\(name): overwrites below 512 bytes are the kernel's, but those of 4 and 8")
    }

    /// Where the figures are.
    private static var storage: [Finding] {
        let name = ps_setting.runtimeDirectory.variable
        guard let place = try? RuntimePlace() else { return [Finding(.error, "figures", "\(name) cannot be used")] }
        let path = place.directory.string
        var findings: [Finding] = []
        if let found = try? Stat(place.directory, followTargetSymlink: false) {
            if found.type != .directory || found.rawValue.st_uid != geteuid() || found.rawValue.st_mode & 0o077 != 0 {
                findings.append(
                    Finding(
                        .warning, "figures",
                        "\(path) is not a directory of yours with mode 0700: programs are served, but nothing counts",
                        cure: "remove it, or set \(name) to another directory"))
            } else {
                findings.append(Finding(.ok, "figures", "in \(path)"))
            }
        } else {
            findings.append(Finding(.ok, "figures", "will be in \(path)"))
        }
        let parent = place.directory.removingLastComponent()
        if let free = FileSystemSpace(of: parent)?.free, free < 8 << 20 {
            findings.append(
                Finding(
                    .warning, "figures",
                    "\(parent.string) has \(Figures.bytes(free)) left: figures and hints need 5 MiB",
                    cure: "make room, or set \(name) to a directory with some"))
        }
        return findings
    }

    /// Page tables of windows count for the memory cgroup (PMEMSHIM_MEMORY).
    private static var cgroup: Finding? {
        guard let limit = MemoryLimit.ofThisProcess, limit.bytes < 64 << 20 else { return nil }
        return Finding(
            .warning, "memory", "\(limit.path) limits this process to \(Figures.bytes(limit.bytes))",
            cure: "windows take a 16th of it at most; PMEMSHIM_MEMORY changes that")
    }
}

/// How full a file system is.
struct FileSystemSpace {
    /// Bytes; free: for users without privileges.
    let total: UInt64
    let free: UInt64

    init?(of path: FilePath) {
        var found = statvfs()
        guard statvfs(path.string, &found) == 0 else { return nil }
        total = UInt64(found.f_blocks) * UInt64(found.f_frsize)
        free = UInt64(found.f_bavail) * UInt64(found.f_frsize)
    }
}
