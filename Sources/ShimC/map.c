// The application's own mappings: the kernel's, since on these backings its pages are the file's pages already.
#include "face.h"

#include <sys/mman.h>

PS_ENTRY void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (fd >= 0 && !(flags & MAP_ANONYMOUS))
        ps_engine_count(fd, PS_FAMILY_MMAP);
    return NEXT(mmap)(address, length, protection, flags, fd, offset); // missing: -1, which is MAP_FAILED
}
PS_ALIAS(mmap64, mmap);
