// Proof that the exerciser can fail: wrappers over libc's calls with one defect each, of the kinds a shim may have.
// EXERCISER_SABOTAGE=NAME puts one of them between the served side and libc.
#include "exerciser.h"

#include <string.h>
#include <unistd.h>

static struct calls defective, defective_by_handle;
const struct calls *real;

// A byte beyond the first page of a long read comes out wrong.
static long flip_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    long got = real->pread(variant, fd, buffer, count, offset);
    if (got > PAGE + 10) ((unsigned char *)buffer)[PAGE + 10] ^= 1;
    return got;
}

// The kernel's offset is not moved by a read that ends inside the file.
static long offset_read(int variant, int fd, void *buffer, size_t count)
{
    struct stat status;
    long before = raw_calls.lseek(0, fd, 0, SEEK_CUR);
    long got = real->read(variant, fd, buffer, count);
    if (got >= PAGE && fstat(fd, &status) == 0 && before + got < status.st_size)
        raw_calls.lseek(0, fd, before, SEEK_SET);
    return got;
}

// A file's size is remembered per descriptor: what another process cut off is still read, as zeros.
static struct { ino_t inode; int64_t size; } remembered[1024];

static long stale_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    struct stat status;
    long got = real->pread(variant, fd, buffer, count, offset);
    if (fd < 0 || fd >= 1024 || got < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return got;
    if (remembered[fd].inode != status.st_ino || remembered[fd].size < status.st_size) {
        remembered[fd].inode = status.st_ino;
        remembered[fd].size = status.st_size;
    }
    if (got < (long)count && count < 100000 && offset + (int64_t)count <= remembered[fd].size) {
        memset((char *)buffer + got, 0, count - (size_t)got);
        return (long)count;
    }
    return got;
}

// What a descriptor means outlives dup2 over it: the next positioned read still goes to the file before.
static int stale_of[1024];

static long foreign_dup2(int fd, int target)
{
    if (fd >= 0 && target >= 0 && target < 1024 && fd != target) {
        long kept = raw_calls.fcntl(0, target, 1030 /* F_DUPFD_CLOEXEC */, 700);
        if (kept >= 0) stale_of[target] = (int)kept;
    }
    return real->dup2(fd, target);
}

static long foreign_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    if (fd >= 0 && fd < 1024 && stale_of[fd] > 0) {
        long got = raw_calls.pread(0, stale_of[fd], buffer, count, offset);
        raw_calls.close(0, stale_of[fd]);
        stale_of[fd] = 0;
        return got;
    }
    return real->pread(variant, fd, buffer, count, offset);
}

// The last byte of a long overwrite does not reach the file.
static long short_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    struct stat status;
    unsigned char kept;
    bool inside = count > 512 && fstat(fd, &status) == 0 && offset >= 0 && offset + (int64_t)count < status.st_size;
    bool known = inside && raw_calls.pread(0, fd, &kept, 1, offset + (off_t)count - 1) == 1;
    long put = real->pwrite(variant, fd, buffer, count, offset);
    if (known && put == (long)count) raw_calls.pwrite(0, fd, &kept, 1, offset + (off_t)count - 1);
    return put;
}

// A bad buffer is reported as bad argument.
static long wrong_errno(int variant, int fd, void *buffer, size_t count)
{
    long got = real->read(variant, fd, buffer, count);
    if (got < 0 && errno == EFAULT) errno = EINVAL;
    return got;
}

// A write to an appending descriptor lands where it was told to.
static long unappended_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    long flags = raw_calls.fcntl(0, fd, 3 /* F_GETFL */, 0);
    if (flags < 0 || (flags & 02000) == 0) return real->pwrite(variant, fd, buffer, count, offset);
    raw_calls.fcntl(0, fd, 4 /* F_SETFL */, flags & ~02000l);
    long put = real->pwrite(variant, fd, buffer, count, offset);
    int error = errno;
    raw_calls.fcntl(0, fd, 4, flags);
    errno = error;
    return put;
}

static volatile uintptr_t nowhere = 8;

// A served read crashes when the file has been shortened under it.
static long crash_readv(int variant, int fd, const struct iovec *vectors, int count)
{
    long got = real->readv(variant, fd, vectors, count);
    struct stat status;
    if (got == 0 && fstat(fd, &status) == 0 && status.st_size > 0 && status.st_size % PAGE == 0)
        *(volatile int *)(uintptr_t)nowhere = 0;
    return got;
}

// A window outlives the descriptor it was made from.
static long kept_window_close(int variant, int fd)
{
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        raw_calls.mmap(0, PAGE, 1 /* PROT_READ */, 1 /* MAP_SHARED */, fd, 0);
    return real->close(variant, fd);
}

// So does its open file description, with the locks on it.
static long kept_description_close(int variant, int fd)
{
    if (fd >= 0) raw_calls.fcntl(0, fd, 1030 /* F_DUPFD_CLOEXEC */, 100);
    return real->close(variant, fd);
}

// A write leaves the modification time as it was, or (so that it shows however fast the machine) earlier still.
static long timeless_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    struct stat status;
    bool known = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    long put = real->pwrite(variant, fd, buffer, count, offset);
    int error = errno;
    struct timespec times[2] = {{0, UTIME_OMIT}, {0, 0}};
    if (known) times[1] = status.st_mtim, times[1].tv_sec -= 1;
    if (known && put > 512) futimens(fd, times);
    errno = error;
    return put;
}

static const struct defect defects[] = {
    {"flip-byte", "pread over a page border returns one wrong byte", {.pread = flip_pread}},
    {"lost-offset", "read of a page or more leaves the offset behind", {.read = offset_read}},
    {"stale-size", "pread after another process truncated the file", {.pread = stale_pread}},
    {"foreign-file", "pread after dup2 reads the file from before", {.pread = foreign_pread, .dup2 = foreign_dup2}},
    {"lost-byte", "pwrite inside the file drops its last byte", {.pwrite = short_pwrite}},
    {"wrong-errno", "read to a bad buffer gives EINVAL", {.read = wrong_errno}},
    {"no-append", "pwrite ignores O_APPEND", {.pwrite = unappended_pwrite}},
    {"kept-window", "close leaves a mapping of the file", {.close = kept_window_close}},
    {"kept-lock", "close leaves the open file description", {.close = kept_description_close}},
    {"lost-time", "pwrite leaves mtime as it was: for --times", {.pwrite = timeless_pwrite}},
    {"crash", "readv at the end of a file of whole pages crashes", {.readv = crash_readv}},
};

#define PUT(call) \
    if (wrong->call != NULL) defective.call = wrong->call

static bool put(const struct defect *list, size_t count, const char *name)
{
    for (size_t index = 0; index < count; index++) {
        if (strcmp(list[index].name, name) != 0) continue;
        const struct calls *wrong = &list[index].wrong;
        PUT(read);
        PUT(write);
        PUT(readv);
        PUT(preadv);
        PUT(pwritev);
        PUT(pread);
        PUT(pwrite);
        PUT(close);
        PUT(dup2);
        PUT(copy_file_range);
        PUT(aio);
        if (wrong->by_handle != NULL) defective_by_handle.dup2 = wrong->by_handle->dup2;
        defective.by_handle = &defective_by_handle;
        return true;
    }
    return false;
}

const struct calls *sabotage(const struct calls *calls, const char *name)
{
    real = calls;
    defective = *calls;
    defective_by_handle = *calls->by_handle;
    return put(defects, sizeof defects / sizeof *defects, name) || put(mode_defects, mode_defect_count, name) ||
                   put(way_defects, way_defect_count, name) || put(change_defects, change_defect_count, name)
               ? &defective
               : NULL;
}

static void list(FILE *out, const struct defect *list, size_t count)
{
    for (size_t index = 0; index < count; index++) fprintf(out, "  %-14s %s\n", list[index].name, list[index].what);
}

void sabotage_list(FILE *out)
{
    list(out, defects, sizeof defects / sizeof *defects);
    list(out, mode_defects, mode_defect_count);
    list(out, way_defects, way_defect_count);
    list(out, change_defects, change_defect_count);
}
