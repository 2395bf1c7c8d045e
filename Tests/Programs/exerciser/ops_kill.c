// kill -9: of a process that waits for its turn, with all its descriptors, and of one that is in the middle of an
// operation, of which what is left must be something that it may have left.
#include "exerciser.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void run_kill(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)place;
    int victim = actors_pick(op->variant);
    if (victim < 0) {
        result->skipped = true;
        return;
    }
    pid_t pid = running->report->actors.list[victim].pid;
    actors_expect_end((unsigned)victim);
    result_set(result, kill(pid, SIGKILL));
    await_end(pid);
}

// ---- in the middle

enum killed { PWRITES, WRITES, READS };

struct attempt {
    struct side *side;
    enum killed kind;
    int fd;
    unsigned variant;
    int64_t offset;
    size_t length;
    uint32_t pattern;
    size_t before; // bytes that the file had in the range
    unsigned char *old, *fresh, *now;
};

// In memory shared with the child: how often it has told that it is done, and that it has begun.
static _Atomic uint64_t *acknowledged(void)
{
    return &running->report->scratch[0];
}

static _Atomic uint64_t *begun(void)
{
    return &running->report->scratch[1];
}

static uint32_t pattern_of(const struct attempt *attempt, uint64_t round)
{
    return attempt->pattern + (uint32_t)round * 7919;
}

// Again and again, another content each time, until it is killed. A child's first write to a file is the kernel's; so
// the content of the first is what is there already, as far as it goes.
static _Noreturn void victim(const struct attempt *attempt)
{
    const struct calls *calls = attempt->side->calls;
    if (attempt->kind != READS && attempt->before == attempt->length)
        calls->pwrite((int)attempt->variant, attempt->fd, attempt->old, attempt->length, attempt->offset);
    *begun() = 1;
    for (uint64_t round = 1;; round++) {
        if (attempt->kind != READS) pattern_fill(attempt->fresh, attempt->length, pattern_of(attempt, round));
        if (attempt->kind != PWRITES) raw_calls.lseek(0, attempt->fd, attempt->offset, SEEK_SET);
        long moved = 0;
        switch (attempt->kind) {
        case PWRITES:
            moved = calls->pwrite((int)attempt->variant, attempt->fd, attempt->fresh, attempt->length, attempt->offset);
            break;
        case WRITES: moved = calls->write((int)attempt->variant, attempt->fd, attempt->fresh, attempt->length); break;
        case READS: moved = calls->read((int)attempt->variant, attempt->fd, attempt->now, attempt->length); break;
        }
        if (moved != (long)attempt->length) _exit(STATUS_DIFFERS);
        *acknowledged() = round;
    }
}

static void pause_for(uint64_t nanoseconds)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while ((uint64_t)((now.tv_sec - begin.tv_sec) * 1000000000ll + now.tv_nsec - begin.tv_nsec) < nanoseconds);
}

// What was there after round `round`; after none, what is in `bytes` already.
static void content(const struct attempt *attempt, uint64_t round, unsigned char *bytes)
{
    if (round == 0) memset(bytes + attempt->before, 0, attempt->length - attempt->before);
    else pattern_fill(bytes, attempt->length, pattern_of(attempt, round));
}

// Every acknowledged write whole; of the one after it a beginning, none or all.
static const char *permitted(const struct attempt *attempt, uint64_t done)
{
    long got = raw_calls.pread(0, attempt->fd, attempt->now, attempt->length, attempt->offset);
    if (got < 0 || (done > 0 && got != (long)attempt->length)) return "killed: an acknowledged write's bytes are gone";
    content(attempt, done, attempt->old);
    content(attempt, done + 1, attempt->fresh);
    size_t place = 0, length = (size_t)got;
    while (place < length && attempt->now[place] == attempt->fresh[place]) place++;
    // A file that this very write was extending has been lengthened by its beginning only.
    if (done == 0 && place == length) return NULL;
    for (; place < length; place++)
        if (attempt->now[place] != attempt->old[place])
            return "killed within a write: neither old, new nor a beginning of new";
    return length < attempt->before ? "killed within a write: the file is shorter" : NULL;
}

static const char *kill_within(struct attempt *attempt, uint64_t nanoseconds)
{
    *acknowledged() = *begun() = 0;
    if (attempt->kind != PWRITES) raw_calls.lseek(0, attempt->fd, attempt->offset, SEEK_SET);
    pid_t pid = fork();
    if (pid == 0) victim(attempt);
    if (pid < 0) return NULL;
    for (int patience = 0; *begun() == 0 && patience < 20000; patience++)
        pause_for(1000);
    pause_for(nanoseconds);
    kill(pid, SIGKILL);
    await_end(pid);
    if (attempt->kind != PWRITES) {
        long offset = raw_calls.lseek(0, attempt->fd, 0, SEEK_CUR);
        // Of an interrupted call the offset may be where it was, where it would be, or (a beginning) between.
        if (offset < attempt->offset || offset > attempt->offset + (int64_t)attempt->length)
            return "killed: the shared offset is where no call has moved it";
    }
    return attempt->kind == READS ? NULL : permitted(attempt, *acknowledged());
}

static bool possible(struct attempt *attempt, struct side *side, const struct op *op, const struct place *place)
{
    enum { MOST = 128 << 10 };
    static unsigned char bytes[3][MOST];
    struct stat status;
    long flags = raw_calls.fcntl(0, side_fd(side, op->slot), F_GETFL, 0);
    *attempt = (struct attempt){side, (enum killed)place->value, side_fd(side, op->slot), op->variant, place->offset,
                                place->length < MOST ? place->length : MOST, op->pattern, 0, bytes[0], bytes[1],
                                bytes[2]};
    if (flags < 0 || (flags & (O_PATH | O_DIRECT | O_APPEND)) != 0 || (flags & O_ACCMODE) != O_RDWR ||
        !slot_stat(side, op->slot, &status) || !S_ISREG(status.st_mode) || attempt->offset < 0 || attempt->length == 0)
        return false;
    // Under a file size limit, or with the device full, writes are short: that is not what is asked here.
    int64_t most = attempt->kind == READS ? status.st_size : side->limit;
    if (attempt->offset > most - (int64_t)attempt->length || context.memory_limited) return false;
    long got = raw_calls.pread(0, attempt->fd, attempt->old, attempt->length, attempt->offset);
    attempt->before = got < 0 ? 0 : (size_t)got;
    return got >= 0;
}

static void run_killed(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    struct attempt attempt;
    if (!possible(&attempt, side, op, place)) {
        result->skipped = true;
        return;
    }
    // From a few to several hundred thousand nanoseconds: within one of the first calls, or some calls later. Spread,
    // so that a plainer pattern is not always an early moment.
    uint64_t spread = op->pattern * 2654435761u >> 8;
    uint64_t nanoseconds = spread % 3 == 0 ? spread % 400000 : spread % 40000;
    if (side == running->served) result->wrong = kill_within(&attempt, nanoseconds);
    // Then the same on both sides, by the process that goes on.
    if (attempt.kind != READS) {
        pattern_fill(attempt.fresh, attempt.length, attempt.pattern);
        result_set(result, side->calls->pwrite((int)attempt.variant, attempt.fd, attempt.fresh, attempt.length,
                                               attempt.offset));
    }
    if (attempt.kind != PWRITES) raw_calls.lseek(0, attempt.fd, attempt.offset + (int64_t)attempt.length, SEEK_SET);
}

static const struct choice within[] = {{"pwrite", PWRITES, 3}, {"write", WRITES, 2}, {"read", READS, 1}, {NULL, 0, 0}};

static const struct kind kinds[] = {
    {"kill", 3, VARIANT, ONCE | CONTROL, NULL, run_kill},
    {"killed", 4, SLOT | OFFSET | LENGTH | VARIANT | CHOICE, UNSEEN | UNTIMED, within, run_killed},
};

const struct group kill_group = {"kill", kinds, sizeof kinds / sizeof *kinds};
