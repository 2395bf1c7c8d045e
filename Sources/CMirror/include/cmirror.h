// What `shimctl mirror` asks of the kernel that Swift cannot: requests whose numbers and structures the kernel's
// headers give as macros and flexible arrays; and CRC-32C by the processor's instruction. Not in the library.
#ifndef CMIRROR_H
#define CMIRROR_H

#include "cmirror_bpf.h"

#include <stddef.h>
#include <stdint.h>

// Stops all writing to the file system that `fd` is on, after all of it has been written (ioctl_fifreeze(2)), and lets
// it go on. Both: 0, or -errno.
int cmirror_freeze(int fd);
int cmirror_thaw(int fd);

// A byte, and a descriptor (-1: none), to another process (unix(7)): 0, or -errno, and no signal.
int cmirror_send(int socket, uint8_t byte, int fd);

// What that sends; `fd` is -1 where none came. 1; 0 at the end; or -errno.
int cmirror_receive(int socket, uint8_t *_Nonnull byte, int *_Nonnull fd);

// Writes all that is dirty of that file system (syncfs(2)): 0, or -errno.
int cmirror_synchronise(int fd);

// Drops what the kernel has cached of a block device beside file systems (BLKFLSBUF).
void cmirror_forget_buffers(int fd);

// Where a part of a file lies.
struct cmirror_extent {
    uint64_t logical;  // bytes from the file's start
    uint64_t physical; // bytes from the device's start
    uint64_t length;   // bytes
    uint32_t is_certain; // 0: lies elsewhere, or nowhere yet, or not in whole blocks of its own
    uint32_t is_last;
};

// The extents of a file from byte `start` on, in order, at most `most` (ioctl_fiemap(2)): how many, or -errno.
int cmirror_extents(int fd, uint64_t start, struct cmirror_extent *_Nonnull extents, int most);

// What a part of the device is for (ioctl_getfsmap(2)).
struct cmirror_space {
    uint64_t physical; // bytes from the device's start
    uint64_t length;   // bytes
    uint32_t is_free;
    uint32_t is_other_device; // a log or data device beside the one that is mounted
};

// The parts from byte `start` of the device on, in order, at most `most`: how many, or -errno. `device` is the number
// of the device that is mounted (st_dev).
int cmirror_spaces(int fd, uint64_t device, uint64_t start, struct cmirror_space *_Nonnull spaces, int most);

// Bytes by which the kernel knows a file, whatever its name is by then: struct file_handle.
struct cmirror_handle {
    uint32_t bytes;
    int32_t type;
    uint8_t data[128];
};

// The handle of a name in a directory (name_to_handle_at(2)), and a directory opened by it: 0 or a descriptor, or
// -errno.
int cmirror_handle(int directory, const char *_Nonnull name, struct cmirror_handle *_Nonnull handle);
int cmirror_open_directory(int mount, struct cmirror_handle *_Nonnull handle);

// The root of a mount without what is mounted on top of it (open_tree(2)): a descriptor, or -errno.
int cmirror_tree(const char *_Nonnull path);

// What is said of a name in a directory (statx(2)), of a link itself: 0, or -errno.
struct cmirror_facts {
    uint64_t device; // as st_dev of stat(2)
    uint64_t inode;
    uint64_t blocks; // of 512 bytes
    int64_t changed; // the time of the last change (ctime), ns since 1970
    uint32_t mode;
    uint32_t is_direct; // mapped past the page cache (DAX), or the kernel does not tell (before 5.10)
};
int cmirror_facts(int directory, const char *_Nonnull name, struct cmirror_facts *_Nonnull facts);

// The identity of the mount that `fd` is on, never given twice while the machine runs where the kernel has such (6.8;
// before, the number that mountinfo shows); 0: not known.
uint64_t cmirror_mount_identity(int fd);

// CRC-32C of each of `count` pages of `size` bytes (a multiple of 8), which lie one behind the other.
void cmirror_checksums(const void *_Nonnull pages, size_t size, size_t count, uint32_t *_Nonnull checksums);

// CRC-32C of `size` bytes, any number.
uint32_t cmirror_checksum(const void *_Nonnull bytes, size_t size);

#endif
