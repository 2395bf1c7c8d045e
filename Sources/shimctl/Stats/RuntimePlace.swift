import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// Where the figures of a user are, and whose they must be.
struct RuntimePlace {
    let directory: FilePath
    /// Who must own them; nothing: the caller, or, for root, anybody, because a directory was named.
    let owner: uid_t?
    /// Nobody named another.
    let isDefault: Bool

    /// - Parameter owner: whose directory and files they must be; nothing: the caller's.
    init(directory: FilePath, owner: uid_t? = nil) {
        self.directory = directory
        self.owner = owner ?? geteuid()
        isDefault = false
    }

    /// The usual one of a user, whose directory and files it must be.
    init(ofUser user: uid_t) { self.init(directory: Self.directory(of: user), owner: user) }

    /// - Parameter user: name or number of another user, for root; nothing: `PMEMSHIM_RUNTIME_DIR`, else
    ///   `/dev/shm/pmemshim-<effective uid>`, which in a directory that is writable for all may be somebody else's.
    init(user: String? = nil) throws {
        if let user {
            let number = try Self.number(of: user)
            guard geteuid() == 0 || number == geteuid() else {
                throw Complaint(.failure, "--user \(user.printable): only root may read another user's figures")
            }
            directory = Self.directory(of: number)
            owner = number
            isDefault = false
        } else if let value = ProcessInfo.processInfo.environment[ps_setting.runtimeDirectory.variable],
            !value.isEmpty
        {
            directory = FilePath(value)
            owner = nil
            isDefault = false
        } else {
            directory = Self.directory(of: geteuid())
            owner = geteuid()
            isDefault = true
        }
    }

    func open(_ name: String) throws -> FileDescriptor? {
        try RuntimeFolder.open(name, in: directory, owner: owner)
    }

    struct User: Encodable {
        let uid: uid_t
        /// The number where there is no name.
        let name: String
    }

    /// For root: who else has figures, or settings that were refused, in a directory of their own. Anybody can make a
    /// directory by another's name: the owner tells.
    static var otherUsers: [User] {
        guard geteuid() == 0 else { return [] }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        return names.compactMap { name -> User? in
            guard name.hasPrefix(prefix), let number = uid_t(name.dropFirst(prefix.count)), number != 0,
                name == "\(prefix)\(number)"
            else { return nil }
            let path = "\(parent)/\(name)"
            guard isOwn(path, number, S_IFDIR),
                isOwn("\(path)/stats", number, S_IFREG) || isOwn("\(path)/\(RefusedSettings.fileName)", number, S_IFREG)
            else { return nil }
            let known = getpwuid(number).flatMap(\.pointee.pw_name).map { String(cString: $0).printable }
            return User(uid: number, name: known ?? "\(number)")
        }.sorted { $0.uid < $1.uid }
    }

    private static let parent = "/dev/shm"
    private static let prefix = "pmemshim-"

    private static func directory(of user: uid_t) -> FilePath { FilePath("\(parent)/\(prefix)\(user)") }

    private static func isOwn(_ path: String, _ owner: uid_t, _ type: mode_t) -> Bool {
        var found = stat()
        return lstat(path, &found) == 0 && found.st_mode & S_IFMT == type && found.st_uid == owner
            && found.st_mode & 0o077 == 0
    }

    private static func number(of user: String) throws -> uid_t {
        if let found = getpwnam(user)?.pointee.pw_uid { return found }
        guard let number = uid_t(user) else {
            throw Complaint(.usage, "--user: there is no user \"\(user.printable)\"")
        }
        return number
    }
}
