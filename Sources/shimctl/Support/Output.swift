import FoundationEssentials
import Glibc
import SystemPackage

/// Standard output and standard error, written whole and unbuffered, so that nothing is lost before an exec.
enum Output {
    /// Writes `text` and a newline to standard output.
    /// - Throws: a `Complaint` if it cannot be written (a full disk, a closed descriptor).
    static func line(_ text: String) throws {
        do {
            try FileDescriptor.standardOutput.writeAll((text + "\n").utf8)
        } catch {
            throw Complaint(.failure, "standard output: \(error)")
        }
    }

    /// Writes `text` and a newline to standard error. There is nobody to tell if that fails.
    static func warn(_ text: String) { error(text + "\n") }

    /// Writes `text` to standard error as it is.
    static func error(_ text: String) { _ = try? FileDescriptor.standardError.writeAll(text.utf8) }

    /// Opens a file that a user has named to be written, emptied: before anything is run, since a file that cannot be
    /// written must not cost a program's work.
    /// - Throws: a `Complaint` that names it.
    static func file(_ path: String) throws -> FileDescriptor {
        do {
            return try FileDescriptor.open(
                FilePath(path), .writeOnly, options: [.create, .truncate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw Complaint(.failure, "\"\(path.printable)\": \(error)")
        }
    }

    /// Writes text and a newline to a file that `file` has opened.
    /// - Throws: a `Complaint` that names it.
    static func line(_ text: String, to file: FileDescriptor, named path: String) throws {
        do {
            try file.writeAll((text + "\n").utf8)
        } catch {
            throw Complaint(.failure, "\"\(path.printable)\": \(error)")
        }
    }

    /// Writes `value` as one JSON document with sorted keys: over several lines, or on one (`compact`: a stream of
    /// samples is one document a line).
    static func json(_ value: some Encodable, compact: Bool = false) throws {
        try line(try jsonText(value, compact: compact))
    }

    /// That document, without a newline at its end.
    static func jsonText(_ value: some Encodable, compact: Bool = false) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if !compact { encoder.outputFormatting.insert(.prettyPrinted) }
        encoder.keyEncodingStrategy = .convertToSnakeCase
        guard let text = String(data: try encoder.encode(value), encoding: .utf8) else {
            throw Complaint(.failure, "the figures could not be put into JSON")
        }
        return text
    }
}
