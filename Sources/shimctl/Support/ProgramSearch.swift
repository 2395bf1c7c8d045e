import FoundationEssentials
import Glibc
import SystemPackage

/// Finds a program as execvp(3) does.
enum ProgramSearch {
    /// Where `name` is: itself if it has a slash in it, otherwise the first executable regular file of that name in
    /// the directories of `PATH` (`/bin:/usr/bin` where it is not set; an empty item is the current directory).
    /// - Returns: nothing if there is none. A name with a slash is returned whether or not the file exists.
    static func path(of name: String) -> FilePath? {
        guard !name.isEmpty else { return nil }
        if name.contains("/") { return FilePath(name) }
        let search = ProcessInfo.processInfo.environment["PATH"] ?? "/bin:/usr/bin"
        for directory in search.split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = FilePath(directory.isEmpty ? "." : String(directory)).appending(name)
            if isExecutableFile(candidate) { return candidate }
        }
        return nil
    }

    private static func isExecutableFile(_ path: FilePath) -> Bool {
        guard let stat = try? Stat(path), stat.type == .regular else { return false }
        return path.withPlatformString { access($0, X_OK) } == 0
    }
}
