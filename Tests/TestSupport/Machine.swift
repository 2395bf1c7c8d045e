import Foundation

/// The virtual machine of `scripts/dax-vm`, where `scripts/test --inside` runs some of the suites again.
public enum Machine {
    /// Whether this process runs there, with file systems mounted with -o dax=always.
    public static let isInside = ScratchMount.Kind.ext4DAX.daxPlace != nil

    /// Under emulation all takes many times as long: no test may fail for that.
    static let patience = isInside ? 20 : 1
}

extension ScratchMount.Kind {
    /// The mount point of its file system, as the machine names it.
    var daxPlace: String? {
        switch self {
        case .ext4DAX: ProcessInfo.processInfo.environment["DAX_VM_EXT4"]
        case .xfsDAX: ProcessInfo.processInfo.environment["DAX_VM_XFS"]
        case .tmpfs, .tmpfsHuge, .ext4, .plain: nil
        }
    }

    /// The kinds of mount that are served, each in its own way: in the machine its DAX mounts, elsewhere all others.
    public static let served: [Self] = Machine.isInside ? [.ext4DAX, .xfsDAX] : [.tmpfs, .tmpfsHuge, .ext4]
}
