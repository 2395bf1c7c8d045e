import CShimSys

/// A line of the statistics: calls that are counted together (enum ps_family).
enum CallFamily: Int, CaseIterable {
    case read, pread, readv, preadv
    case write, pwrite, writev, pwritev
    case fsync, fdatasync, syncFileRange, msync
    case mmap, copy, resize

    /// What its calls do with data.
    enum Kind { case read, write, sync, other }

    var kind: Kind {
        switch self {
        case .read, .pread, .readv, .preadv: .read
        case .write, .pwrite, .writev, .pwritev: .write
        case .fsync, .fdatasync, .syncFileRange, .msync: .sync
        case .mmap, .copy, .resize: .other
        }
    }

    /// As the documentation and JSON name it.
    var name: String {
        switch self {
        case .syncFileRange: "sync_file_range"
        default: String(describing: self)
        }
    }
}

/// What became of a call (enum ps_outcome): served, or why it was passed on.
enum CallOutcome: Int, CaseIterable {
    case served, cold, end, small, tick, append, offset, flags
    case sparse, fault, limit, busy, backing, argument, giveWay, kernel

    var name: String {
        switch self {
        case .giveWay: "give_way"
        default: String(describing: self)
        }
    }

    /// What the reason means, in a few words.
    var explanation: String {
        switch self {
        case .served: "copied through the mapping"
        case .cold: "file not used enough yet to be mapped"
        case .end: "reaches or extends the end of the file"
        case .small: "write of less than 512 bytes"
        case .tick: "first write of a clock tick: the kernel sets the times"
        case .append: "O_APPEND"
        case .offset: "file offset was moved by somebody else"
        case .flags: "O_DIRECT, O_SYNC, RWF_* or access mode"
        case .sparse: "the file has holes"
        case .fault: "the copy faulted; the kernel did it again"
        case .limit: "resource limit, or too many windows"
        case .busy: "another writer held the range"
        case .backing: "done by the kernel on this backing"
        case .argument: "odd arguments"
        case .giveWay: "mlockall, seccomp or unshare: the shim stepped aside"
        case .kernel: "always done by the kernel"
        }
    }

    /// What somebody who runs the program can do about it; nothing where there is nothing to be done, or no need.
    var cure: String? {
        switch self {
        case .served, .offset, .tick, .fault, .kernel, .argument: nil
        case .cold:
            "normal at the beginning; PMEMSHIM_MAP_AFTER=0 maps at once, which pays for files that are used long"
        case .end: "growing a file is the kernel's work: let the program reuse or preallocate its files where it can"
        case .small:
            "writes of 1 to 64 bytes (with AVX-512; with AVX2 of 4, 8, ... 32) and from 512 bytes on are served"
        case .append: "O_APPEND is the kernel's work: nothing to be done but fewer, larger writes"
        case .flags: "leave direct I/O and O_SYNC off; fdatasync is served where it can be"
        case .sparse: "holes are the kernel's: let the program preallocate its files"
        case .limit: "raise RLIMIT_AS, RLIMIT_FSIZE or PMEMSHIM_MEMORY (shimctl doctor --pid tells which)"
        case .busy: "several writers of one file wait for one another: the kernel does some of their calls"
        case .backing: "on this file system durability is the kernel's; a DAX mount would leave it out"
        case .giveWay: "the library stepped aside for good: start the program without the call that asks for that"
        }
    }
}

/// How a mount's pages are reached (enum ps_backing).
enum Backing: String {
    case none, dax, memory, pagecache, unknown

    init(raw: UInt32) {
        switch raw {
        case PS_BACKING_NONE.rawValue: self = .none
        case PS_BACKING_DAX.rawValue: self = .dax
        case PS_BACKING_MEMORY.rawValue: self = .memory
        case PS_BACKING_PAGECACHE.rawValue: self = .pagecache
        default: self = .unknown
        }
    }
}
