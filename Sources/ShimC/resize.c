// Changes of size and of holes by this process: the kernel's, and then what we believed of them is learnt again,
// before the call returns, so that this process never finds bytes past an end it has set itself.
#include "face.h"

#include <unistd.h>

// Whatever the call answered: a fallocate that fails may have done part of its work.
static inline int resized(int fd, int result, struct ps_range emptied)
{
    int saved = errno;
    ps_engine_count(fd, PS_FAMILY_RESIZE);
    ps_engine_emptied(fd, emptied.from, emptied.to);
    errno = saved;
    return result;
}

PS_ENTRY int ftruncate(int fd, off_t length) 
{
    return resized(fd, NEXT(ftruncate)(fd, length), ps_emptied_by_truncate(length));
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
    return resized(fd, NEXT(fallocate)(fd, mode, offset, length), ps_emptied_by_fallocate(mode, offset, length));
}
PS_ALIAS(fallocate64, fallocate);

PS_ENTRY int posix_fallocate(int fd, off_t offset, off_t length)
{
    return resized(fd, NEXT(posix_fallocate)(fd, offset, length), ps_emptied_by_fallocate(0, offset, length));
}
PS_ALIAS(posix_fallocate64, posix_fallocate);
