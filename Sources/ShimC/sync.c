// Durability. The engine knows by backing whether anything is left to be done; libc's call does it where so.
#include "face.h"

#include "mappings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

PS_ENTRY int fsync(int fd)
{
    ps_cancellation_point();
    int64_t served = ps_engine_sync(fd, PS_FAMILY_FSYNC);
    if (served != PS_PASS_ON)
        return (int)ps_result(served);
    return NEXT(fsync)(fd);
}

PS_ENTRY int fdatasync(int fd)
{
    ps_cancellation_point();
    int64_t served = ps_engine_sync(fd, PS_FAMILY_FDATASYNC);
    if (served != PS_PASS_ON)
        return (int)ps_result(served);
    return NEXT(fdatasync)(fd);
}

PS_ENTRY int sync_file_range(int fd, off64_t offset, off64_t count, unsigned flags)
{
    ps_cancellation_point();
    const unsigned known = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    // Odd arguments are errors, which the kernel tells: it checks them before it looks at the file.
    bool odd = (flags & ~known) != 0 || offset < 0 || count < 0 || offset > INT64_MAX - count;
    int64_t served = odd ? PS_PASS_ON : ps_engine_sync(fd, PS_FAMILY_SYNC_FILE_RANGE);
    if (served != PS_PASS_ON)
        return (int)ps_result(served);
    return NEXT(sync_file_range)(fd, offset, count, flags);
}

// The application's own mapping: which file it is of, only the kernel knows, but where mmap has noted it.
PS_ENTRY int msync(void *address, size_t length, int flags)
{
    if (flags == MS_SYNC && __atomic_load_n(&ps_mappings_noted, __ATOMIC_RELAXED) != 0) {
        ps_cancellation_point();
        if (ps_mapping_flushed(address, length))
            return 0;
    }
    return NEXT(msync)(address, length, flags);
}
