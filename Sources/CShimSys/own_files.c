#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_own_files.h"

#include "ps_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

long ps_sys_open_in(int directory, const char *name, int flags, unsigned mode)
{
    return ps_sys_call4(SYS_openat, directory, (long)name, flags, mode);
}

long ps_sys_remove_in(int directory, const char *name) { return ps_sys_call3(SYS_unlinkat, directory, (long)name, 0); }

long ps_sys_own_facts(int fd, struct ps_own_facts *facts)
{
    struct stat s;
    long r = ps_sys_call2(SYS_fstat, fd, (long)&s); // x86-64: libc's struct stat is the kernel's
    if (r < 0)
        return r;
    *facts = (struct ps_own_facts){s.st_dev, s.st_ino, s.st_size, s.st_blocks * 512, s.st_uid, s.st_mode};
    return 0;
}

long ps_sys_allocate(int fd, int64_t offset, int64_t length)
{
    return ps_sys_call4(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE, offset, length);
}

long ps_sys_punch(int fd, int64_t offset, int64_t length)
{
    return ps_sys_call4(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

static long change_lock(int fd, int type, int64_t offset, int64_t length)
{
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = offset, .l_len = length};
    return ps_sys_call3(SYS_fcntl, fd, F_OFD_SETLK, (long)&lock);
}

long ps_sys_try_lock(int fd, int64_t offset, int64_t length) { return change_lock(fd, F_WRLCK, offset, length); }
long ps_sys_unlock(int fd, int64_t offset, int64_t length) { return change_lock(fd, F_UNLCK, offset, length); }

int64_t ps_sys_capacity(int fd)
{
    struct statfs s;
    int64_t bytes;
    if (ps_sys_call2(SYS_fstatfs, fd, (long)&s) < 0 || __builtin_mul_overflow((int64_t)s.f_blocks, s.f_bsize, &bytes))
        return 0;
    return bytes;
}

long ps_sys_only_user(void)
{
    unsigned real, effective, saved;
    long r = ps_sys_call3(SYS_getresuid, (long)&real, (long)&effective, (long)&saved);
    if (r < 0)
        return r;
    return real == effective && effective == saved ? (long)effective : -EPERM;
}
