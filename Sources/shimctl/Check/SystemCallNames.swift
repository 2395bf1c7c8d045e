/// Numbers of system calls on x86-64 that open, close, read, write or change files and descriptors.
enum SystemCallNames {
    /// The name of such a call; nothing for calls that have nothing to do with files.
    static func fileCall(_ number: UInt32) -> String? { names[number] }

    private static let names: [UInt32: String] = [
        0: "read", 1: "write", 2: "open", 3: "close", 9: "mmap", 17: "pread64", 18: "pwrite64", 19: "readv",
        20: "writev", 22: "pipe", 26: "msync", 32: "dup", 33: "dup2", 40: "sendfile", 41: "socket", 43: "accept",
        47: "recvmsg", 53: "socketpair", 72: "fcntl", 74: "fsync", 75: "fdatasync", 76: "truncate", 77: "ftruncate",
        85: "creat", 206: "io_setup", 209: "io_submit", 213: "epoll_create", 257: "openat", 275: "splice",
        276: "tee", 277: "sync_file_range", 278: "vmsplice", 284: "eventfd", 285: "fallocate", 288: "accept4",
        290: "eventfd2", 291: "epoll_create1", 292: "dup3", 293: "pipe2", 295: "preadv", 296: "pwritev",
        299: "recvmmsg", 319: "memfd_create", 326: "copy_file_range", 327: "preadv2", 328: "pwritev2",
        425: "io_uring_setup", 426: "io_uring_enter", 427: "io_uring_register", 436: "close_range", 437: "openat2",
    ]

    /// Calls after which a descriptor may be another file than before: unseen, the shim could hold an old one.
    static let changeDescriptors: Set<String> = [
        "open", "close", "dup", "dup2", "dup3", "close_range", "openat", "openat2", "creat", "fcntl",
    ]
}
