// The two ways to make a system call: as any program does, through libc, where a preload sees it; and raw, past it.
#include "exerciser.h"
#include "raw.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

// Names that the headers keep to themselves; programs compiled with _FORTIFY_SOURCE call the _chk ones.
extern ssize_t __read(int, void *, size_t);
extern ssize_t __write(int, const void *, size_t);
extern ssize_t __pread64(int, void *, size_t, off64_t);
extern ssize_t __pwrite64(int, const void *, size_t, off64_t);
extern ssize_t __read_chk(int, void *, size_t, size_t);
extern ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
extern ssize_t __pread64_chk(int, void *, size_t, off64_t, size_t);
extern int __open_2(const char *, int);
extern int __close(int);

// ---- libc

static long libc_read(int variant, int fd, void *buffer, size_t count)
{
    switch (variant % 3) {
    case 0: return read(fd, buffer, count);
    case 1: return __read(fd, buffer, count);
    default: return __read_chk(fd, buffer, count, count);
    }
}

static long libc_write(int variant, int fd, const void *buffer, size_t count)
{
    return variant % 2 == 0 ? write(fd, buffer, count) : __write(fd, buffer, count);
}

static long libc_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    switch (variant % 5) {
    case 0: return pread(fd, buffer, count, offset);
    case 1: return pread64(fd, buffer, count, offset);
    case 2: return __pread64(fd, buffer, count, offset);
    case 3: return __pread_chk(fd, buffer, count, offset, count);
    default: return __pread64_chk(fd, buffer, count, offset, count);
    }
}

static long libc_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    switch (variant % 3) {
    case 0: return pwrite(fd, buffer, count, offset);
    case 1: return pwrite64(fd, buffer, count, offset);
    default: return __pwrite64(fd, buffer, count, offset);
    }
}

static long libc_readv(int variant, int fd, const struct iovec *vectors, int count)
{
    (void)variant;
    return readv(fd, vectors, count);
}

static long libc_writev(int variant, int fd, const struct iovec *vectors, int count)
{
    (void)variant;
    return writev(fd, vectors, count);
}

static long libc_preadv(int variant, int fd, const struct iovec *vectors, int count, off_t offset)
{
    return variant % 2 == 0 ? preadv(fd, vectors, count, offset) : preadv64(fd, vectors, count, offset);
}

static long libc_pwritev(int variant, int fd, const struct iovec *vectors, int count, off_t offset)
{
    return variant % 2 == 0 ? pwritev(fd, vectors, count, offset) : pwritev64(fd, vectors, count, offset);
}

static long libc_preadv2(int variant, int fd, const struct iovec *vectors, int count, off_t offset, int flags)
{
    return variant % 2 == 0 ? preadv2(fd, vectors, count, offset, flags)
                            : preadv64v2(fd, vectors, count, offset, flags);
}

static long libc_pwritev2(int variant, int fd, const struct iovec *vectors, int count, off_t offset, int flags)
{
    return variant % 2 == 0 ? pwritev2(fd, vectors, count, offset, flags)
                            : pwritev64v2(fd, vectors, count, offset, flags);
}

static long libc_lseek(int variant, int fd, off_t offset, int whence)
{
    return variant % 2 == 0 ? lseek(fd, offset, whence) : lseek64(fd, offset, whence);
}

static long libc_ftruncate(int variant, int fd, off_t length)
{
    return variant % 2 == 0 ? ftruncate(fd, length) : ftruncate64(fd, length);
}

static long libc_truncate(int variant, const char *path, off_t length)
{
    return variant % 2 == 0 ? truncate(path, length) : truncate64(path, length);
}

static long libc_fallocate(int variant, int fd, int mode, off_t offset, off_t length)
{
    return variant % 2 == 0 ? fallocate(fd, mode, offset, length) : fallocate64(fd, mode, offset, length);
}

static long libc_copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t count)
{
    return copy_file_range(in, in_offset, out, out_offset, count, 0);
}

static long libc_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t count)
{
    return splice(in, in_offset, out, out_offset, count, 0);
}

static long libc_sendfile(int variant, int out, int in, off_t *offset, size_t count)
{
    return variant % 2 == 0 ? sendfile(out, in, offset, count) : sendfile64(out, in, offset, count);
}

static long libc_fsync(int fd)
{
    return fsync(fd);
}

static long libc_fdatasync(int fd)
{
    return fdatasync(fd);
}

static long libc_sync_file_range(int fd, off_t offset, off_t length, unsigned flags)
{
    return sync_file_range(fd, offset, length, flags);
}

static long libc_open(int variant, int directory, const char *path, int flags, mode_t mode)
{
    switch (variant % 5) {
    case 0: return open(path, flags, mode);
    case 1: return open64(path, flags, mode);
    case 2: return openat(directory, path, flags, mode);
    case 3: return openat64(AT_FDCWD, path, flags, mode);
    default: return (flags & O_CREAT) != 0 ? open(path, flags, mode) : __open_2(path, flags);
    }
}

static long libc_close(int variant, int fd)
{
    switch (variant % 3) {
    case 0: return close(fd);
    case 1: return __close(fd);
    // A range without an open descriptor is no error; a descriptor that is none is.
    default: return fcntl(fd, F_GETFD) < 0 ? close(fd) : close_range((unsigned)fd, (unsigned)fd, 0);
    }
}

static long libc_dup(int fd)
{
    return dup(fd);
}

static long libc_dup2(int fd, int target)
{
    return dup2(fd, target);
}

static long libc_dup3(int fd, int target, int flags)
{
    return dup3(fd, target, flags);
}

static long libc_fcntl(int variant, int fd, int command, long argument)
{
    return variant % 2 == 0 ? fcntl(fd, command, argument) : fcntl64(fd, command, argument);
}

static long libc_pipe2(int *ends, int flags)
{
    return pipe2(ends, flags);
}

static long libc_memfd_create(const char *name, unsigned flags)
{
    return memfd_create(name, flags);
}

static void *libc_mmap(int variant, size_t length, int protection, int flags, int fd, off_t offset)
{
    return variant % 2 == 0 ? mmap(NULL, length, protection, flags, fd, offset)
                            : mmap64(NULL, length, protection, flags, fd, offset);
}

static long libc_munmap(void *address, size_t length)
{
    return munmap(address, length);
}

static long libc_msync(void *address, size_t length, int flags)
{
    return msync(address, length, flags);
}

const struct calls libc_calls = {
    .read = libc_read, .write = libc_write, .pread = libc_pread, .pwrite = libc_pwrite,
    .readv = libc_readv, .writev = libc_writev, .preadv = libc_preadv, .pwritev = libc_pwritev,
    .preadv2 = libc_preadv2, .pwritev2 = libc_pwritev2, .lseek = libc_lseek,
    .ftruncate = libc_ftruncate, .truncate = libc_truncate, .fallocate = libc_fallocate,
    .copy_file_range = libc_copy_file_range, .sendfile = libc_sendfile,
    .splice = libc_splice,
    .fsync = libc_fsync, .fdatasync = libc_fdatasync, .sync_file_range = libc_sync_file_range,
    .open = libc_open, .close = libc_close, .dup = libc_dup, .dup2 = libc_dup2, .dup3 = libc_dup3,
    .fcntl = libc_fcntl, .pipe2 = libc_pipe2, .memfd_create = libc_memfd_create,
    .mmap = libc_mmap, .munmap = libc_munmap, .msync = libc_msync, .aio = plain_aio, .by_handle = &handle_calls,
};

// ---- raw: the instruction itself, since syscall(3) too can be interposed

static long raw_call(long number, long a, long b, long c, long d, long e, long f)
{
    long value = raw(number, a, b, c, d, e, f);
    if (value < 0 && value > -4096) {
        errno = (int)-value;
        return -1;
    }
    return value;
}

static long raw_read(int variant, int fd, void *buffer, size_t count)
{
    (void)variant;
    return raw_call(SYS_read, fd, (long)buffer, (long)count, 0, 0, 0);
}

static long raw_write(int variant, int fd, const void *buffer, size_t count)
{
    (void)variant;
    return raw_call(SYS_write, fd, (long)buffer, (long)count, 0, 0, 0);
}

static long raw_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    (void)variant;
    return raw_call(SYS_pread64, fd, (long)buffer, (long)count, offset, 0, 0);
}

static long raw_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    (void)variant;
    return raw_call(SYS_pwrite64, fd, (long)buffer, (long)count, offset, 0, 0);
}

static long raw_readv(int variant, int fd, const struct iovec *vectors, int count)
{
    (void)variant;
    return raw_call(SYS_readv, fd, (long)vectors, count, 0, 0, 0);
}

static long raw_writev(int variant, int fd, const struct iovec *vectors, int count)
{
    (void)variant;
    return raw_call(SYS_writev, fd, (long)vectors, count, 0, 0, 0);
}

static long raw_preadv(int variant, int fd, const struct iovec *vectors, int count, off_t offset)
{
    (void)variant;
    return raw_call(SYS_preadv, fd, (long)vectors, count, offset, 0, 0);
}

static long raw_pwritev(int variant, int fd, const struct iovec *vectors, int count, off_t offset)
{
    (void)variant;
    return raw_call(SYS_pwritev, fd, (long)vectors, count, offset, 0, 0);
}

static long raw_preadv2(int variant, int fd, const struct iovec *vectors, int count, off_t offset, int flags)
{
    (void)variant;
    return raw_call(SYS_preadv2, fd, (long)vectors, count, offset, 0, flags);
}

static long raw_pwritev2(int variant, int fd, const struct iovec *vectors, int count, off_t offset, int flags)
{
    (void)variant;
    return raw_call(SYS_pwritev2, fd, (long)vectors, count, offset, 0, flags);
}

static long raw_lseek(int variant, int fd, off_t offset, int whence)
{
    (void)variant;
    return raw_call(SYS_lseek, fd, offset, whence, 0, 0, 0);
}

static long raw_ftruncate(int variant, int fd, off_t length)
{
    (void)variant;
    return raw_call(SYS_ftruncate, fd, length, 0, 0, 0, 0);
}

static long raw_truncate(int variant, const char *path, off_t length)
{
    (void)variant;
    return raw_call(SYS_truncate, (long)path, length, 0, 0, 0, 0);
}

static long raw_fallocate(int variant, int fd, int mode, off_t offset, off_t length)
{
    (void)variant;
    return raw_call(SYS_fallocate, fd, mode, offset, length, 0, 0);
}

static long raw_copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t count)
{
    return raw_call(SYS_copy_file_range, in, (long)in_offset, out, (long)out_offset, (long)count, 0);
}

static long raw_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t count)
{
    return raw_call(SYS_splice, in, (long)in_offset, out, (long)out_offset, (long)count, 0);
}

static long raw_sendfile(int variant, int out, int in, off_t *offset, size_t count)
{
    (void)variant;
    return raw_call(SYS_sendfile, out, in, (long)offset, (long)count, 0, 0);
}

static long raw_fsync(int fd)
{
    return raw_call(SYS_fsync, fd, 0, 0, 0, 0, 0);
}

static long raw_fdatasync(int fd)
{
    return raw_call(SYS_fdatasync, fd, 0, 0, 0, 0, 0);
}

static long raw_sync_file_range(int fd, off_t offset, off_t length, unsigned flags)
{
    return raw_call(SYS_sync_file_range, fd, offset, length, flags, 0, 0);
}

static long raw_open(int variant, int directory, const char *path, int flags, mode_t mode)
{
    (void)variant;
    return raw_call(SYS_openat, directory, (long)path, flags, mode, 0, 0);
}

static long raw_close(int variant, int fd)
{
    (void)variant;
    return raw_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static long raw_dup(int fd)
{
    return raw_call(SYS_dup, fd, 0, 0, 0, 0, 0);
}

static long raw_dup2(int fd, int target)
{
    return raw_call(SYS_dup2, fd, target, 0, 0, 0, 0);
}

static long raw_dup3(int fd, int target, int flags)
{
    return raw_call(SYS_dup3, fd, target, flags, 0, 0, 0);
}

static long raw_fcntl(int variant, int fd, int command, long argument)
{
    (void)variant;
    return raw_call(SYS_fcntl, fd, command, argument, 0, 0, 0);
}

static long raw_pipe2(int *ends, int flags)
{
    return raw_call(SYS_pipe2, (long)ends, flags, 0, 0, 0, 0);
}

static long raw_memfd_create(const char *name, unsigned flags)
{
    return raw_call(SYS_memfd_create, (long)name, flags, 0, 0, 0, 0);
}

static void *raw_mmap(int variant, size_t length, int protection, int flags, int fd, off_t offset)
{
    (void)variant;
    return (void *)raw_call(SYS_mmap, 0, (long)length, protection, flags, fd, offset);
}

static long raw_munmap(void *address, size_t length)
{
    return raw_call(SYS_munmap, (long)address, (long)length, 0, 0, 0, 0);
}

static long raw_msync(void *address, size_t length, int flags)
{
    return raw_call(SYS_msync, (long)address, (long)length, flags, 0, 0, 0);
}

const struct calls raw_calls = {
    .read = raw_read, .write = raw_write, .pread = raw_pread, .pwrite = raw_pwrite,
    .readv = raw_readv, .writev = raw_writev, .preadv = raw_preadv, .pwritev = raw_pwritev,
    .preadv2 = raw_preadv2, .pwritev2 = raw_pwritev2, .lseek = raw_lseek,
    .ftruncate = raw_ftruncate, .truncate = raw_truncate, .fallocate = raw_fallocate,
    .copy_file_range = raw_copy_file_range, .sendfile = raw_sendfile, .splice = raw_splice,
    .fsync = raw_fsync, .fdatasync = raw_fdatasync, .sync_file_range = raw_sync_file_range,
    .open = raw_open, .close = raw_close, .dup = raw_dup, .dup2 = raw_dup2, .dup3 = raw_dup3,
    .fcntl = raw_fcntl, .pipe2 = raw_pipe2, .memfd_create = raw_memfd_create,
    .mmap = raw_mmap, .munmap = raw_munmap, .msync = raw_msync, .aio = plain_aio, .by_handle = &raw_calls,
};
