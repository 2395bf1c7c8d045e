// A libpmem that records, and a witness of what the program is told is durable. One library, preloaded in front of the
// shim under libpmem's own name (libpmem.so.1), so that the shim's dlopen finds it loaded:
//
// - pmem_flush and pmem_drain do what is due, and note which bytes have been flushed, and then fenced, in the call of
//   the program that is going on; the shim says what its own copies have stored past the caches;
// - pwrite and its kin, around the shim's: a write that the shim says it has served (its own figures) must have flushed
//   and fenced every byte before it returned;
// - fsync and fdatasync: one that the shim has served must find no byte that the kernel wrote for this process since
//   the last kernel sync and that was not flushed and fenced. What it wrote by a description with O_DSYNC it synced.
//
// With FLUSH_RECORDER_LIES=1 the last byte of every flush and copy is not noted: the witness must find that.
// At the end, and at the first failure, a line on stderr. Exit status 99 after a failure.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ps_stats.h"

// Not interposed: what a recorder does must not be recorded, nor served.
static long raw(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

static __attribute__((noreturn)) void fail(const char *what, long long a, long long b)
{
    char line[200];
    int n = snprintf(line, sizeof line, "flush-recorder: %s: %lld, %lld\n", what, a, b);
    raw(SYS_write, 2, (long)line, n, 0);
    raw(SYS_exit_group, 99, 0, 0, 0);
    __builtin_unreachable();
}

// ---- what is flushed and fenced in the call that goes on ---------------------------------------------------------

struct range {
    uintptr_t start, end;
    int fenced;
};
#define RANGES 4096
static __thread struct range ranges[RANGES];
static __thread int count;
static unsigned long long copies, flushes, drains;
static unsigned long long served_bytes, served_writes, kernel_writes, served_syncs, kernel_syncs;
static int lies;

static void note(const void *address, size_t length)
{
    if (length == 0)
        return;
    if (count == RANGES)
        fail("too many ranges in one call", count, 0);
    ranges[count++] = (struct range){(uintptr_t)address, (uintptr_t)address + length - (lies ? 1 : 0), 0};
}

// The shim's own copies call it, where libpmem has it: they have stored whole lines past the caches, and not yet
// fenced.
void flush_recorder_stored(const void *address, size_t length)
{
    copies++;
    if (((uintptr_t)address | length) & 63)
        fail("stored past the caches, but not whole lines", (long long)(uintptr_t)address, (long long)length);
    note(address, length);
}
void pmem_flush(const void *address, size_t length)
{
    // The lines it lies in: that is what a flush is of.
    uintptr_t start = (uintptr_t)address & ~63ul, end = ((uintptr_t)address + length + 63) & ~63ul;
    (void)*(volatile const char *)address;
    flushes++;
    if (length)
        note((const void *)start, end - start);
}
void pmem_drain(void)
{
    __asm__ volatile("sfence" ::: "memory");
    drains++;
    for (int i = 0; i < count; i++)
        ranges[i].fenced = 1;
}
int pmem_has_auto_flush(void) { return 0; }

// ---- the shim's own figures ----------------------------------------------------------------------------------------

static const struct ps_stats_file *figures;
static const struct ps_stats_record *mine;

static const struct ps_stats_record *record(void)
{
    int self = (int)raw(SYS_getpid, 0, 0, 0, 0);
    if (mine && mine->pid == self && !mine->superseded)
        return mine;
    if (!figures) {
        char name[4200];
        const char *directory = getenv("PMEMSHIM_RUNTIME_DIR");
        snprintf(name, sizeof name, "%s/stats", directory ? directory : "/dev/shm/pmemshim-0");
        long fd = raw(SYS_openat, AT_FDCWD, (long)name, O_RDONLY | O_CLOEXEC, 0);
        if (fd < 0)
            return NULL;
        void *map = mmap(NULL, sizeof(struct ps_stats_file), PROT_READ, MAP_SHARED, (int)fd, 0);
        raw(SYS_close, fd, 0, 0, 0);
        if (map == MAP_FAILED)
            return NULL;
        figures = map;
    }
    for (int i = 0; i < PS_STATS_RECORDS; i++) {
        const struct ps_stats_record *r = &figures->records[i];
        if ((r->state & 3) == PS_STATS_LIVE && r->pid == self && !r->superseded)
            mine = r;
    }
    return mine && mine->pid == self ? mine : NULL;
}

static uint64_t bytes_served(void)
{
    const struct ps_stats_record *r = record();
    uint64_t sum = 0;
    for (int s = 0; r && s < PS_STATS_SHARDS; s++)
        for (int m = 0; m < PS_STATS_MOUNTS; m++)
            sum += r->shards[s].mounts[m].served_bytes_written;
    return sum;
}
static uint64_t syncs_served(void)
{
    const struct ps_stats_record *r = record();
    uint64_t sum = 0;
    for (int s = 0; r && s < PS_STATS_SHARDS; s++)
        for (int m = 0; m < PS_STATS_MOUNTS; m++)
            for (int f = PS_FAMILY_FSYNC; f <= PS_FAMILY_FDATASYNC; f++)
                sum += r->shards[s].mounts[m].calls[f][PS_OUTCOME_SERVED];
    return sum;
}

// ---- the witness -----------------------------------------------------------------------------------------------

// Written by the kernel for this process, and not flushed since: one range of bytes per inode is enough to fail on.
static struct owed {
    dev_t device;
    ino_t inode;
    long long start, end;
} owed[1024];
static int owing;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER; // the figures of one call must not be those of another's

static int next_int(const char *name, int fd)
{
    int (*function)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return function(fd);
}

// Where the window lies that the ranges are in, as the distance of its addresses from offsets in the file.
static int window_of(const struct stat *st, uintptr_t address, uintptr_t *base)
{
    char line[5000];
    FILE *maps = fopen("/proc/self/maps", "re");
    int found = 0;
    while (maps && !found && fgets(line, sizeof line, maps)) {
        unsigned long start, end, offset, inode;
        char mode[8];
        if (sscanf(line, "%lx-%lx %7s %lx %*s %lu", &start, &end, mode, &offset, &inode) != 5)
            continue;
        if (address >= start && address < end && inode == st->st_ino && mode[3] == 's') {
            *base = start - offset;
            found = 1;
        }
    }
    if (maps)
        fclose(maps);
    return found;
}

// Whether all of [offset, offset + length) is in a fenced range.
static int covered(const struct stat *st, long long offset, long long length, long long *missing)
{
    // Looked up once per window: the table of mappings takes long to read.
    static uintptr_t base;
    static struct stat of;
    if (count == 0
        || ((of.st_ino != st->st_ino || of.st_dev != st->st_dev || ranges[0].start < base + (uintptr_t)offset - 64
             || ranges[0].start > base + (uintptr_t)(offset + length))
            && !window_of(st, ranges[0].start, &base))) {
        *missing = offset;
        return 0;
    }
    of = *st;
    uintptr_t at = base + (uintptr_t)offset, end = at + (uintptr_t)length;
    while (at < end) {
        uintptr_t reached = at;
        for (int i = 0; i < count; i++)
            if (ranges[i].fenced && ranges[i].start <= reached && ranges[i].end > reached)
                reached = ranges[i].end;
        if (reached == at) {
            *missing = (long long)(at - base);
            return 0;
        }
        at = reached;
    }
    return 1;
}

static void wrote(int fd, long long offset, long long result, uint64_t served_before)
{
    struct stat st;
    long long missing = 0;
    if (result <= 0 || raw(SYS_fstat, fd, (long)&st, 0, 0) != 0 || !S_ISREG(st.st_mode))
        return;
    uint64_t served = bytes_served() - served_before;
    if (served != 0) {
        if (served != (uint64_t)result)
            fail("the shim has served another number of bytes than it returned", (long long)served, result);
        served_writes++;
        served_bytes += served;
        if (!covered(&st, offset, result, &missing))
            fail("a served write returned with a byte that was not flushed and fenced; at, of a write at", missing,
                 offset);
        return;
    }
    kernel_writes++;
    if (count && covered(&st, offset, result, &missing))
        return;
    // The kernel has synced it itself before it returned.
    if ((raw(SYS_fcntl, fd, F_GETFL, 0, 0) & O_DSYNC) != 0)
        return;
    for (int i = 0; i < owing; i++)
        if (owed[i].inode == st.st_ino && owed[i].device == st.st_dev)
            return;
    if (owing < 1024)
        owed[owing++] = (struct owed){st.st_dev, st.st_ino, offset, offset + result};
}

static void synced(int fd, int result, uint64_t served_before)
{
    struct stat st;
    if (result != 0 || raw(SYS_fstat, fd, (long)&st, 0, 0) != 0)
        return;
    int served = syncs_served() != served_before;
    if (served)
        served_syncs++;
    else
        kernel_syncs++;
    for (int i = 0; i < owing; i++) {
        if (owed[i].inode != st.st_ino || owed[i].device != st.st_dev)
            continue;
        if (served)
            fail("a sync was left out with bytes of the kernel's not flushed; from, to", owed[i].start, owed[i].end);
        owed[i--] = owed[--owing];
    }
}

static long long here(int fd) { return raw(SYS_lseek, fd, 0, SEEK_CUR, 0); }
static int appends(int fd) { return (raw(SYS_fcntl, fd, F_GETFL, 0, 0) & O_APPEND) != 0; }
static long long end_of(int fd)
{
    struct stat st;
    return raw(SYS_fstat, fd, (long)&st, 0, 0) == 0 ? st.st_size : 0;
}

#define WITNESS(fd, offset, call)                                                                                      \
    ({                                                                                                                 \
        pthread_mutex_lock(&turn);                                                                                     \
        count = 0;                                                                                                     \
        uint64_t before_ = bytes_served();                                                                             \
        ssize_t result_ = (call);                                                                                      \
        int saved_ = errno;                                                                                            \
        long long offset_ = appends(fd) ? end_of(fd) - result_ : (long long)(offset);                                  \
        wrote(fd, offset_, result_, before_);                                                                          \
        pthread_mutex_unlock(&turn);                                                                                   \
        errno = saved_;                                                                                                \
        result_;                                                                                                       \
    })
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *buffer, size_t length, off_t offset)
{
    return WITNESS(fd, offset, NEXT(pwrite)(fd, buffer, length, offset));
}
ssize_t pwrite64(int fd, const void *buffer, size_t length, off_t offset) __attribute__((alias("pwrite")));
ssize_t write(int fd, const void *buffer, size_t length)
{
    return WITNESS(fd, here(fd) - result_, NEXT(write)(fd, buffer, length));
}
ssize_t pwritev(int fd, const struct iovec *vector, int parts, off_t offset)
{
    return WITNESS(fd, offset, NEXT(pwritev)(fd, vector, parts, offset));
}
ssize_t pwritev64(int fd, const struct iovec *vector, int parts, off_t offset) __attribute__((alias("pwritev")));
ssize_t writev(int fd, const struct iovec *vector, int parts)
{
    return WITNESS(fd, here(fd) - result_, NEXT(writev)(fd, vector, parts));
}

#define WITNESS_SYNC(fd, name)                                                                                         \
    ({                                                                                                                 \
        pthread_mutex_lock(&turn);                                                                                     \
        uint64_t before_ = syncs_served();                                                                             \
        int result_ = next_int(name, fd), saved_ = errno;                                                              \
        synced(fd, result_, before_);                                                                                  \
        pthread_mutex_unlock(&turn);                                                                                   \
        errno = saved_;                                                                                                \
        result_;                                                                                                       \
    })
int fsync(int fd) { return WITNESS_SYNC(fd, "fsync"); }
int fdatasync(int fd) { return WITNESS_SYNC(fd, "fdatasync"); }

__attribute__((constructor)) static void begin(void) { lies = getenv("FLUSH_RECORDER_LIES") != NULL; }

__attribute__((destructor)) static void end(void)
{
    const char *file = getenv("FLUSH_RECORDER_REPORT");
    long fd = file ? raw(SYS_openat, AT_FDCWD, (long)file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : 2;
    char line[300];
    int n = snprintf(line, sizeof line,
                     "flush-recorder: %llu copies, %llu flushes, %llu drains; writes: %llu served (%llu bytes), "
                     "%llu by the kernel; syncs: %llu served, %llu by the kernel\n",
                     copies, flushes, drains, served_writes, served_bytes, kernel_writes, served_syncs, kernel_syncs);
    raw(SYS_write, fd, (long)line, n, 0);
}
