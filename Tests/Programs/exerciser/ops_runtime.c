// The shim's own files, which others may fill, cut, remove or replace at any moment: nothing that a program does may
// come out differently. Only in a directory that --runtime names, in which nothing else is.
#include "exerciser.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum damage {
    GIVE_BACK, CLEAR, CUT_TO_NOTHING, CUT, LENGTHEN, REMOVE, EMPTY_FILE, A_DIRECTORY, A_FIFO, A_LINK, A_LOOP, NO_RIGHTS,
    SCRIBBLE, PUNCH, FILL, WITHOUT_DIRECTORY, ANOTHER_OWNER,
};

static const char ballast[] = "ballast";

// The number'th of the shim's files there, in the order of their names.
static bool pick(const char *directory, unsigned number, char *path, size_t size)
{
    struct dirent **list;
    int count = scandir(directory, &list, NULL, alphasort), kept = 0;
    for (int index = 0; index < count; index++) {
        if (list[index]->d_name[0] != '.' && strcmp(list[index]->d_name, ballast) != 0) list[kept++] = list[index];
        else free(list[index]);
    }
    bool any = kept > 0;
    if (any) snprintf(path, size, "%s/%s", directory, list[number % (unsigned)kept]->d_name);
    for (int index = 0; index < kept; index++) free(list[index]);
    if (count >= 0) free(list);
    return any;
}

static void remove_any(const char *path)
{
    if (unlink(path) != 0) rmdir(path);
}

static void give_back(const char *directory)
{
    char path[PATH_MAX];
    mkdir(directory, 0700);
    chmod(directory, 0700);
    if (chown(directory, geteuid(), getegid()) != 0) return;
    snprintf(path, sizeof path, "%s/%s", directory, ballast);
    unlink(path);
}

// In a directory without files the shim begins anew, in processes that start from now on.
void runtime_clear(const char *directory)
{
    char path[PATH_MAX];
    give_back(directory);
    while (pick(directory, 0, path, sizeof path)) remove_any(path);
}

static void resize(const char *path, off_t size)
{
    if (truncate(path, size) != 0) return;
}

static void scribble(const char *path, uint64_t state, bool punch)
{
    static unsigned char noise[PAGE];
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        for (int times = 0; times < 8; times++) {
            // Records lie at the beginning; page arrays are sparse.
            off_t at = (off_t)(random_next(&state) % (uint64_t)(status.st_size < 1 << 20 ? status.st_size : 1 << 20));
            pattern_fill(noise, sizeof noise, (uint32_t)random_next(&state));
            if (punch) fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at & ~(off_t)(PAGE - 1), 4 * PAGE);
            else raw_calls.pwrite(0, fd, noise, random_next(&state) % 2 == 0 ? 8 : sizeof noise, at & ~7l);
        }
    }
    if (fd >= 0) close(fd);
}

// Only a small file system that is neither side's.
static bool fill(const char *directory)
{
    char path[PATH_MAX];
    struct statfs system;
    struct stat there, served, reference;
    if (stat(directory, &there) != 0 || statfs(directory, &system) != 0 || system.f_blocks == 0 ||
        system.f_blocks > (64ul << 20) / PAGE || fstat(running->served->directory_fd, &served) != 0 ||
        fstat(running->reference->directory_fd, &reference) != 0 || served.st_dev == there.st_dev ||
        reference.st_dev == there.st_dev)
        return false;
    snprintf(path, sizeof path, "%s/%s", directory, ballast);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    // To the last page, piece by piece.
    off_t at = 0, piece = 1 << 20;
    while (fd >= 0 && piece >= PAGE) {
        if (fallocate(fd, 0, at, piece) == 0) at += piece;
        else piece /= 2;
    }
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static void move_away(const char *directory)
{
    char path[PATH_MAX];
    while (pick(directory, 0, path, sizeof path)) remove_any(path);
    snprintf(path, sizeof path, "%s/%s", directory, ballast);
    unlink(path);
    rmdir(directory);
}

static void replace(const char *path, enum damage damage)
{
    remove_any(path);
    switch (damage) {
    case EMPTY_FILE: {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) close(fd);
        break;
    }
    case A_DIRECTORY: mkdir(path, 0700); break;
    case A_FIFO: mkfifo(path, 0600); break;
    case A_LINK: if (symlink("/dev/zero", path) != 0) return; break;
    case A_LOOP: if (symlink(path, path) != 0) return; break;
    default: break;
    }
}

static void run_runtime(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    const char *directory = running->options->runtime;
    char path[PATH_MAX];
    enum damage damage = (enum damage)place->value;
    bool whole = damage == GIVE_BACK || damage == CLEAR || damage == FILL || damage == WITHOUT_DIRECTORY;
    // A limit on files would be met by this operation, and space in it is the shim's.
    if (directory == NULL || context_file_limited() || (!whole && !pick(directory, op->variant, path, sizeof path))) {
        result->skipped = true;
        return;
    }
    switch (damage) {
    case GIVE_BACK: give_back(directory); break;
    case CLEAR: runtime_clear(directory); break;
    case CUT_TO_NOTHING: resize(path, 0); break;
    case CUT: resize(path, (off_t)(place->length % (300 << 10))); break;
    case LENGTHEN: resize(path, (off_t)place->length * PAGE); break;
    case NO_RIGHTS: chmod(path, op->variant % 2 == 0 ? 0 : 0444); break;
    case ANOTHER_OWNER: if (geteuid() != 0 || chown(path, 12345, 12345) != 0) result->skipped = true; break;
    case SCRIBBLE: scribble(path, place->length + op->variant, false); break;
    case PUNCH: scribble(path, place->length + op->variant, true); break;
    case FILL: result->skipped = !fill(directory); break;
    case WITHOUT_DIRECTORY: move_away(directory); break;
    default: replace(path, damage); break;
    }
}

static const struct choice damages[] = {
    {"give-back", GIVE_BACK, 2}, {"clear", CLEAR, 1}, {"cut-to-nothing", CUT_TO_NOTHING, 5}, {"cut", CUT, 5},
    {"lengthen", LENGTHEN, 2}, {"remove", REMOVE, 1}, {"empty", EMPTY_FILE, 1}, {"directory", A_DIRECTORY, 1},
    {"fifo", A_FIFO, 1},
    {"link", A_LINK, 1}, {"loop", A_LOOP, 1}, {"no-rights", NO_RIGHTS, 1}, {"scribble", SCRIBBLE, 3},
    {"punch", PUNCH, 2}, {"fill", FILL, 3}, {"no-directory", WITHOUT_DIRECTORY, 1}, {"owner", ANOTHER_OWNER, 1},
    {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"runtime", 12, LENGTH | VARIANT | CHOICE, ONCE | RESTRICTS, damages, run_runtime},
};

const struct group runtime_group = {"runtime", kinds, sizeof kinds / sizeof *kinds};
