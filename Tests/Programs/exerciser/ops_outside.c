// What another process does, one without the shim: by name, through its own descriptors, closed again each time.
#include "exerciser.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_name(const struct side *side, unsigned name, int flags)
{
    char path[1024];
    side_path(side, name, 0, path, sizeof path);
    return open(path, flags | O_CLOEXEC, 0644);
}

static uint64_t hash(const unsigned char *bytes, size_t length)
{
    uint64_t value = 1469598103934665603ull;
    for (size_t index = 0; index < length; index++) value = (value ^ bytes[index]) * 1099511628211ull;
    return value;
}

static void out_pread(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = open_name(side, op->name, O_RDONLY);
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result_set(result, fd < 0 ? fd : pread(fd, buffer, place->length, place->offset));
    if (result->ret > 0) result->hash = hash(buffer, (size_t)result->ret);
    if (fd >= 0) close(fd);
}

static void out_pwrite(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = open_name(side, op->name, O_WRONLY);
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result_set(result, fd < 0 ? fd : pwrite(fd, buffer, place->length, place->offset));
    if (fd >= 0) close(fd);
}

static void out_append(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = open_name(side, op->name, O_WRONLY | O_APPEND);
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result_set(result, fd < 0 ? fd : write(fd, buffer, place->length));
    if (fd >= 0) close(fd);
}

static void out_truncate(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    side_path(side, op->name, 0, path, sizeof path);
    result_set(result, truncate(path, place->offset));
}

static void out_allocate(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = open_name(side, op->name, O_RDWR);
    result_set(result, fd < 0 ? fd : fallocate(fd, place->value, place->offset, (off_t)place->length));
    if (fd >= 0) close(fd);
}

static void out_unlink(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    char path[1024];
    side_path(side, op->name, 0, path, sizeof path);
    result_set(result, unlink(path));
}

// A new inode under an old name: made in place after an unlink, or beside it and renamed over it.
static void out_recreate(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024], made[1024];
    side_path(side, op->name, 0, path, sizeof path);
    snprintf(made, sizeof made, "%s%s", side->directory, "/new");
    if (place->value == 0) {
        unlink(path);
        memcpy(made, path, sizeof made);
    }
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result_set(result, fd < 0 ? fd : write(fd, buffer, place->length));
    if (fd >= 0) close(fd);
    if (place->value == 1) result->extra = rename(made, path);
}

static void out_rename(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    struct two_paths paths;
    side_two_paths(side, op, 0, &paths);
    result_set(result, rename(paths.from, paths.to));
}

static void out_store(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = open_name(side, op->name, O_RDWR);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        result_set(result, -1);
        return;
    }
    int64_t end = place->offset + (int64_t)place->length;
    if (end > status.st_size) end = status.st_size;
    if (place->offset >= 0 && end > place->offset) {
        unsigned char *buffer = side_buffer(side, op, place->length, result);
        unsigned char *address = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (address == MAP_FAILED) {
            result_set(result, -1);
        } else {
            // A hole of a file system that is full cannot be stored to: SIGBUS, which this process must survive.
            result->signal =
                copy_guarded(address + place->offset, buffer, (size_t)(end - place->offset), &result->ret);
            munmap(address, (size_t)status.st_size);
        }
    }
    close(fd);
}

// Would another process get the lock now? Given back at once.
static void out_flock(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = open_name(side, op->name, O_RDONLY);
    result_set(result, fd < 0 ? fd : flock(fd, place->value | LOCK_NB));
    if (fd >= 0) close(fd);
}

static void out_getlk(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = open_name(side, op->name, O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = place->offset,
                         .l_len = (off_t)place->length};
    result_set(result, fd < 0 ? fd : fcntl(fd, F_GETLK, &lock));
    if (result->ret == 0) {
        result->extra = lock.l_type;
        if (lock.l_type != F_UNLCK) result->hash = (uint64_t)lock.l_start * 31 + (uint64_t)lock.l_len;
    }
    if (fd >= 0) close(fd);
}

static void out_chmod(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    side_path(side, op->name, 0, path, sizeof path);
    result_set(result, chmod(path, (mode_t)place->value));
}

static const struct choice allocations[] = {
    {"plain", 0, 2}, {"keep", FALLOC_FL_KEEP_SIZE, 1}, {"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 6},
    {"zero", FALLOC_FL_ZERO_RANGE, 3}, {NULL, 0, 0},
};

static const struct choice ways[] = {{"in-place", 0, 1}, {"renamed-over", 1, 1}, {NULL, 0, 0}};
static const struct choice flocks[] = {{"exclusive", LOCK_EX, 2}, {"shared", LOCK_SH, 1}, {NULL, 0, 0}};
static const struct choice modes[] = {{"0644", 0644, 1}, {"04755", 04755, 1}, {NULL, 0, 0}};

#define AWAY (OUTSIDE | BY_NAME)

static const struct kind kinds[] = {
    {"out-pread", 12, NAME | OFFSET | LENGTH, AWAY, NULL, out_pread},
    {"out-pwrite", 14, NAME | OFFSET | LENGTH | BUFFER, AWAY | UNSEEN | EXTENDS | FILLS, NULL, out_pwrite},
    {"out-append", 6, NAME | LENGTH | BUFFER, AWAY | EXTENDS | FILLS, NULL, out_append},
    {"out-truncate", 14, NAME | OFFSET, AWAY | UNSEEN, NULL, out_truncate},
    {"out-allocate", 8, NAME | OFFSET | LENGTH | CHOICE, AWAY | UNSEEN | EXTENDS, allocations, out_allocate},
    {"out-unlink", 3, NAME, AWAY, NULL, out_unlink},
    {"out-recreate", 6, NAME | LENGTH | BUFFER | CHOICE, AWAY | EXTENDS | FILLS, ways, out_recreate},
    {"out-rename", 4, NAME | TO, AWAY, NULL, out_rename},
    {"out-store", 8, NAME | OFFSET | LENGTH | BUFFER, AWAY | FILLS | TOUCHES | UNTIMED, NULL, out_store},
    {"out-flock", 4, NAME | CHOICE, AWAY, flocks, out_flock},
    {"out-getlk", 4, NAME | OFFSET | LENGTH, AWAY, NULL, out_getlk},
    {"out-chmod", 2, NAME | CHOICE, AWAY, modes, out_chmod},
};

const struct group outside_group = {"outside", kinds, sizeof kinds / sizeof *kinds};
