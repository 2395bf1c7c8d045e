// Reads. EFAULT, EBADF, EISDIR, EINVAL and the limit of a count come from the kernel, by passing on.
#include "face.h"

#include <sys/uio.h>
#include <unistd.h>

extern ssize_t __read_chk(int fd, void *buffer, size_t count, size_t capacity);
extern ssize_t __pread_chk(int fd, void *buffer, size_t count, off_t offset, size_t capacity);
extern ssize_t __pread64_chk(int fd, void *buffer, size_t count, off_t offset, size_t capacity);

PS_ENTRY ssize_t read(int fd, void *buffer, size_t count)
{
    ps_cancellation_point();
    int64_t served = ps_engine_read(fd, buffer, count);
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on(fd, PS_FAMILY_READ, NEXT(read)(fd, buffer, count));
}
PS_ALIAS(__read, read);

PS_ENTRY ssize_t __read_chk(int fd, void *buffer, size_t count, size_t capacity)
{
    if (count > capacity)
        return NEXT(__read_chk)(fd, buffer, count, capacity); // aborts
    return read(fd, buffer, count);
}

int64_t ps_face_end_pread(int fd, void *buffer, size_t count, int64_t offset, int64_t served)
{
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on(fd, PS_FAMILY_PREAD, NEXT(pread)(fd, buffer, count, offset));
}

// A call, no jump: that a served call goes on is known by the address it returns to, which must be one of ours
// (ps_frame_may_live). The fast way is closed once a thread has been cancelled (wait.c).
__attribute__((disable_tail_calls)) PS_ENTRY ssize_t pread(int fd, void *buffer, size_t count, off_t offset)
{
    return ps_engine_fast_pread(fd, buffer, count, offset);
}
PS_ALIAS(pread64, pread);
PS_ALIAS(__pread64, pread);

PS_ENTRY ssize_t __pread_chk(int fd, void *buffer, size_t count, off_t offset, size_t capacity)
{
    if (count > capacity)
        return NEXT(__pread_chk)(fd, buffer, count, offset, capacity); // aborts
    return pread(fd, buffer, count, offset);
}

PS_ENTRY ssize_t __pread64_chk(int fd, void *buffer, size_t count, off_t offset, size_t capacity)
{
    if (count > capacity)
        return NEXT(__pread64_chk)(fd, buffer, count, offset, capacity); // aborts
    return pread(fd, buffer, count, offset);
}

PS_ENTRY ssize_t readv(int fd, const struct iovec *vector, int count)
{
    ps_cancellation_point();
    int64_t served = ps_engine_readv(fd, vector, count, -1, 0, false);
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on(fd, PS_FAMILY_READV, NEXT(readv)(fd, vector, count));
}

PS_ENTRY ssize_t preadv(int fd, const struct iovec *vector, int count, off_t offset)
{
    ps_cancellation_point();
    // A negative offset is an error here, unlike in preadv2: the engine must not take -1 for the current one.
    int64_t served = offset < 0 ? ps_pass_on() : ps_engine_readv(fd, vector, count, offset, 0, true);
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on(fd, PS_FAMILY_PREADV, NEXT(preadv)(fd, vector, count, offset));
}
PS_ALIAS(preadv64, preadv);

PS_ENTRY ssize_t preadv2(int fd, const struct iovec *vector, int count, off_t offset, int flags)
{
    ps_cancellation_point();
    int64_t served = ps_engine_readv(fd, vector, count, offset, flags, offset != -1);
    if (served != PS_PASS_ON)
        return ps_result(served);
    enum ps_family family = offset == -1 ? PS_FAMILY_READV : PS_FAMILY_PREADV;
    return ps_passed_on(fd, family, NEXT(preadv2)(fd, vector, count, offset, flags));
}
PS_ALIAS(preadv64v2, preadv2);
