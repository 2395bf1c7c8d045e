import Glibc
import SystemPackage

/// A program that is run to its end, for what it does and says.
enum Subprocess {
    struct Result {
        /// As waitpid(2) has it; 0: done.
        let status: Int32
        /// What it wrote to standard error.
        let errors: String
    }

    /// Runs `path` with no input, its output thrown away.
    /// - Throws: the reason why it cannot be started.
    static func run(_ path: String, _ arguments: [String]) throws -> Result {
        let (reader, writer) = try FileDescriptor.pipe()
        defer { try? reader.close() }
        // Nothing of ours but this is to be seen by the program: a lock must not outlive us in it.
        for end in [reader, writer] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, writer.rawValue, STDERR_FILENO)
        var child = pid_t()
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let reason = posix_spawn(&child, path, &actions, nil, &words, environ)
        try writer.close()
        guard reason == 0 else { throw Errno(rawValue: reason) }
        var errors: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while case let count = try buffer.withUnsafeMutableBytes({ try reader.read(into: $0) }), count > 0 {
            errors += buffer.prefix(min(count, max(65_536 - errors.count, 0)))
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return Result(status: status, errors: String(decoding: errors, as: UTF8.self))
    }
}
