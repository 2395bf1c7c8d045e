import FoundationEssentials
import Glibc
import SystemPackage

/// The ELF file that runs when a program is started: the program itself, or what interprets it.
struct ProgramFile {
    /// Scripts on the way to it, and `env` where it only looks the interpreter up.
    let scripts: [FilePath]
    /// The privileges of every file that is executed on the way. Set-id bits of scripts have no effect.
    let privileges: [(path: FilePath, privileges: Privileges)]
    let image: ElfImage

    /// Follows `name` as execvp(3) and the kernel do.
    /// - Throws: a `Complaint` if there is no such program, or if it leads to something that is no program.
    init(named name: FilePath) throws {
        guard let first = ProgramSearch.path(of: name) else {
            throw Complaint(.undecided, "\(name.string.printable): no such program in PATH")
        }
        var path = first
        var scripts: [FilePath] = []
        var executed: [FilePath] = []
        while let interpreter = try Self.interpreter(ofScript: path) {
            // The kernel gives up after 5; env adds steps of its own.
            guard scripts.count < 10 else {
                throw Complaint(.undecided, "\(name.string.printable): scripts that interpret scripts, without end")
            }
            scripts.append(path)
            path = interpreter.program
            if path.lastComponent?.string == "env", let found = Self.program(ofEnv: interpreter.argument) {
                executed.append(path)
                scripts.append(path)
                path = found
            }
        }
        executed.append(path)
        let image: ElfImage
        do {
            image = try ElfImage(path)
        } catch {
            throw Self.complaint(error, path)
        }
        guard image.isProgram else {
            throw Complaint(.undecided, "\(path.string.printable) is an ELF file, but neither program nor library")
        }
        self.scripts = scripts
        self.image = image
        privileges = try executed.map { path in
            do {
                return (path, try Privileges(of: path))
            } catch {
                throw Complaint(.undecided, "\(path.string.printable): \(error)")
            }
        }
    }

    /// The program after `#!`, with the one argument there may be.
    private static func interpreter(ofScript path: FilePath) throws -> (program: FilePath, argument: String)? {
        let head: [UInt8]
        do {
            guard try Stat(path).type == .regular else {
                throw Complaint(.undecided, "\(path.string.printable) is not a regular file")
            }
            let descriptor = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .nonBlocking])
            defer { try? descriptor.close() }
            var buffer = [UInt8](repeating: 0, count: 256)
            let count = try buffer.withUnsafeMutableBytes { try descriptor.read(into: $0) }
            head = Array(buffer.prefix(count))
        } catch let error as Errno {
            throw Complaint(.undecided, "\(path.string.printable): \(error)")
        }
        guard head.starts(with: "#!".utf8) else { return nil }
        let line = String(decoding: head.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        let words = line.split(maxSplits: 1, omittingEmptySubsequences: true) { $0 == " " || $0 == "\t" }
        guard let program = words.first else {
            throw Complaint(.undecided, "\(path.string.printable): no interpreter after #!")
        }
        return (
            FilePath(String(program)),
            words.count > 1 ? words[1].trimmed : ""
        )
    }

    /// What `env ARGUMENT` executes: the first word that is neither an option nor an assignment.
    private static func program(ofEnv argument: String) -> FilePath? {
        let words = argument.split(separator: " ").drop { $0.hasPrefix("-") || $0.contains("=") }
        return words.first.flatMap { ProgramSearch.path(of: FilePath(String($0))) }
    }

    private static func complaint(_ failure: ElfImage.Failure, _ path: FilePath) -> Complaint {
        let name = path.string.printable
        return switch failure {
        case .unreadable(let reason): Complaint(.undecided, "\(name): \(reason)")
        case .notELF: Complaint(.undecided, "\(name) is neither an ELF file nor a script")
        case .damaged(let reason): Complaint(.undecided, "\(name) is a damaged ELF file: \(reason)")
        }
    }
}
