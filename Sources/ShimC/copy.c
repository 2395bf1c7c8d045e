// Copies inside the kernel. Their bytes are seen through every window at once; the written file may have grown.
#include "face.h"

#include <sys/sendfile.h>
#include <unistd.h>

static inline ssize_t copied(int from, int to, ssize_t result)
{
    int saved = errno;
    ps_engine_count(from, PS_FAMILY_COPY);
    ps_engine_count(to, PS_FAMILY_COPY);
    if (result > 0)
        ps_engine_resized(to);
    errno = saved;
    return result;
}

PS_ENTRY ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length,
                                 unsigned flags)
{
    return copied(from, to, NEXT(copy_file_range)(from, from_offset, to, to_offset, length, flags));
}

PS_ENTRY ssize_t sendfile(int to, int from, off_t *offset, size_t count)
{
    return copied(from, to, NEXT(sendfile)(to, from, offset, count));
}
PS_ALIAS(sendfile64, sendfile);
