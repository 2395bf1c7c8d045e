#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_soft_memory.h"

#include "ps_hot.h"
#include "ps_sys.h"

#include <sys/mman.h>
#include <sys/syscall.h>

static uintptr_t range_begin;
static size_t range_length;

void ps_soft_memory_set(uintptr_t begin, size_t length)
{
    // In this order, so that a handler in another thread never pairs a length with another range's beginning.
    __atomic_store_n(&range_length, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&range_begin, begin, __ATOMIC_SEQ_CST);
    __atomic_store_n(&range_length, length, __ATOMIC_SEQ_CST);
}

// The piece of a region of page arrays that the address lies in, or 0. It is the arena that knows the regions, since in
// a forked child their addresses may be anybody's, and the arena is empty there.
static uintptr_t piece_of_region(uintptr_t address)
{
    const char *root = ps_root();
    const uintptr_t *regions = (const uintptr_t *)(const void *)(root + PS_ROOT_REGION);
    for (int i = 0; root && i < PS_ROOT_REGIONS; i++) {
        const uintptr_t region = __atomic_load_n(&regions[i], __ATOMIC_RELAXED), distance = address - region;
        if (region && distance < PS_ROOT_REGION_SIZE)
            return region + (distance & ~(PS_ROOT_REGION_PIECE - 1));
    }
    return 0;
}

bool ps_soft_memory_heals(int number, const siginfo_t *details)
{
    if (number != SIGBUS || details->si_code <= 0 || details->si_code == BUS_MCEERR_AO)
        return false;
    size_t length = __atomic_load_n(&range_length, __ATOMIC_SEQ_CST);
    uintptr_t begin = __atomic_load_n(&range_begin, __ATOMIC_SEQ_CST);
    if ((uintptr_t)details->si_addr - begin >= length) {
        begin = piece_of_region((uintptr_t)details->si_addr);
        length = PS_ROOT_REGION_PIECE;
        if (begin == 0)
            return false;
    }
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    long address = ps_sys_call6(SYS_mmap, (long)begin, (long)length, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (address == (long)begin)
        return true;
    // Under mlockall with little left of RLIMIT_MEMLOCK there may be room for one page, which is enough to go on.
    const uintptr_t page = (uintptr_t)details->si_addr & ~4095ul;
    return ps_sys_call6(SYS_mmap, (long)page, 4096, PROT_READ | PROT_WRITE, flags, -1, 0) == (long)page;
}
