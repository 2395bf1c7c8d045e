// Changes of size and of holes by this process: the kernel's, and then what we believed of them is learnt again,
// before the call returns, so that this process never finds bytes past an end it has set itself.
#include "face.h"

#include <unistd.h>

static inline int resized(int fd, int result, struct ps_resize resize)
{
    int saved = errno;
    ps_resized(fd, result == 0, resize);
    errno = saved;
    return result;
}

PS_ENTRY int ftruncate(int fd, off_t length)
{
    return resized(fd, NEXT(ftruncate)(fd, length), ps_truncation(length));
}
PS_ALIAS(ftruncate64, ftruncate);

PS_ENTRY int truncate(const char *path, off_t length)
{
    int result = NEXT(truncate)(path, length);
    int saved = errno;
    if (result == 0)
        ps_engine_resized_path(path);
    errno = saved;
    return result;
}
PS_ALIAS(truncate64, truncate);

PS_ENTRY int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return resized(fd, NEXT(fallocate)(fd, mode, offset, length), ps_allocation(mode, offset, length));
}
PS_ALIAS(fallocate64, fallocate);

PS_ENTRY int posix_fallocate(int fd, off_t offset, off_t length)
{
    return resized(fd, NEXT(posix_fallocate)(fd, offset, length), ps_allocation(0, offset, length));
}
PS_ALIAS(posix_fallocate64, posix_fallocate);
