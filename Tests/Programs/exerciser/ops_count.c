// One call of more than 0x7ffff000 bytes, of which the kernel moves that many (MAX_RW_COUNT). On a file of its own, of
// a little more than 2 GiB, that is gone after the operation. What the kernel does then is known, and costs too much to
// be done once more for comparison; without a shim it is what is tested. The memory is one of 16 MiB, mapped again and
// again.
//
// Sparse, such a file costs nothing, and all of it is the kernel's. Only one that has its pages can be served, which
// takes more than 2 GiB of memory for a second: where there is that much, and once in a process. All of it costs a
// second or more of the kernel's copying: so twice in a process.
#include "exerciser.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MOST 0x7ffff000ul
#define MEMORY (16ul << 20)
#define FILE_SIZE ((2ul << 30) + (2ul << 20))
#define TAIL (64ul << 10) // around the end of what the kernel moves

enum way { READ, PREAD, READV, PREADV, WRITE, PWRITE, WRITEV, PWRITEV };
#define FULL 0x100 // with all its pages

struct far {
    int file, memory;
    unsigned char *view; // of the memory, many times over
    size_t count;
};

// Of all that is free.
static bool room_for_pages(int fd)
{
    struct statfs system;
    char text[4096] = "";
    int meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t got = meminfo < 0 ? -1 : read(meminfo, text, sizeof text - 1);
    if (meminfo >= 0) close(meminfo);
    const char *line = got <= 0 ? NULL : strstr(text, "MemAvailable:");
    if (line == NULL || strtoull(line + 13, NULL, 10) < 2 * FILE_SIZE >> 10) return false;
    return fstatfs(fd, &system) == 0 && system.f_bavail * (uint64_t)system.f_bsize > FILE_SIZE + (64ul << 20);
}

static bool far_map(struct far *far)
{
    size_t room = (far->count + MEMORY) & ~(MEMORY - 1);
    far->memory = (int)raw_calls.memfd_create("far", 1 /* MFD_CLOEXEC */);
    if (far->memory < 0 || raw_calls.ftruncate(0, far->memory, MEMORY) != 0) return false;
    far->view = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (far->view == MAP_FAILED) return false;
    for (size_t at = 0; at < room; at += MEMORY)
        if (mmap(far->view + at, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, far->memory, 0) == MAP_FAILED)
            return false;
    return true;
}

static long far_call(const struct calls *calls, const struct far *far, enum way way, int variant, off_t offset)
{
    // The kernel adds up a vector's parts, and cuts off what is too much.
    struct iovec parts[3] = {{far->view, far->count / 2}, {far->view + far->count / 2, far->count / 3}};
    parts[2].iov_base = far->view + parts[0].iov_len + parts[1].iov_len;
    parts[2].iov_len = far->count - parts[0].iov_len - parts[1].iov_len;
    switch (way) {
    case READ: return calls->read(variant, far->file, far->view, far->count);
    case PREAD: return calls->pread(variant, far->file, far->view, far->count, offset);
    case READV: return calls->readv(variant, far->file, parts, 3);
    case PREADV: return calls->preadv(variant, far->file, parts, 3, offset);
    case WRITE: return calls->write(variant, far->file, far->view, far->count);
    case PWRITE: return calls->pwrite(variant, far->file, far->view, far->count, offset);
    case WRITEV: return calls->writev(variant, far->file, parts, 3);
    default: return calls->pwritev(variant, far->file, parts, 3, offset);
    }
}

// What the call gave, and left behind in memory or in the file.
struct found {
    long ret, offset;
    unsigned char tail[2 * TAIL];
};

// The kernel's answer is known: it moves so much, and leaves what lies behind alone. What is behind the border in
// memory came from the file before it, where there are zeros.
static void far_expect(const struct far *far, enum way way, struct found *found)
{
    const bool here = way == READ || way == READV || way == WRITE || way == WRITEV;
    found->ret = MOST;
    found->offset = here ? (long)MOST : 0;
    memset(found->tail, 0, sizeof found->tail);
    pattern_fill(found->tail, way < WRITE ? TAIL : sizeof found->tail, 77);
    if (way >= WRITE) memcpy(found->tail, far->view + (MOST - TAIL) % MEMORY, TAIL);
}

static void far_try(const struct calls *calls, const struct far *far, enum way way, int variant, struct found *found)
{
    static unsigned char page[PAGE], old[2 * TAIL];
    pattern_fill(old, sizeof old, 77);
    raw_calls.pwrite(0, far->file, old, sizeof old, MOST - TAIL);
    if (way >= WRITE) pattern_fill(far->view, MEMORY, 5);
    else memset(far->view, 0xa5, MEMORY);
    // The shim must know the file, and that this tick has had its first write.
    for (int call = 0; call < 12; call++) calls->pread(0, far->file, page, PAGE, call * PAGE);
    if (way >= WRITE) calls->pwrite(0, far->file, page, PAGE, 0);
    calls->lseek(0, far->file, 0, SEEK_SET);
    found->ret = far_call(calls, far, way, variant, 0);
    found->offset = raw_calls.lseek(0, far->file, 0, SEEK_CUR);
    if (way >= WRITE) raw_calls.pread(0, far->file, found->tail, sizeof found->tail, MOST - TAIL);
    else memcpy(found->tail, far->view + (MOST - TAIL) % MEMORY, sizeof found->tail);
}

static void run_far(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    static const size_t beyond[] = {1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 1 << 20, FILE_SIZE - MOST, 0x80000fffu};
    static struct found served, expected;
    static unsigned times, times_full;
    char path[1024];
    enum way way = (enum way)(place->value & ~FULL);
    bool full = (place->value & FULL) != 0;
    struct far far = {.file = -1, .memory = -1, .view = MAP_FAILED, .count = MOST + beyond[op->variant % 8]};
    bool free_to = times < 2 && side->memory && !context.memory_limited && !context.memory_locked &&
                   !context.space_limited && !context.maps_refused && !context.maps_kill && !context_file_limited();
    snprintf(path, sizeof path, "%s/far", side->directory);
    if (free_to) far.file = (int)side->calls->open(0, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (far.file >= 0) unlink(path);
    // Writes fill the file whether it was full or not.
    full = full && far.file >= 0 && times_full < 1 && room_for_pages(far.file);
    bool able = far.file >= 0 && (full || way < WRITE) && raw_calls.ftruncate(0, far.file, FILE_SIZE) == 0 &&
                (!full || raw_calls.fallocate(0, far.file, 0, 0, FILE_SIZE) == 0) && far_map(&far);
    if (able) {
        times++;
        times_full += full;
        far_try(side->calls, &far, way, op->variant, &served);
        far_expect(&far, way, &expected);
        if (served.ret != expected.ret)
            result->wrong = "a call of more than the kernel moves returned something else";
        else if (served.offset != expected.offset)
            result->wrong = "a call of more than the kernel moves left another offset behind";
        else if (memcmp(served.tail, expected.tail, sizeof served.tail) != 0)
            result->wrong = "a call of more than the kernel moves left other bytes behind";
    }
    result->skipped = !able;
    if (far.view != MAP_FAILED) munmap(far.view, (far.count + MEMORY) & ~(MEMORY - 1));
    if (far.memory >= 0) raw_calls.close(0, far.memory);
    if (far.file >= 0) side->calls->close(0, far.file);
}

static const struct choice ways[] = {
    {"read", READ, 2}, {"pread", PREAD, 3}, {"readv", READV, 2}, {"preadv", PREADV, 2},
    {"read-full", READ | FULL, 1}, {"pread-full", PREAD | FULL, 2}, {"readv-full", READV | FULL, 1},
    {"preadv-full", PREADV | FULL, 1}, {"write-full", WRITE | FULL, 1}, {"pwrite-full", PWRITE | FULL, 2},
    {"writev-full", WRITEV | FULL, 1}, {"pwritev-full", PWRITEV | FULL, 1}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"far", 1, VARIANT | CHOICE, ONCE, ways, run_far},
};

const struct group count_group = {"counts", kinds, sizeof kinds / sizeof *kinds};
