// Data calls, syncs and mappings for callers of syscall(2).
#include "numbers.h"

#include "mappings.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// ---- reads and writes. Offsets of the vector forms come in two halves, of which x86-64 uses the first. ---------

static inline long data(enum ps_family family, int64_t served, long number, long a, long b, long c, long d, long e,
                        long f)
{
    if (served != PS_PASS_ON)
        return ps_result(served);
    return ps_passed_on((int)a, family, PASS_ON);
}
#define DATA(family, served) data(family, served, number, a, b, c, d, e, f)

PS_CALL(read) { return DATA(PS_FAMILY_READ, ps_engine_read((int)a, (void *)b, (size_t)c)); }

PS_CALL(pread) { return DATA(PS_FAMILY_PREAD, ps_engine_general_pread((int)a, (void *)b, (size_t)c, d)); }

PS_CALL(readv)
{
    return DATA(PS_FAMILY_READV, ps_engine_readv((int)a, (const struct iovec *)b, (int)c, -1, 0, false));
}

PS_CALL(preadv)
{
    const struct iovec *vector = (const void *)b;
    return DATA(PS_FAMILY_PREADV, d < 0 ? ps_pass_on() : ps_engine_readv((int)a, vector, (int)c, d, 0, true));
}

PS_CALL(preadv2)
{
    const enum ps_family family = d == -1 ? PS_FAMILY_READV : PS_FAMILY_PREADV;
    return DATA(family, ps_engine_readv((int)a, (const struct iovec *)b, (int)c, d, (int)e, d != -1));
}

PS_CALL(write)
{
    const int64_t served = ps_engine_write((int)a, (const void *)b, (size_t)c);
    if (served != PS_PASS_ON_SETTLED)
        return DATA(PS_FAMILY_WRITE, served);
    return PASS_ON_AND(if (result != c) ps_engine_fell_short((int)a, (size_t)c, result < 0 ? -errno : result));
}

PS_CALL(pwrite) { return DATA(PS_FAMILY_PWRITE, ps_engine_pwrite((int)a, (const void *)b, (size_t)c, d)); }

PS_CALL(writev)
{
    return DATA(PS_FAMILY_WRITEV, ps_engine_writev((int)a, (const struct iovec *)b, (int)c, -1, 0, false));
}

PS_CALL(pwritev)
{
    const struct iovec *vector = (const void *)b;
    return DATA(PS_FAMILY_PWRITEV, d < 0 ? ps_pass_on() : ps_engine_writev((int)a, vector, (int)c, d, 0, true));
}

PS_CALL(pwritev2)
{
    const enum ps_family family = d == -1 ? PS_FAMILY_WRITEV : PS_FAMILY_PWRITEV;
    return DATA(family, ps_engine_writev((int)a, (const struct iovec *)b, (int)c, d, (int)e, d != -1));
}

// ---- durability, and the application's own mappings ------------------------------------------------------------

PS_CALL(fsync)
{
    const int64_t served = ps_engine_sync((int)a, PS_FAMILY_FSYNC);
    return served != PS_PASS_ON ? ps_result(served) : PASS_ON;
}

PS_CALL(fdatasync)
{
    const int64_t served = ps_engine_sync((int)a, PS_FAMILY_FDATASYNC);
    return served != PS_PASS_ON ? ps_result(served) : PASS_ON;
}

PS_CALL(mmap)
{
    ps_mapping_forget((const void *)a, (size_t)b);
    return PASS_ON_AND(if ((int)e >= 0 && !(d & MAP_ANONYMOUS)) ps_engine_count((int)e, PS_FAMILY_MMAP));
}

PS_CALL(munmap)
{
    ps_mapping_forget((const void *)a, (size_t)b);
    return PASS_ON;
}
