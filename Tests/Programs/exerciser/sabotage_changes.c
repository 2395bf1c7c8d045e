// Defects that show when something changes that was learnt once: pages that become huge, files that are sealed, writes
// that become synchronous; and a copy inside the kernel that others may come between.
#include "exerciser.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HUGE_PAGE (2ul << 20)

static bool faults_are_caught(void)
{
    sigset_t set;
    return sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGBUS) == 0 && sigismember(&set, SIGSEGV) == 0;
}

struct copying {
    unsigned char *to;
    const unsigned char *from, *first; // looked at before: the page that a huge one may begin with
    size_t length;
};

static void copy(void *argument)
{
    struct copying *copying = argument;
    (void)*(volatile const unsigned char *)copying->first;
    (void)*(volatile const unsigned char *)copying->from;
    memcpy(copying->to, copying->from, copying->length);
}

// ---- huge

// Past the page of the end a mapping faults where there is no file: no longer so when a huge page holds the end.
static long beyond_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    struct stat status;
    long got = real->pread(variant, fd, buffer, count, offset);
    off_t base = offset & ~(off_t)(HUGE_PAGE - 1);
    // Where holes are compared they must not be filled so.
    if (got != 0 || count == 0 || offset < 0 || running->served->holes || context.maps_refused ||
        context.memory_limited || !faults_are_caught() || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        base >= status.st_size || offset - status.st_size < PAGE)
        return got;
    unsigned char *room = mmap(NULL, 2 * HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) return got;
    unsigned char *address = (unsigned char *)(((uintptr_t)room + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
    size_t within = (size_t)(offset - base);
    size_t length = count < HUGE_PAGE - within ? count : HUGE_PAGE - within;
    struct copying copying = {buffer, address + within, address, length};
    void *mapped = mmap(address, HUGE_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, base);
    if (mapped != MAP_FAILED && guarded(copy, &copying) == 0)
        got = (long)copying.length;
    munmap(room, 2 * HUGE_PAGE);
    return got;
}

// ---- seals

static struct {
    ino_t inode;
    unsigned char *address;
    size_t length;
} kept;

// A mapping for writes of the file in memory that was written to last.
static long kept_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    struct stat status;
    long put = real->pwrite(variant, fd, buffer, count, offset);
    int error = errno;
    long seals = raw_calls.fcntl(0, fd, F_GET_SEALS, 0);
    bool sealable = seals >= 0 && (seals & F_SEAL_SEAL) == 0 && fstat(fd, &status) == 0;
    if (sealable && seals == 0 && put > 0 && status.st_ino != kept.inode) {
        if (kept.address != NULL) raw_calls.munmap(kept.address, kept.length);
        void *address = raw_calls.mmap(0, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        kept.inode = status.st_ino;
        kept.address = address == MAP_FAILED ? NULL : address;
        kept.length = (size_t)status.st_size;
    }
    bool within = sealable && put < 0 && error == EPERM && kept.address != NULL && status.st_ino == kept.inode &&
                  offset >= 0 && offset + (off_t)count <= (off_t)kept.length && faults_are_caught();
    struct copying copying = {kept.address + (within ? offset : 0), buffer, buffer, count};
    if (within && count > 0 && guarded(copy, &copying) == 0) put = (long)count;
    errno = error;
    return put;
}

// ---- sync

static bool is_synchronous(int fd)
{
    struct statvfs system;
    int flags = 0;
    return (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_SYNC_FL) != 0) ||
           (fstatvfs(fd, &system) == 0 && (system.f_flag & ST_SYNCHRONOUS) != 0);
}

// A synchronous write leaves its last byte behind.
static long synchronous_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    struct stat status;
    unsigned char before;
    bool inside = count > 1 && offset >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                  offset + (off_t)count <= status.st_size && is_synchronous(fd) &&
                  raw_calls.pread(0, fd, &before, 1, offset + (off_t)count - 1) == 1;
    long put = real->pwrite(variant, fd, buffer, count, offset);
    int error = errno;
    if (inside && put == (long)count) raw_calls.pwrite(0, fd, &before, 1, offset + (off_t)count - 1);
    errno = error;
    return put;
}

// ---- copies

// In two halves.
static long halved_copy(int in, off_t *in_offset, int out, off_t *out_offset, size_t count)
{
    struct stat from, to;
    bool plain = in_offset != NULL && out_offset != NULL && count >= 2 && count < 1 << 20 && fstat(in, &from) == 0 &&
                 fstat(out, &to) == 0 && S_ISREG(from.st_mode) && S_ISREG(to.st_mode) && from.st_ino != to.st_ino;
    if (!plain) return real->copy_file_range(in, in_offset, out, out_offset, count);
    long first = real->copy_file_range(in, in_offset, out, out_offset, count / 2);
    if (first != (long)(count / 2)) return first;
    for (int times = 0; times < 20; times++) sched_yield();
    long second = real->copy_file_range(in, in_offset, out, out_offset, count - count / 2);
    return second < 0 ? first : first + second;
}

const struct defect change_defects[] = {
    {"beyond-end", "huge: pread past the end reads what a mapping shows there", {.pread = beyond_pread}},
    {"kept-map", "seals: pwrite keeps a mapping of a file in memory, and writes by it", {.pwrite = kept_pwrite}},
    {"sync-byte", "sync: a synchronous pwrite loses its last byte", {.pwrite = synchronous_pwrite}},
    {"halved-copy", "threads: copy_file_range copies in two halves", {.copy_file_range = halved_copy}},
};

const size_t change_defect_count = sizeof change_defects / sizeof *change_defects;
