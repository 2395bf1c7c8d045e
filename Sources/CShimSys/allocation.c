#include "ps_allocation.h"

#include "ps_scratch.h"
#include "ps_sys.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/syscall.h>

// cachestat(2), Linux 6.5. Its cost follows what is there, not what is asked about: a hole of any size takes 0.3 us, a
// page 50 ns (measured); mincore takes 1.3 us and 50 ns for every page, there or not.
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
struct cachestat_range {
    uint64_t offset, length;
};
struct cachestat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

// The kernel has no cachestat, or valgrind, which says so in five lines each time, or a filter: asked once, not with
// every call that wants to know.
static bool has_no_cachestat;

// How many of the pages have memory of the file's (`cached`) or are in swap (`evicted`); otherwise -errno: the kernel
// does not tell.
static long statistics_of_cache(int fd, uint64_t first, uint64_t count, struct cachestat *found)
{
    if (__atomic_load_n(&has_no_cachestat, __ATOMIC_RELAXED))
        return -ENOSYS;
    struct cachestat_range range = {first << 12, count << 12};
    long r = ps_sys_call4(SYS_cachestat, fd, (long)&range, (long)found, 0);
    if (r == -ENOSYS)
        __atomic_store_n(&has_no_cachestat, true, __ATOMIC_RELAXED);
    return r;
}

// mincore(2) says of each page that it is there, to whoever might not know it.
static bool is_told_the_truth(uintptr_t beyond)
{
    unsigned char there;
    return ps_sys_call3(SYS_mincore, (long)beyond, 4096, (long)&there) == 0 && (there & 1) == 0;
}

static uint64_t first_bits(unsigned count) { return count == 64 ? ~0ull : (1ull << count) - 1; }

// Pages that are in memory and hold what has been written, as mincore says; 0 where it does not tell.
static uint64_t written_pages(uintptr_t window, uintptr_t beyond, uint64_t first, unsigned count)
{
    unsigned char there[64];
    if (!is_told_the_truth(beyond)
        || ps_sys_call3(SYS_mincore, (long)(window + (first << 12)), (long)count << 12, (long)there) != 0)
        return 0;
    uint64_t bits = 0;
    for (unsigned page = 0; page < count; page++)
        bits |= (uint64_t)(there[page] & 1) << page;
    return bits;
}

uint64_t ps_sys_memory_pages(int fd, uintptr_t window, uintptr_t beyond, uint64_t first, unsigned count,
                             bool written_only)
{
    if (count == 0 || count > 64)
        return 0;
    struct cachestat found = {0};
    if (statistics_of_cache(fd, first, count, &found) == 0) {
        // On tmpfs what is evicted has gone to swap, and stays the file's.
        if (found.cached + found.evicted == 0)
            return 0;
        if (!written_only && found.cached + found.evicted >= count)
            return first_bits(count);
    }
    return written_pages(window, beyond, first, count);
}

bool ps_sys_all_memory_pages(int fd, uintptr_t window, uintptr_t beyond, uint64_t first, uint64_t count,
                             bool written_only)
{
    struct cachestat found = {0};
    if (statistics_of_cache(fd, first, count, &found) == 0) {
        bool all = found.cached + found.evicted >= count;
        if (!written_only || !all)
            return all;
    }
    while (count > 0) {
        unsigned part = count < 64 ? (unsigned)count : 64;
        if (ps_sys_memory_pages(fd, window, beyond, first, part, written_only) != first_bits(part))
            return false;
        first += part;
        count -= part;
    }
    return true;
}

bool ps_sys_some_memory_unwritten(int fd, uintptr_t window, uintptr_t beyond, uint64_t first, unsigned count)
{
    unsigned char there[64];
    if (count == 0 || count > 64
        || ps_sys_call3(SYS_mincore, (long)(window + (first << 12)), (long)count << 12, (long)there) != 0)
        return false;
    unsigned found = 0;
    while (found < count && (there[found] & 1) != 0)
        found++;
    // Nearly always all are there, and no more is asked.
    struct cachestat cache = {0};
    return found < count && is_told_the_truth(beyond) && statistics_of_cache(fd, first, count, &cache) == 0
           && cache.evicted == 0 && cache.cached >= count;
}

// Some 800 bytes, and so not on the application's stack. Without room for them nothing is known.
#define EXTENTS 16
struct extents {
    _Alignas(struct fiemap) char room[sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)];
    const struct fiemap_extent *list;
    unsigned count;
};

_Static_assert(sizeof(struct extents) <= PS_SCRATCH_SIZE, "");

static long extents(int fd, uint64_t offset, uint64_t length, struct extents *found)
{
    struct fiemap *map = (struct fiemap *)found->room;
    *map = (struct fiemap){.fm_start = offset, .fm_length = length, .fm_extent_count = EXTENTS};
    long r = ps_sys_call3(SYS_ioctl, fd, (long)FS_IOC_FIEMAP, (long)map);
    found->list = map->fm_extents;
    found->count = r < 0 ? 0 : map->fm_mapped_extents < EXTENTS ? map->fm_mapped_extents : EXTENTS;
    return r;
}

// The blocks are not, or not yet, the bytes of the file.
#define NOT_DIRECT                                                                                                     \
    (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_ENCRYPTED             \
     | FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL)
#define NOT_WRITTEN (NOT_DIRECT | FIEMAP_EXTENT_UNWRITTEN)

static bool is_direct(const struct fiemap_extent *extent) { return (extent->fe_flags & NOT_DIRECT) == 0; }
static bool is_written(const struct fiemap_extent *extent) { return (extent->fe_flags & NOT_WRITTEN) == 0; }

long ps_sys_extent(int fd, uint64_t offset, uint64_t length, struct ps_extent *extent)
{
    *extent = (struct ps_extent){0};
    struct extents *found = ps_scratch_take();
    if (found == NULL)
        return 0;
    long r = extents(fd, offset, length, found);
    const struct fiemap_extent *first = &found->list[0];
    if (found->count > 0 && is_direct(first) && first->fe_logical <= offset
        && offset - first->fe_logical < first->fe_length)
        *extent = (struct ps_extent){first->fe_logical, first->fe_physical, first->fe_length, is_written(first), 0};
    ps_scratch_give(found);
    return r < 0 ? r : 0;
}

// How far extents without any of the flags `barred` reach without a gap from `offset` on: to `end` at most, and no
// further than the kernel tells in `rounds` answers.
static uint64_t reaches_in(struct extents *found, int fd, uint64_t offset, uint64_t end, uint32_t barred,
                           uint64_t rounds)
{
    for (; offset < end && rounds > 0; rounds--) {
        if (extents(fd, offset, end - offset, found) < 0 || found->count == 0)
            return offset;
        for (unsigned i = 0; i < found->count && offset < end; i++) {
            const struct fiemap_extent *extent = &found->list[i];
            if ((extent->fe_flags & barred) || extent->fe_logical > offset || extent->fe_length == 0
                || offset - extent->fe_logical >= extent->fe_length)
                return offset;
            offset = extent->fe_logical + extent->fe_length;
        }
    }
    return offset < end ? offset : end;
}

static uint64_t reaches(int fd, uint64_t offset, uint64_t end, uint32_t barred, uint64_t rounds)
{
    struct extents *found = ps_scratch_take();
    if (found == NULL)
        return offset;
    offset = reaches_in(found, fd, offset, end, barred, rounds);
    ps_scratch_give(found);
    return offset;
}

static bool lies_in_groups(struct extents *found, int fd, uint64_t size)
{
    const uint64_t group = 2u << 20;
    uint64_t offset = 0, grouped = 0;
    for (int rounds = 0; rounds < 4 && offset < size; rounds++) {
        if (extents(fd, offset, size - offset, found) < 0 || found->count == 0)
            break;
        for (unsigned i = 0; i < found->count; i++) {
            const struct fiemap_extent *extent = &found->list[i];
            const uint64_t first = (extent->fe_logical + group - 1) & ~(group - 1);
            const uint64_t end = (extent->fe_logical + extent->fe_length) & ~(group - 1);
            if (((extent->fe_physical - extent->fe_logical) & (group - 1)) == 0 && first < end)
                grouped += end - first;
            offset = extent->fe_logical + extent->fe_length;
        }
    }
    return grouped > 0 && grouped >= (offset < size ? offset : size) / 2;
}

bool ps_sys_lies_in_groups(int fd, uint64_t size)
{
    struct extents *found = ps_scratch_take();
    bool lies = found && lies_in_groups(found, fd, size);
    if (found)
        ps_scratch_give(found);
    return lies;
}

bool ps_sys_is_written(int fd, int64_t start, int64_t length)
{
    // Shared space among them: a store would have to be given a copy first.
    const uint32_t barred = ~(uint32_t)(FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED);
    uint64_t end = (uint64_t)start + (uint64_t)length;
    return reaches(fd, (uint64_t)start, end, barred, 16) == end;
}

bool ps_sys_all_extent_pages(int fd, uint64_t first, uint64_t count)
{
    const uint64_t end = (first + count) << 12;
    return reaches(fd, first << 12, end, NOT_WRITTEN, count) == end;
}

static uint64_t extent_pages(struct extents *found, int fd, uint64_t first, unsigned count)
{
    if (count == 0 || count > 64 || extents(fd, first << 12, (uint64_t)count << 12, found) < 0)
        return 0;
    uint64_t bits = 0, border = 0, known = 0;
    for (unsigned i = 0; i < found->count; i++) {
        const struct fiemap_extent *extent = &found->list[i];
        if (!is_written(extent))
            continue;
        // Extents may join within a page: it counts if the two fill it.
        uint64_t from = extent->fe_logical, to = extent->fe_logical + extent->fe_length;
        if (known && from == border)
            from = known - 1;
        else
            known = from + 1;
        border = to;
        uint64_t page = (from + 4095) >> 12, end = to >> 12;
        if (page < first)
            page = first;
        for (; page < end && page < first + count; page++)
            bits |= 1ull << (page - first);
    }
    return bits;
}

uint64_t ps_sys_extent_pages(int fd, uint64_t first, unsigned count)
{
    struct extents *found = ps_scratch_take();
    uint64_t bits = found ? extent_pages(found, fd, first, count) : 0;
    if (found)
        ps_scratch_give(found);
    return bits;
}
