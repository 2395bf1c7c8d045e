import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// Where libpmemshim.so is.
struct ShimLibrary {
    static let fileName = "libpmemshim.so"
    /// Names the library outright; a bad value is an error, not a reason to look elsewhere.
    static let overrideName = ps_setting.library.variable

    /// Absolute, existing, fit for LD_PRELOAD.
    let path: FilePath

    /// The library `PMEMSHIM_LIBRARY` names, or else the first found beside this program (a build directory), in
    /// `../lib` and its multiarch and package folders (an installed prefix), and in those of the system's prefixes.
    /// - Throws: a `Complaint` that lists where it was looked for, or says why the one found is of no use.
    static func found() throws -> ShimLibrary {
        if let value = ProcessInfo.processInfo.environment[overrideName], !value.isEmpty {
            return try ShimLibrary(checking: FilePath(value), named: "\(overrideName): \"\(value.printable)\"")
        }
        for directory in try directories() {
            let candidate = directory.appending(fileName)
            guard (try? Stat(candidate)) != nil else { continue }
            return try ShimLibrary(checking: candidate, named: "\"\(candidate.string.printable)\"")
        }
        throw Complaint(
            .unavailable,
            "\(fileName) was not found in \(try directories().map(\.string.printable).joined(separator: ", "));"
                + " set \(overrideName) to its path")
    }

    /// Where it is looked for, in this order.
    private static func directories() throws -> [FilePath] {
        guard let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            throw Complaint(.unavailable, "/proc/self/exe cannot be read; set \(overrideName) to the library's path")
        }
        let own = FilePath(executable).removingLastComponent()
        let prefix = own.removingLastComponent()
        let folders = ["lib", "lib/pmemshim", "lib/x86_64-linux-gnu/pmemshim", "lib/x86_64-linux-gnu", "lib64"]
        let below = [prefix, "/usr/local", "/usr"].flatMap { top in folders.map { top.pushing(FilePath($0)) } }
        var seen: Set<FilePath> = []
        return ([own] + below).filter { seen.insert($0).inserted }
    }

    private init(checking candidate: FilePath, named name: String) throws {
        guard let resolved = candidate.withPlatformString({ realpath($0, nil) }) else {
            throw Complaint(.unavailable, "\(name): \(Errno(rawValue: errno))")
        }
        path = FilePath(platformString: resolved)
        defer { free(resolved) }
        guard String(validatingCString: resolved) != nil else {
            throw Complaint(.unavailable, "\(name): its path is not UTF-8; move the library")
        }
        // ld.so would only warn, and run the program without us.
        guard !path.string.contains(where: { $0 == ":" || $0.isWhitespace }) else {
            throw Complaint(
                .unavailable, "\(name): ld.so takes spaces and colons in LD_PRELOAD as separators; move the library")
        }
        guard let image = try? ElfImage(path), image.isX8664, image.isSharedObject else {
            throw Complaint(.unavailable, "\(name) is not a shared library for x86-64")
        }
        guard LibraryVersion.of(image) != nil else {
            throw Complaint(
                .unavailable,
                "\(name) is not the library of pmemshim, or one from before 0.2: it bears no version of it")
        }
    }

    /// `inherited`, a value of LD_PRELOAD, with this library in it. Earlier preloads keep their places before it;
    /// another copy of the shim is replaced, for two would serve twice.
    /// - Parameter sanitizer: the library of a sanitizer's runtime, which comes before all else.
    func added(to inherited: String?, after sanitizer: FilePath? = nil) -> String {
        var items = (inherited ?? "").split(whereSeparator: { $0 == ":" || $0 == " " }).map(String.init)
        let isShim = { (item: String) in
            item == path.string || FilePath(item).lastComponent?.string == Self.fileName
        }
        let place = items.firstIndex(where: isShim) ?? items.count
        items.removeAll(where: isShim)
        items.insert(path.string, at: place)
        if let sanitizer {
            // ld.so takes the same library by another name for the same, but only the first place counts.
            items.removeAll { $0 == sanitizer.string || $0 == sanitizer.lastComponent?.string }
            items.insert(sanitizer.string, at: 0)
        }
        return items.joined(separator: ":")
    }
}
