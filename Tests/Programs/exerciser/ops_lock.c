// Locks and leases: they hang on open file descriptions, processes and inodes, all of which a window must not pin.
// The process's own limits and the passing of time stand here too: things that act on both sides at once.
#include "exerciser.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// A device is the same inode on both sides: a lock on it is no matter of two.
static bool shared_by_sides(const struct side *side, unsigned slot)
{
    struct stat status;
    return slot_stat(side, slot, &status) && S_ISCHR(status.st_mode);
}

static void run_flock(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    if (shared_by_sides(side, op->slot)) return;
    result_set(result, flock(side_fd(side, op->slot), place->value | LOCK_NB));
}

static void run_record_lock(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    if (shared_by_sides(side, op->slot)) return;
    struct flock lock = {.l_type = (short)(place->value & 0xff), .l_whence = SEEK_SET, .l_start = place->offset,
                         .l_len = (off_t)place->length};
    int command = (place->value & 0x100) != 0 ? F_OFD_SETLK : F_SETLK;
    result_set(result, side->calls->fcntl(op->variant, side_fd(side, op->slot), command, (long)&lock));
}

// Taken and given back at once: a lease that stays would be broken by the next open, which waits for it.
static void run_lease(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = side_fd(side, op->slot);
    if (shared_by_sides(side, op->slot)) return;
    // The kernel gives none while anybody else has the file open.
    for (int tries = 0; tries < 50; tries++) {
        result_set(result, side->calls->fcntl(op->variant, fd, F_SETLEASE, place->value));
        if (!running->options->beside || result->ret >= 0 || result->err != EAGAIN) break;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    if (result->ret >= 0) result->extra = side->calls->fcntl(op->variant, fd, F_SETLEASE, F_UNLCK);
}

static const struct choice flocks[] = {
    {"exclusive", LOCK_EX, 3}, {"shared", LOCK_SH, 2}, {"unlock", LOCK_UN, 2}, {NULL, 0, 0},
};

static const struct choice record_locks[] = {
    {"write", F_WRLCK, 3}, {"read", F_RDLCK, 2}, {"unlock", F_UNLCK, 2}, {"ofd-write", F_WRLCK | 0x100, 3},
    {"ofd-read", F_RDLCK | 0x100, 2}, {"ofd-unlock", F_UNLCK | 0x100, 2}, {NULL, 0, 0},
};

static const struct choice leases[] = {{"read", F_RDLCK, 2}, {"write", F_WRLCK, 1}, {NULL, 0, 0}};

static const struct kind lock_kinds[] = {
    {"flock", 5, SLOT | CHOICE, 0, flocks, run_flock},
    {"setlk", 6, SLOT | OFFSET | LENGTH | VARIANT | CHOICE, 0, record_locks, run_record_lock},
    {"lease", 3, SLOT | VARIANT | CHOICE, 0, leases, run_lease},
};

const struct group lock_group = {"lock", lock_kinds, sizeof lock_kinds / sizeof *lock_kinds};

// ---- the process

static void run_limit(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return;
    limit.rlim_cur = place->value < 0 ? limit.rlim_max : (rlim_t)place->value;
    result_set(result, op->variant % 2 == 0 ? setrlimit(RLIMIT_FSIZE, &limit)
                                            : prlimit(0, RLIMIT_FSIZE, &limit, NULL));
}

// Into the next clock tick: what is done once per tick is due again.
static void run_tick(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)op, (void)place, (void)result;
    nanosleep(&(struct timespec){0, 4500000}, NULL);
}

static void run_check(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)op, (void)place, (void)result; // the comparison itself sees to it
}

static const struct choice limits[] = {{"none", -1, 5}, {"64K", 65536, 1}, {"page", 4096, 1}, {NULL, 0, 0}};

static const struct kind process_kinds[] = {
    {"limit", 4, VARIANT | CHOICE, ONCE, limits, run_limit},
    {"tick", 3, 0, ONCE, NULL, run_tick},
    {"check", 16, VARIANT, ONCE | CHECKS, NULL, run_check},
};

const struct group process_group = {"process", process_kinds, sizeof process_kinds / sizeof *process_kinds};
