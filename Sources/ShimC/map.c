// The application's own mappings: the kernel's, since on these backings its pages are the file's pages already.
//
// On DAX, MAP_SYNC is added to a shared mapping for writing: what is stored through it is found again after a power
// loss once its cache lines are flushed, which is what msync then does from here. Not where a store would have to
// allocate: under MAP_SYNC each such store commits the file system's journal.
#include "face.h"

#include "mappings.h"

#include <stdarg.h>
#include <sys/mman.h>

static bool may_be_synchronous(int protection, int flags)
{
    const int type = flags & MAP_TYPE;
    return (protection & PROT_WRITE) && (type == MAP_SHARED || type == MAP_SHARED_VALIDATE);
}

// Out of line: only where a file system may be on persistent memory.
static __attribute__((noinline)) void *map_shared(void *address, size_t length, int protection, int flags, int fd,
                                                  off_t offset)
{
    int saved = errno, statistics = 0;
    size_t durable = ps_engine_map_shared(fd, offset, length, &statistics);
    errno = saved;
    if (durable) {
        // What the kernel does not know in the flags it refuses here, and ignores with MAP_SHARED: then as asked.
        const int wanted = (flags & ~MAP_TYPE) | MAP_SHARED_VALIDATE | MAP_SYNC;
        void *result = NEXT(mmap)(address, length, protection, wanted, fd, offset);
        if (result != MAP_FAILED) {
            ps_mapping_note(result, length, durable, statistics);
            return result;
        }
        errno = saved;
    }
    return NEXT(mmap)(address, length, protection, flags, fd, offset);
}

PS_ENTRY void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (flags & MAP_FIXED)
        ps_mapping_forget(address, length);
    if (fd >= 0 && !(flags & MAP_ANONYMOUS)) {
        ps_engine_count(fd, PS_FAMILY_MMAP);
        if (may_be_synchronous(protection, flags) && ps_engine_may_have_dax())
            return map_shared(address, length, protection, flags, fd, offset);
    }
    return NEXT(mmap)(address, length, protection, flags, fd, offset); // missing: -1, which is MAP_FAILED
}
PS_ALIAS(mmap64, mmap);

PS_ENTRY int munmap(void *address, size_t length)
{
    ps_mapping_forget(address, length);
    return NEXT(munmap)(address, length);
}

PS_ENTRY void *mremap(void *address, size_t old_length, size_t new_length, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    void *wanted = va_arg(list, void *); // there with MREMAP_FIXED; passed on as it came
    va_end(list);
    ps_mapping_forget(address, old_length);
    if (flags & MREMAP_FIXED)
        ps_mapping_forget(wanted, new_length);
    return NEXT(mremap)(address, old_length, new_length, flags, wanted);
}
