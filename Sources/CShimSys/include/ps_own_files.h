// System calls on files of our own: those in the runtime directory, and the log. None of them waits for anybody, and
// none raises a signal: files are opened with O_NONBLOCK (a lease or a FIFO would make open wait), locks are only
// tried, and callers look at RLIMIT_FSIZE before they make a file longer (beyond it the kernel sends SIGXFSZ). Results
// are the kernel's: >= 0, or -errno.
#ifndef PS_OWN_FILES_H
#define PS_OWN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Opens `name` in the directory that `directory` is open on (openat(2)).
long ps_sys_open_in(int directory, const char *_Nonnull name, int flags, unsigned mode);
long ps_sys_remove_in(int directory, const char *_Nonnull name);

// What a file of our own must be held against after it was opened.
struct ps_own_facts {
    uint64_t device; // dev_t; only compared
    uint64_t inode;
    int64_t size;   // bytes
    int64_t memory; // bytes that are allocated
    uint32_t user;
    uint32_t mode; // type and permissions
};
long ps_sys_own_facts(int fd, struct ps_own_facts *_Nonnull facts);

// Allocates [offset, offset + length) without changing the size (fallocate(2), FALLOC_FL_KEEP_SIZE).
long ps_sys_allocate(int fd, int64_t offset, int64_t length);
// Gives the memory of a range back; it reads as zeros afterwards.
long ps_sys_punch(int fd, int64_t offset, int64_t length);
// Takes a write lock on a range for this open description (F_OFD_SETLK), or says -EAGAIN at once. The lock goes with
// the description: when it is closed, or its holder is killed.
long ps_sys_try_lock(int fd, int64_t offset, int64_t length);
long ps_sys_unlock(int fd, int64_t offset, int64_t length);
// Bytes the file system under `fd` can hold; 0: it does not say.
int64_t ps_sys_capacity(int fd);

// The effective user, if the real, effective and saved one are the same; else -EPERM. A daemon that acts for another
// user for a while must not take up that user's files, nor leave its own to him.
long ps_sys_only_user(void);

#endif
