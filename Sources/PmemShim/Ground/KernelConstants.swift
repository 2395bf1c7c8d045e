import CShimSys

// The kernel's constants that the engine uses, once and in the types they are used with. Computed, as a stored constant
// may become a variable that is made at its first use.

/// Flags of open(2).
enum OpenFlag {
    static var accessMode: Int32 { Int32(PS_O_ACCMODE.rawValue) }
    static var readOnly: Int32 { Int32(PS_O_RDONLY.rawValue) }
    static var writeOnly: Int32 { Int32(PS_O_WRONLY.rawValue) }
    static var readWrite: Int32 { Int32(PS_O_RDWR.rawValue) }
    static var append: Int32 { Int32(PS_O_APPEND.rawValue) }
    static var closeOnExec: Int32 { Int32(PS_O_CLOEXEC.rawValue) }
    static var create: Int32 { Int32(PS_O_CREAT.rawValue) }
    static var dataSync: Int32 { Int32(PS_O_DSYNC.rawValue) }
    /// What O_SYNC has beyond O_DSYNC, which comes with it.
    static var fullSync: Int32 { Int32(PS_O_SYNC.rawValue) }
    static var direct: Int32 { Int32(PS_O_DIRECT.rawValue) }
    static var directory: Int32 { Int32(PS_O_DIRECTORY.rawValue) }
    static var noControllingTerminal: Int32 { Int32(PS_O_NOCTTY.rawValue) }
    static var noFollow: Int32 { Int32(PS_O_NOFOLLOW.rawValue) }
    static var noAccessTime: Int32 { Int32(PS_O_NOATIME.rawValue) }
    static var nonBlocking: Int32 { Int32(PS_O_NONBLOCK.rawValue) }
    static var path: Int32 { Int32(PS_O_PATH.rawValue) }
}

/// Flags of preadv2(2) and pwritev2(2).
enum CallFlag {
    static var highPriority: Int32 { Int32(PS_RWF_HIPRI.rawValue) }
    static var dataSync: Int32 { Int32(PS_RWF_DSYNC.rawValue) }
    static var sync: Int32 { Int32(PS_RWF_SYNC.rawValue) }
}

/// Results of system calls that have failed (`-errno`).
enum Failure {
    static var noSuchFile: Int { -Int(PS_ENOENT.rawValue) }
    static var io: Int { -Int(PS_EIO.rawValue) }
    static var invalid: Int { -Int(PS_EINVAL.rawValue) }
    static var readOnlyFileSystem: Int { -Int(PS_EROFS.rawValue) }
}

extension UInt32 {
    /// Of a file's mode (inode(7)): its type is this one.
    func isMode(of type: UInt32) -> Bool { self & UInt32(PS_S_IFMT.rawValue) == type }

    /// Of a file's mode: a regular file.
    var isModeOfRegularFile: Bool { isMode(of: UInt32(PS_S_IFREG.rawValue)) }
}

/// The page that the kernel maps and counts in.
enum Page {
    /// Bytes.
    static var size: Int64 { 4_096 }
    /// The bits of an address or offset that lie inside a page.
    static var mask: Int64 { 4_095 }
}

/// The longest path that the kernel takes, with its NUL (PATH_MAX).
let longestPath = 4_096

/// What a data call of the engine's returns that serves nothing: the caller makes it by the next libc symbol
/// (PS_PASS_ON).
var passOnResult: Int64 { Int64.min }
/// What it returns of an append that passes on and is counted already: the engine wants to hear of it only if it falls
/// short (PS_PASS_ON_SETTLED).
var passOnSettledResult: Int64 { Int64.min &+ 1 }
