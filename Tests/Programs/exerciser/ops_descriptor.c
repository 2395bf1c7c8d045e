// What a descriptor means: open, close, dup and its kin, status flags, numbers reused for things that are no files.
#include "exerciser.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void forget(struct side *side, unsigned slot, struct result *result)
{
    if (slot >= SLOTS || side->fd[slot] < 0) return;
    result->extra = side->calls->close(result->extra == 0 ? 0 : 1, side->fd[slot]);
    side->fd[slot] = -1;
}

// The numbers themselves differ between the sides; that there is one does not.
static void keep(struct side *side, unsigned slot, long fd, struct result *result)
{
    result_set(result, fd);
    if (fd < 0) return;
    result->ret = 0;
    if (slot < SLOTS) side->fd[slot] = (int)fd;
    else side->calls->close(0, (int)fd);
}

void slot_take(struct side *side, unsigned slot, long fd, struct result *result)
{
    int error = errno;
    if (fd >= 0 && slot < SLOTS && side->fd[slot] >= 0) {
        side->calls->close(0, side->fd[slot]);
        side->fd[slot] = -1;
    }
    errno = error;
    keep(side, slot, fd, result);
}

static void run_open(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    forget(side, op->slot, result);
    side_path(side, op->name, op->variant, path, sizeof path);
    // openat from the directory takes the name alone.
    const char *relative = path;
    size_t prefix = strlen(side->directory) + 1;
    if (op->variant % 5 == 2 && strncmp(path, side->directory, prefix - 1) == 0 && path[prefix - 1] == '/')
        relative = path + prefix;
    int flags = side_flags(side, place->value);
    keep(side, op->slot, side->calls->open(op->variant, side->directory_fd, relative, flags, 0644), result);
}

static void run_close(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    result_set(result, side->calls->close(op->variant, side_fd(side, op->slot)));
    if (op->slot < SLOTS) side->fd[op->slot] = -1;
}

// Opens what a descriptor means anew: another description of the same inode, by a path without a name.
static void run_reopen(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[64];
    struct stat status;
    // A pipe or a device opened anew is not the same thing again.
    if (!slot_stat(side, op->slot, &status) || !S_ISREG(status.st_mode)) return;
    snprintf(path, sizeof path, op->variant % 2 == 0 ? "/proc/self/fd/%d" : "/dev/fd/%d", side_fd(side, op->slot));
    long fd = side->calls->open(op->variant, AT_FDCWD, path, place->value, 0);
    int error = errno;
    forget(side, op->other, result);
    errno = error;
    keep(side, op->other, fd, result);
}

static void run_dup(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    long fd = side->calls->dup(side_fd(side, op->slot));
    int error = errno;
    if (fd >= 0) forget(side, op->other, result);
    errno = error;
    keep(side, op->other, fd, result);
}

static void run_dup2(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    int target = side_fd(side, op->other);
    long fd = side->calls->dup2(side_fd(side, op->slot), target);
    result_set(result, fd);
    if (fd >= 0) result->ret = fd == target ? 0 : 1;
}

static void run_dup3(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int target = side_fd(side, op->other);
    long fd = side->calls->dup3(side_fd(side, op->slot), target, place->value);
    result_set(result, fd);
    if (fd >= 0) result->ret = fd == target ? 0 : 1;
}

static void run_dupfd(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC};
    long fd = side->calls->fcntl(op->variant, side_fd(side, op->slot), commands[op->variant % 2], place->value);
    int error = errno;
    if (fd >= 0) forget(side, op->other, result);
    errno = error;
    keep(side, op->other, fd, result);
}

static void run_setfl(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = side_fd(side, op->slot);
    long before = raw_calls.fcntl(0, fd, F_GETFL, 0);
    int flags = side_flags(side, (int)(before < 0 ? 0 : before) ^ place->value);
    result_set(result, side->calls->fcntl(op->variant, fd, F_SETFL, flags));
    result->extra = side->calls->fcntl(op->variant, fd, F_GETFL, 0);
}

enum special { DIRECTORY, PATH_ONLY, NULL_DEVICE, ZERO_DEVICE, MEMORY, PIPE_READ, PIPE_BROKEN };

static long special_open(struct side *side, enum special special)
{
    int ends[2];
    const struct calls *calls = side->calls;
    char path[1024], bytes[3000];
    switch (special) {
    case DIRECTORY: return calls->open(0, AT_FDCWD, side->directory, O_RDONLY | O_DIRECTORY, 0);
    case PATH_ONLY:
        side_path(side, 0, 0, path, sizeof path);
        return calls->open(0, AT_FDCWD, path, O_PATH, 0);
    case NULL_DEVICE: return calls->open(0, AT_FDCWD, "/dev/null", O_RDWR, 0);
    case ZERO_DEVICE: return calls->open(0, AT_FDCWD, "/dev/zero", O_RDWR, 0);
    case MEMORY: {
        long fd = calls->memfd_create("exerciser", 0);
        memset(bytes, 'm', sizeof bytes);
        if (fd >= 0) calls->write(0, (int)fd, bytes, sizeof bytes);
        return fd;
    }
    case PIPE_READ:
    case PIPE_BROKEN:
        if (calls->pipe2(ends, O_NONBLOCK) < 0) return -1;
        memset(bytes, 'p', sizeof bytes);
        calls->write(0, ends[1], bytes, sizeof bytes);
        calls->close(0, special == PIPE_READ ? ends[1] : ends[0]);
        return special == PIPE_READ ? ends[0] : ends[1];
    }
    return -1;
}

// The number of a file's descriptor goes to something else: by dup2 over it, or by close and reuse.
static void run_special(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    if (op->variant % 2 == 0) forget(side, op->slot, result);
    long fd = special_open(side, (enum special)place->value);
    if (fd < 0 || op->slot >= SLOTS || side->fd[op->slot] < 0) {
        keep(side, op->slot, fd, result);
        return;
    }
    int target = side->fd[op->slot];
    result_set(result, side->calls->dup2((int)fd, target) == target ? 0 : -1);
    side->calls->close(0, (int)fd);
}

static const struct choice open_flags[] = {
    {"rdwr", O_RDWR, 4}, {"rdwr|creat", O_RDWR | O_CREAT, 30}, {"rdonly", O_RDONLY, 4}, {"wronly", O_WRONLY, 2},
    {"wronly|creat", O_WRONLY | O_CREAT, 2}, {"rdwr|append", O_RDWR | O_APPEND | O_CREAT, 4},
    {"wronly|append", O_WRONLY | O_APPEND, 2}, {"rdwr|trunc", O_RDWR | O_TRUNC | O_CREAT, 3},
    {"wronly|trunc", O_WRONLY | O_TRUNC, 1}, {"rdonly|trunc", O_RDONLY | O_TRUNC, 1},
    {"rdwr|excl", O_RDWR | O_CREAT | O_EXCL, 1}, {"rdwr|direct", O_RDWR | O_DIRECT, 1},
    {"rdonly|direct", O_RDONLY | O_DIRECT, 1},
    {"rdwr|dsync", O_RDWR | O_DSYNC, 1}, {"rdwr|sync", O_RDWR | O_SYNC, 1}, {"rdonly|cloexec", O_RDONLY | O_CLOEXEC, 1},
    {"rdwr|noatime", O_RDWR | O_NOATIME, 1}, {"rdwr|nofollow", O_RDWR | O_NOFOLLOW, 1}, {NULL, 0, 0},
};

static const struct choice reopen_flags[] = {
    {"rdwr", O_RDWR, 6}, {"rdonly", O_RDONLY, 4}, {"wronly", O_WRONLY, 1}, {"rdwr|append", O_RDWR | O_APPEND, 1},
    {"rdwr|trunc", O_RDWR | O_TRUNC, 1}, {NULL, 0, 0},
};

static const struct choice minimums[] = {
    {"0", 0, 4}, {"64", 64, 2}, {"600", 600, 1}, {"1000", 1000, 1}, {"-1", -1, 1}, {NULL, 0, 0},
};

static const struct choice status_flags[] = {
    {"append", O_APPEND, 6}, {"nonblock", O_NONBLOCK, 2}, {"direct", O_DIRECT, 1}, {"noatime", O_NOATIME, 1},
    {NULL, 0, 0},
};

static const struct choice specials[] = {
    {"directory", DIRECTORY, 1}, {"path", PATH_ONLY, 1}, {"null", NULL_DEVICE, 1}, {"zero", ZERO_DEVICE, 1},
    {"memfd", MEMORY, 1}, {"pipe", PIPE_READ, 2}, {"broken-pipe", PIPE_BROKEN, 1}, {NULL, 0, 0},
};

static const struct choice dup3_flags[] = {{"plain", 0, 3}, {"cloexec", O_CLOEXEC, 2}, {"unknown", 1, 1}, {NULL, 0, 0}};

static const struct kind kinds[] = {
    {"open", 50, SLOT | NAME | VARIANT | CHOICE, 0, open_flags, run_open},
    {"close", 10, SLOT | VARIANT, 0, NULL, run_close},
    {"reopen", 12, SLOT | OTHER | VARIANT | CHOICE, 0, reopen_flags, run_reopen},
    {"dup", 8, SLOT | OTHER, 0, NULL, run_dup},
    {"dup2", 10, SLOT | OTHER, 0, NULL, run_dup2},
    {"dup3", 5, SLOT | OTHER | CHOICE, 0, dup3_flags, run_dup3},
    {"dupfd", 6, SLOT | OTHER | VARIANT | CHOICE, 0, minimums, run_dupfd},
    {"setfl", 12, SLOT | VARIANT | CHOICE, 0, status_flags, run_setfl},
    {"special", 5, SLOT | VARIANT | CHOICE, 0, specials, run_special},
};

const struct group descriptor_group = {"descriptor", kinds, sizeof kinds / sizeof *kinds};
