// Names and sizes: rename, link, unlink while open; truncation, allocation, copies between files, synchronisation.
#include "exerciser.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void run_rename(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    struct two_paths paths;
    side_two_paths(side, op, op->variant, &paths);
    result_set(result, renameat2(AT_FDCWD, paths.from, AT_FDCWD, paths.to, (unsigned)place->value));
}

static void run_link(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    struct two_paths paths;
    side_two_paths(side, op, 0, &paths);
    result_set(result, link(paths.from, paths.to));
}

static void run_unlink(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    char path[1024];
    side_path(side, op->name, op->variant, path, sizeof path);
    result_set(result, unlink(path));
}

static void run_chmod(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    // A slot may hold /dev/null or /dev/zero, whose modes are the whole machine's.
    struct stat file;
    if (fstat(side_fd(side, op->slot), &file) == 0 && !S_ISREG(file.st_mode)) {
        result_set(result, 0);
        return;
    }
    result_set(result, fchmod(side_fd(side, op->slot), (mode_t)place->value));
}

static const struct choice rename_flags[] = {
    {"plain", 0, 6}, {"noreplace", RENAME_NOREPLACE, 1}, {"exchange", RENAME_EXCHANGE, 2}, {NULL, 0, 0},
};

static const struct choice modes[] = {
    {"0644", 0644, 2}, {"0400", 0400, 1}, {"06755", 06755, 2}, {"0", 0, 1}, {NULL, 0, 0},
};

static const struct kind name_kinds[] = {
    {"rename", 10, NAME | TO | VARIANT | CHOICE, BY_NAME, rename_flags, run_rename},
    {"link", 5, NAME | TO, BY_NAME, NULL, run_link},
    {"unlink", 7, NAME | VARIANT, BY_NAME, NULL, run_unlink},
    {"chmod", 3, SLOT | CHOICE, 0, modes, run_chmod},
};

const struct group name_group = {"name", name_kinds, sizeof name_kinds / sizeof *name_kinds};

// ---- sizes

static void run_ftruncate(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    result_set(result, side->calls->ftruncate(op->variant, side_fd(side, op->slot), place->offset));
}

static void run_truncate(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    side_path(side, op->name, op->variant, path, sizeof path);
    result_set(result, side->calls->truncate(op->variant, path, place->offset));
}

static void run_fallocate(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    off_t offset = place->offset;
    off_t length = (off_t)place->length;
    // Collapse and insert want whole blocks; leave every fourth as it came, for EINVAL.
    if ((place->value & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0 && op->pattern % 4 != 0) {
        offset &= ~(off_t)(PAGE - 1);
        length = (length + PAGE - 1) & ~(off_t)(PAGE - 1);
    }
    result_set(result, side->calls->fallocate(op->variant, side_fd(side, op->slot), place->value, offset, length));
}

static void run_posix_fallocate(struct side *side, const struct op *op, const struct place *place,
                                struct result *result)
{
    int fd = side_fd(side, op->slot);
    result->ret = op->variant % 2 == 0 ? posix_fallocate(fd, place->offset, (off_t)place->length)
                                       : posix_fallocate64(fd, place->offset, (off_t)place->length);
}

static void run_copy(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int in = side_fd(side, op->slot), out = side_fd(side, op->other);
    off_t from = place->offset, to = place->offset2;
    bool in_here = (place->value & 1) != 0, out_here = (place->value & 2) != 0;
    result_set(result, side->calls->copy_file_range(in, in_here ? NULL : &from, out, out_here ? NULL : &to,
                                                    place->length));
    result->extra = from + to;
}

static void run_sendfile(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    off_t from = place->offset;
    result_set(result, side->calls->sendfile(op->variant, side_fd(side, op->other), side_fd(side, op->slot),
                                             (place->value & 1) != 0 ? NULL : &from, place->length));
    result->extra = from;
}

static void run_fsync(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    result_set(result, side->calls->fsync(side_fd(side, op->slot)));
}

static void run_fdatasync(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    result_set(result, side->calls->fdatasync(side_fd(side, op->slot)));
}

static void run_sync_range(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    result_set(result, side->calls->sync_file_range(side_fd(side, op->slot), place->offset, (off_t)place->length,
                                                    (unsigned)place->value));
}

static void run_advise(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    result->ret = posix_fadvise(side_fd(side, op->slot), place->offset, (off_t)place->length, place->value);
}

static const struct choice allocations[] = {
    {"plain", 0, 4}, {"keep", FALLOC_FL_KEEP_SIZE, 2}, {"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8},
    {"zero", FALLOC_FL_ZERO_RANGE, 4}, {"zero|keep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 2},
    {"collapse", FALLOC_FL_COLLAPSE_RANGE, 2}, {"insert", FALLOC_FL_INSERT_RANGE, 2},
    {"punch-without-keep", FALLOC_FL_PUNCH_HOLE, 1}, {NULL, 0, 0},
};

static const struct choice ends[] = {
    {"offsets", 0, 4}, {"from-here", 1, 1}, {"to-here", 2, 1}, {"here", 3, 1}, {NULL, 0, 0},
};

static const struct choice sync_flags[] = {
    {"write", SYNC_FILE_RANGE_WRITE, 2},
    {"all", SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER, 2},
    {"unknown", 64, 1}, {NULL, 0, 0},
};

static const struct choice advices[] = {
    {"dontneed", POSIX_FADV_DONTNEED, 3}, {"willneed", POSIX_FADV_WILLNEED, 1}, {"random", POSIX_FADV_RANDOM, 1},
    {"unknown", 99, 1}, {NULL, 0, 0},
};

static const struct kind size_kinds[] = {
    {"ftruncate", 20, SLOT | OFFSET | VARIANT, 0, NULL, run_ftruncate},
    {"truncate", 8, NAME | OFFSET | VARIANT, BY_NAME, NULL, run_truncate},
    {"fallocate", 22, SLOT | OFFSET | LENGTH | VARIANT | CHOICE, EXTENDS, allocations, run_fallocate},
    {"posix_fallocate", 3, SLOT | OFFSET | LENGTH | VARIANT, EXTENDS, NULL, run_posix_fallocate},
    {"copy_file_range", 12, SLOT | OTHER | OFFSET | OFFSET2 | LENGTH | CHOICE, EXTENDS, ends, run_copy},
    {"sendfile", 8, SLOT | OTHER | OFFSET | LENGTH | VARIANT | CHOICE, EXTENDS, ends, run_sendfile},
    {"fsync", 6, SLOT, 0, NULL, run_fsync},
    {"fdatasync", 6, SLOT, 0, NULL, run_fdatasync},
    {"sync_file_range", 3, SLOT | OFFSET | LENGTH | CHOICE, 0, sync_flags, run_sync_range},
    {"fadvise", 3, SLOT | OFFSET | LENGTH | CHOICE, 0, advices, run_advise},
};

const struct group size_group = {"size", size_kinds, sizeof size_kinds / sizeof *size_kinds};
