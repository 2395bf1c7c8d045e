import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// Where profiles are: the administrator's own come before those of the package.
enum ProfileFolder {
    static let suffix = ".profile"
    private static let mostBytes = 64 << 10

    /// `PMEMSHIM_PROFILES` where it is set, /etc/pmemshim, and share/pmemshim/profiles below the prefix that this
    /// program is installed in.
    static var directories: [FilePath] {
        let named = ProcessInfo.processInfo.environment[ps_setting.profiles.variable].flatMap { $0.isEmpty ? nil : $0 }
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")).map {
            FilePath($0).removingLastComponent().removingLastComponent().pushing("share/pmemshim/profiles")
        }
        return [named.map { FilePath($0) }, FilePath("/etc/pmemshim"), own, FilePath("/usr/share/pmemshim/profiles")]
            .compactMap { $0 }.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// Of all profiles, in alphabetical order.
    static var names: [String] {
        var names: Set<String> = []
        for directory in directories {
            for file in (try? FileManager.default.contentsOfDirectory(atPath: directory.string)) ?? []
            where file.hasSuffix(suffix) && !file.hasPrefix(".") {
                names.insert(String(file.dropLast(suffix.count)))
            }
        }
        return names.sorted()
    }

    /// - Throws: a `Complaint` where there is none of that name, or it cannot be read or is wrong.
    static func profile(named name: String) throws -> Profile {
        guard !name.isEmpty, !name.contains("/"), !name.hasPrefix(".") else {
            throw Complaint(.usage, "--profile: \"\(name.printable)\" is not the name of a profile")
        }
        for directory in directories {
            let path = directory.appending(name + suffix)
            guard let text = try content(of: path) else { continue }
            return try Profile(name: name, path: path.string, text: text)
        }
        let known = names
        throw Complaint(
            .usage,
            "there is no profile \"\(name.printable)\" in "
                + directories.map(\.string.printable).joined(separator: ", ")
                + (known.isEmpty ? "" : " (known: \(known.joined(separator: ", ")))"))
    }

    private static func content(of path: FilePath) throws -> String? {
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: [.nonBlocking, .closeOnExec])
            return try file.closeAfter {
                guard try Stat(file).type == .regular else {
                    throw Complaint(.usage, "\(path.string.printable) is not a regular file")
                }
                var bytes = [UInt8](repeating: 0, count: mostBytes)
                let count = try bytes.withUnsafeMutableBytes { try file.fill($0, at: 0) }
                guard count < mostBytes else {
                    throw Complaint(.usage, "\(path.string.printable) is longer than \(mostBytes) bytes")
                }
                return String(decoding: bytes.prefix(count), as: UTF8.self)
            }
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch let error as Errno {
            throw Complaint(.failure, "\(path.string.printable): \(error)")
        }
    }
}
