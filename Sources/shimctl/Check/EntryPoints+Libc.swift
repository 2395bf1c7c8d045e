/// libc's file I/O that is not interposed, by base name (`EntryPoints.base(of:)`), from the manual pages of section 2
/// and 3. The kernel's own calls need no interposing, since the kernel keeps the offsets, sizes, names, times and locks
/// of a served file too, and the shim shares its bytes (docs/design.md).
extension EntryPoints {
    /// Streams: their reads and writes happen inside libc.
    static let stdioNames: Set<String> = [
        "fread", "fwrite", "fgetc", "getc", "getchar", "fgets", "gets", "getw", "ungetc", "fputc", "putc", "putchar",
        "fputs", "puts", "putw", "getline", "getdelim", "printf", "fprintf", "vprintf", "vfprintf", "dprintf",
        "vdprintf", "scanf", "fscanf", "vscanf", "vfscanf", "perror", "fflush", "fpurge", "fseek", "fseeko", "ftell",
        "ftello", "rewind", "fgetpos", "fsetpos", "setbuf", "setbuffer", "setlinebuf", "setvbuf", "fgetwc", "getwc",
        "getwchar", "fgetws", "fputwc", "putwc", "putwchar", "fputws", "ungetwc", "wprintf", "fwprintf", "vwprintf",
        "vfwprintf", "wscanf", "fwscanf", "vwscanf", "vfwscanf", "uflow", "overflow", "underflow", "getmntent",
        "getpass", "fopencookie", "open_memstream", "fmemopen",
    ]

    /// Calls whose state is all the kernel's.
    static let kernelNames: Set<String> = [
        "lseek", "llseek", "stat", "lstat", "fstat", "fstatat", "newfstatat", "statx", "xstat", "lxstat", "fxstat",
        "fxstatat", "statfs", "fstatfs", "statvfs", "fstatvfs", "access", "faccessat", "euidaccess", "eaccess",
        "chmod", "fchmod", "fchmodat", "lchmod", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
        "lutimes", "futimes", "futimesat", "utimensat", "futimens", "rename", "renameat", "renameat2", "link",
        "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "remove", "mkdir", "mkdirat", "rmdir", "mknod",
        "mknodat", "mkfifo", "mkfifoat", "readlink", "readlinkat", "realpath", "canonicalize_file_name", "readdir",
        "readdir_r", "rewinddir", "seekdir", "telldir", "dirfd", "scandir", "scandirat", "getdents", "ftw", "nftw",
        "fts_open", "fts_read", "fts_close", "glob", "flock", "lockf", "ioctl", "isatty", "poll", "select",
        "epoll_ctl", "epoll_wait", "posix_fadvise", "posix_madvise", "madvise", "readahead", "mincore", "munmap",
        "mremap", "mprotect", "mlock", "munlock", "mlock2", "remap_file_pages", "sync", "syncfs", "splice", "tee",
        "vmsplice", "aio_read", "aio_write", "aio_fsync", "aio_error", "aio_return", "aio_suspend", "aio_cancel",
        "lio_listio", "process_vm_readv", "process_vm_writev", "send", "sendto", "sendmsg", "sendmmsg", "recv",
        "recvfrom", "name_to_handle_at", "getxattr", "fgetxattr", "lgetxattr", "setxattr", "fsetxattr", "lsetxattr",
        "listxattr", "flistxattr", "llistxattr", "removexattr", "fremovexattr", "lremovexattr", "mount", "umount",
        "umount2", "fileno", "feof", "ferror", "clearerr", "freading", "fwriting", "fpending", "fbufsize",
        "freadable", "fwritable", "flbf", "fsetlocking", "mkdtemp", "mktemp", "tmpnam", "tempnam", "shm_unlink",
        "acct", "swapon", "swapoff", "eventfd_read", "eventfd_write",
    ]
}
