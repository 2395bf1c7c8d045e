import Glibc
import SystemPackage

/// Finds a program as execvp(3) does.
enum ProgramSearch {
    /// Where `name` is: itself if it has a slash in it, otherwise the first executable regular file of that name in
    /// the directories of `PATH` (`/bin:/usr/bin` where it is not set; an empty item is the current directory). Names
    /// need not be UTF-8.
    /// - Returns: nothing if there is none. A name with a slash is returned whether or not the file exists.
    static func path(of name: FilePath) -> FilePath? {
        guard let component = name.components.first else { return name.isEmpty ? nil : name }
        if name.isAbsolute || name.components.count > 1 { return name }
        for directory in searched {
            let candidate = directory.appending(component)
            if isExecutableFile(candidate) { return candidate }
        }
        return nil
    }

    private static var searched: [FilePath] {
        let search = getenv("PATH").map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
        return (search ?? Array("/bin:/usr/bin".utf8))
            .split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            .map { $0.isEmpty ? FilePath(".") : FilePath(platformString: $0.map(CChar.init(bitPattern:)) + [0]) }
    }

    private static func isExecutableFile(_ path: FilePath) -> Bool {
        guard let stat = try? Stat(path), stat.type == .regular else { return false }
        return path.withPlatformString { access($0, X_OK) } == 0
    }
}
