// Writes. Only overwrites inside the file are ever served; all else passes on.
#include "face.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// One of many appends in a row has fallen short, or failed with -errno.
static __attribute__((cold, noinline)) ssize_t fell_short(int fd, size_t count, ssize_t result)
{
    ps_engine_fell_short(fd, count, result);
    return ps_result(result);
}

// An append by the next symbol: another preload's, or with more threads than one, or the first of the process.
static __attribute__((cold, noinline)) ssize_t append_by_next(int fd, const void *buffer, size_t count)
{
    static bool asked; // every thread finds the same
    if (!__atomic_load_n(&asked, __ATOMIC_RELAXED)) {
        __atomic_store_n(&asked, true, __ATOMIC_RELAXED);
        if (ps_next_is_libc(PS_NEXT_write))
            ps_set_write_is_bare();
    }
    ssize_t result = NEXT(write)(fd, buffer, count);
    return result == (ssize_t)count ? result : fell_short(fd, count, result < 0 ? -errno : result);
}

PS_ENTRY ssize_t write(int fd, const void *buffer, size_t count)
{
    ps_cancellation_point();
    int64_t served = ps_engine_write(fd, buffer, count);
    if (served == PS_PASS_ON_SETTLED) {
        // Where libc's own write is next, and no second thread exists which could cancel this one, passing on is a bare
        // system call, and done here: each jump more through code that the kernel has put out of the caches can be seen
        // in the price of an append (docs/decisions.md).
        if (__builtin_expect(!(ps_single_threaded() && ps_write_is_bare()), 0))
            return append_by_next(fd, buffer, count);
        ssize_t result = ps_sys_call3(SYS_write, fd, (long)buffer, (long)count);
        return __builtin_expect(result == (ssize_t)count, 1) ? result : fell_short(fd, count, result);
    }
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on(fd, PS_FAMILY_WRITE, NEXT(write)(fd, buffer, count));
}
PS_ALIAS(__write, write);

PS_ENTRY ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset)
{
    ps_cancellation_point();
    int64_t served = ps_engine_pwrite(fd, buffer, count, offset);
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on(fd, PS_FAMILY_PWRITE, NEXT(pwrite)(fd, buffer, count, offset));
}
PS_ALIAS(pwrite64, pwrite);
PS_ALIAS(__pwrite64, pwrite);

PS_ENTRY ssize_t writev(int fd, const struct iovec *vector, int count)
{
    ps_cancellation_point();
    int64_t served = ps_engine_writev(fd, vector, count, -1, 0, false);
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on(fd, PS_FAMILY_WRITEV, NEXT(writev)(fd, vector, count));
}

PS_ENTRY ssize_t pwritev(int fd, const struct iovec *vector, int count, off_t offset)
{
    ps_cancellation_point();
    // A negative offset is an error here, unlike in pwritev2: the engine must not take -1 for the current one.
    int64_t served = offset < 0 ? ps_pass_on() : ps_engine_writev(fd, vector, count, offset, 0, true);
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on(fd, PS_FAMILY_PWRITEV, NEXT(pwritev)(fd, vector, count, offset));
}
PS_ALIAS(pwritev64, pwritev);

PS_ENTRY ssize_t pwritev2(int fd, const struct iovec *vector, int count, off_t offset, int flags)
{
    ps_cancellation_point();
    int64_t served = ps_engine_writev(fd, vector, count, offset, flags, offset != -1);
    if (served != PS_PASS_ON)
        return ps_result(served);
    enum ps_family family = offset == -1 ? PS_FAMILY_WRITEV : PS_FAMILY_PWRITEV;
    return ps_passed_on(fd, family, NEXT(pwritev2)(fd, vector, count, offset, flags));
}
PS_ALIAS(pwritev64v2, pwritev2);
