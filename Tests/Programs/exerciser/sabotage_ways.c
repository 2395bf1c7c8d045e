// Defects that the modes show which are about ways past the shim, and about memory that is its own and others': each is
// harmless in a program that makes its calls in the usual way, in a directory that nobody damages.
#include "exerciser.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// ---- jumps

// Through a mapping, with SIGBUS caught; which a jump has blocked.
static long jumped_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    struct stat status;
    sigset_t set;
    long got = real->pread(variant, fd, buffer, count, offset);
    if (!context.jumped || got < 0 || got == (long)count || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        sigprocmask(SIG_BLOCK, NULL, &set) != 0 || sigismember(&set, SIGBUS) != 1)
        return got;
    off_t past = (status.st_size + 2 * PAGE) & ~(off_t)(PAGE - 1);
    volatile unsigned char *page = raw_calls.mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, past);
    if (page != MAP_FAILED) (void)*page;
    return got;
}

// ---- vectors

// What the kernel alone can say: wrong vectors, and what is no file.
static bool plain_vectors(int fd, const struct iovec *vectors, int count)
{
    struct stat status;
    size_t sum = 0;
    long flags = raw_calls.fcntl(0, fd, F_GETFL, 0);
    if (flags < 0 || (flags & (O_DIRECT | O_APPEND | O_PATH)) != 0 || count < 1 || count > 1024) return false;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || (uintptr_t)vectors < PAGE) return false;
    for (int index = 0; index < count; index++) {
        if (vectors[index].iov_len > 1 << 30) return false;
        sum += vectors[index].iov_len;
    }
    return sum < 1 << 30;
}

// Part by part, each looked up when its turn has come. How much was moved; 0: ask the kernel.
static long part_by_part(bool writes, int fd, const struct iovec *vectors, int count, off_t offset)
{
    long done = 0;
    for (int index = 0; index < count; index++) {
        struct iovec part = vectors[index];
        long moved = part.iov_len == 0 ? 0
                     : writes          ? raw_calls.pwrite(0, fd, part.iov_base, part.iov_len, offset + done)
                                       : raw_calls.pread(0, fd, part.iov_base, part.iov_len, offset + done);
        if (moved > 0) done += moved;
        if (moved != (long)part.iov_len) break;
    }
    return done;
}

static long again_preadv(int variant, int fd, const struct iovec *vectors, int count, off_t offset)
{
    if (offset < 0 || offset > 1l << 40 || !plain_vectors(fd, vectors, count))
        return real->preadv(variant, fd, vectors, count, offset);
    long done = part_by_part(false, fd, vectors, count, offset);
    return done > 0 ? done : real->preadv(variant, fd, vectors, count, offset);
}

// How much of a page is written before a bad part of it is met is the kernel's to say.
static bool all_readable(const struct iovec *vectors, int count)
{
    static int fd = -1;
    if (fd < 0) fd = (int)raw_calls.memfd_create("copy", 1 /* MFD_CLOEXEC */);
    for (int index = 0; index < count; index++)
        if (raw_calls.pwrite(0, fd, vectors[index].iov_base, vectors[index].iov_len, 0) != (long)vectors[index].iov_len)
            return false;
    return true;
}

static long again_pwritev(int variant, int fd, const struct iovec *vectors, int count, off_t offset)
{
    if (offset < 0 || offset > 1l << 40 || !plain_vectors(fd, vectors, count) || context_file_limited() ||
        !all_readable(vectors, count))
        return real->pwritev(variant, fd, vectors, count, offset);
    long done = part_by_part(true, fd, vectors, count, offset);
    return done > 0 ? done : real->pwritev(variant, fd, vectors, count, offset);
}

// ---- counts

// All that was asked for, however much.
static long boundless_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    const long most = 0x7ffff000;
    long got = real->pread(variant, fd, buffer, count, offset);
    if (got != most || count <= (size_t)most) return got;
    long more = real->pread(variant, fd, (char *)buffer + most, count - (size_t)most, offset + most);
    return more > 0 ? got + more : got;
}

// ---- handles

// What a number meant before: forgotten when dup2 is called by its symbol, not by handle.
static int meant_before[1024];

static long unseen_dup2(int fd, int target)
{
    if (fd >= 0 && target >= 0 && target < 1024 && fd != target && raw_calls.fcntl(0, fd, F_GETFD, 0) >= 0) {
        if (meant_before[target] > 0) raw_calls.close(0, meant_before[target]);
        long kept = raw_calls.fcntl(0, target, F_DUPFD_CLOEXEC, 700);
        meant_before[target] = kept >= 0 ? (int)kept : 0;
    }
    return raw_calls.dup2(fd, target);
}

static long stale_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    if (fd < 0 || fd >= 1024 || meant_before[fd] <= 0) return real->pread(variant, fd, buffer, count, offset);
    long got = raw_calls.pread(0, meant_before[fd], buffer, count, offset);
    int error = errno;
    raw_calls.close(0, meant_before[fd]);
    meant_before[fd] = 0;
    errno = error;
    return got;
}

static const struct calls unseen_by_handle = {.dup2 = unseen_dup2};

// ---- runtime

// A count in a file, by plain stores.
static long counting_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    static volatile long *figures;
    char path[1024];
    const char *directory = running->options->runtime;
    if (figures == NULL && directory != NULL) {
        snprintf(path, sizeof path, "%s/stats", directory);
        int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file >= 0 && ftruncate(file, PAGE) == 0) {
            void *address = raw_calls.mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            if (address != MAP_FAILED) figures = address;
        }
        if (file >= 0) close(file);
    }
    if (figures != NULL) ++*figures;
    return real->pread(variant, fd, buffer, count, offset);
}

// ---- aio

// What was begun together ends in any order; only the last is waited for.
static long hasty_aio(int way, bool writes, struct aio_part *parts, int count)
{
    if (!writes || count < 2) return real->aio(way, writes, parts, count);
    if (real->aio(way, writes, parts + 1, count - 1) != 0) return -1;
    parts[0].result = parts[1].result < 0 ? parts[1].result : (int64_t)parts[0].length;
    return 0;
}

const struct defect way_defects[] = {
    {"jumped", "jumps: a file that was cut, with SIGBUS blocked by a jump, ends the process", {.pread = jumped_pread}},
    {"vector-again", "vectors: preadv reads its vector as it goes", {.preadv = again_preadv}},
    {"vector-written", "vectors: pwritev reads its vector as it goes", {.pwritev = again_pwritev}},
    {"too-much", "counts: pread moves more than the kernel does in one call", {.pread = boundless_pread}},
    {"by-handle", "handles: after dup2 by handle pread reads the file from before",
     {.pread = stale_pread, .by_handle = &unseen_by_handle}},
    {"hasty", "aio: of writes that are begun together the first is said to be done, and is not", {.aio = hasty_aio}},
    {"plain-count", "runtime: pread counts in a file of the runtime directory", {.pread = counting_pread}},
};

const size_t way_defect_count = sizeof way_defects / sizeof *way_defects;
