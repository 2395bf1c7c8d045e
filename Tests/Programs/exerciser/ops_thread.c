// Threads: which of them does what follows, and several of them at once on one file. What happens at once has no order,
// so such an operation is one whose outcome does not depend on it, or is checked by itself and then made the same.
#include "exerciser.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

// What follows is done by this thread of the process.
static void run_worker(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)place, (void)result;
    context.worker = op->variant % (WORKERS + 1);
}

static void run_handler(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)op, (void)result;
    context.handler = (enum handler_kind)place->value;
}

// ---- several at once

enum race_kind { RANGES, READS, WRITES, NUMBERS, TAIL, COPIES };

enum { RACERS = 4, PIECE = 16 << 10, ROUNDS = 6 };

struct race {
    struct side *side;
    enum race_kind kind;
    int fd, other;
    unsigned racers, rounds, variant;
    size_t length;
    int64_t offset, size, small;
    uint32_t pattern;
    pthread_barrier_t begin, turn;
};

struct racer {
    struct race *race;
    unsigned index;
    uint64_t sum; // of what it got, in any order
    int64_t total;
    const char *wrong;
    unsigned char buffer[PIECE], expected[PIECE];
};

static struct racer racers[RACERS];
static unsigned char before[2][PIECE]; // what the two files have at the place where they are read

static uint64_t hash(const unsigned char *bytes, size_t length)
{
    uint64_t value = 1469598103934665603ull;
    for (size_t index = 0; index < length; index++) value = (value ^ bytes[index]) * 1099511628211ull;
    return value;
}

// Neighbours share a page, never a byte.
static void race_ranges(struct racer *racer)
{
    const struct race *race = racer->race;
    int64_t offset = race->offset + (int64_t)(racer->index * race->length);
    for (unsigned round = 0; round < race->rounds; round++) {
        pattern_fill(racer->expected, race->length, race->pattern + racer->index * 64 + round);
        long put = race->side->calls->pwrite((int)race->variant, race->fd, racer->expected, race->length, offset);
        if (put != (long)race->length) racer->wrong = "threads on ranges of their own: pwrite was short";
        long got = race->side->calls->pread((int)race->variant, race->fd, racer->buffer, race->length, offset);
        if (got != (long)race->length || memcmp(racer->buffer, racer->expected, race->length) != 0)
            racer->wrong = "threads on ranges of their own: one does not read what it wrote";
    }
}

static void race_reads(struct racer *racer)
{
    const struct race *race = racer->race;
    for (unsigned round = 0; round < race->rounds; round++) {
        long got = race->side->calls->read((int)race->variant, race->fd, racer->buffer, race->length);
        racer->total += got;
        if (got > 0) racer->sum += hash(racer->buffer, (size_t)got);
    }
}

static void piece_fill(unsigned char *bytes, const struct race *race, unsigned piece)
{
    pattern_fill(bytes, race->length, race->pattern + piece);
    memcpy(bytes, &piece, sizeof piece);
}

static void race_writes(struct racer *racer)
{
    const struct race *race = racer->race;
    for (unsigned round = 0; round < race->rounds; round++) {
        piece_fill(racer->buffer, race, racer->index * race->rounds + round);
        racer->total += race->side->calls->write((int)race->variant, race->fd, racer->buffer, race->length);
    }
}

// Numbers come to mean one file and then the other, each thread's its own, some of them just given back by another.
static void race_numbers(struct racer *racer)
{
    const struct race *race = racer->race;
    const struct calls *calls = race->side->calls;
    for (unsigned round = 0; round < 4 * race->rounds; round++) {
        unsigned which = (racer->index + round) % 2;
        int fds[2] = {race->fd, race->other};
        int number = (int)calls->dup(fds[1 - which]);
        if (number < 0) continue; // none left below the limit: another operation's doing
        if (round % 3 != 0) calls->dup2(fds[which], number);
        unsigned meant = round % 3 != 0 ? which : 1 - which;
        long got = calls->pread((int)race->variant, number, racer->buffer, race->length, race->offset);
        if (got != (long)race->length || memcmp(racer->buffer, before[meant], race->length) != 0)
            racer->wrong = "threads that reuse numbers: bytes of another file";
        calls->close((int)round % 3, number);
    }
}

// One cuts and lengthens the file's tail, the others work before it.
static void race_tail(struct racer *racer)
{
    const struct race *race = racer->race;
    int64_t offset = (int64_t)((racer->index - 1) * race->length);
    for (unsigned round = 0; round < 3 * race->rounds; round++) {
        if (racer->index == 0) {
            race->side->calls->ftruncate((int)race->variant, race->fd, race->small);
            race->side->calls->ftruncate((int)race->variant, race->fd, race->size);
            continue;
        }
        pattern_fill(racer->expected, race->length, race->pattern + racer->index * 64 + round);
        long put = race->side->calls->pwrite((int)race->variant, race->fd, racer->expected, race->length, offset);
        long got = race->side->calls->pread((int)race->variant, race->fd, racer->buffer, race->length, offset);
        if (put != (long)race->length || got != put || memcmp(racer->buffer, racer->expected, race->length) != 0)
            racer->wrong = "a thread before the end that another one moves does not read what it wrote";
    }
}

// By its offset, which sendfile alone writes at: a description of its own.
static long copy_by_sendfile(const struct race *race)
{
    const struct calls *calls = race->side->calls;
    char path[64];
    off_t from = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", race->fd);
    int to = (int)calls->open((int)race->variant, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (to < 0) return -1;
    calls->lseek((int)race->variant, to, race->offset, SEEK_SET);
    long copied = calls->sendfile((int)race->variant, to, race->other, &from, race->length);
    calls->close((int)race->variant, to);
    return copied;
}

static long copy_by_splice(const struct race *race)
{
    const struct calls *calls = race->side->calls;
    off_t from = 0, to = race->offset;
    int ends[2];
    if (calls->pipe2(ends, O_CLOEXEC) != 0) return -1;
    long copied = calls->splice(race->other, &from, ends[1], NULL, race->length);
    if (copied > 0) copied = calls->splice(ends[0], NULL, race->fd, &to, (size_t)copied);
    calls->close(0, ends[0]);
    calls->close(0, ends[1]);
    return copied;
}

static long copy(const struct race *race, unsigned round)
{
    off_t from = 0, to = race->offset;
    switch ((race->variant + round) % 3) {
    case 0: return race->side->calls->copy_file_range(race->other, &from, race->fd, &to, race->length);
    case 1: return copy_by_sendfile(race);
    default: return copy_by_splice(race);
    }
}

// One copies into a range within the kernel, the others write it: in the end it is one of them, whole.
static void race_copies(struct racer *racer)
{
    struct race *race = racer->race;
    bool copies = racer->index == 0;
    for (unsigned round = 0; round < 4 * race->rounds; round++) {
        if (!copies) pattern_fill(racer->expected, race->length, race->pattern + racer->index * 64 + round);
        pthread_barrier_wait(&race->turn);
        long moved = copies ? copy(race, round)
                            : race->side->calls->pwrite((int)race->variant, race->fd, racer->expected, race->length,
                                                        race->offset);
        if (!copies && moved != (long)race->length) racer->wrong = "beside a copy pwrite was short";
        pthread_barrier_wait(&race->turn);
        // A copy may be short, and then leaves the rest to whoever else was there.
        if (copies && moved == (long)race->length) {
            long got = raw_calls.pread(0, race->fd, racer->buffer, race->length, race->offset);
            bool whole = memcmp(racer->buffer, before[1], race->length) == 0;
            for (unsigned index = 1; index < race->racers; index++)
                whole |= memcmp(racer->buffer, racers[index].expected, race->length) == 0;
            if (got != moved || !whole) racer->wrong = "a copy within the kernel and a write are mixed";
        }
        // What each wrote is looked at until here.
        pthread_barrier_wait(&race->turn);
    }
}

static void *race(void *argument)
{
    struct racer *racer = argument;
    static void (*const bodies[])(struct racer *) = {race_ranges, race_reads,  race_writes,
                                                     race_numbers, race_tail, race_copies};
    pthread_barrier_wait(&racer->race->begin);
    bodies[racer->race->kind](racer);
    return NULL;
}

// Each piece once and whole, in any order; then the same order on both sides.
static const char *settle_writes(const struct race *race, int64_t start)
{
    unsigned pieces = race->racers * race->rounds;
    uint64_t seen = 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", race->fd);
    int fd = (int)raw_calls.open(0, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    const char *wrong = fd < 0 ? "the file written by several threads cannot be opened" : NULL;
    for (unsigned index = 0; index < pieces && fd >= 0; index++) {
        int64_t offset = start + (int64_t)(index * race->length);
        unsigned piece;
        if (raw_calls.pread(0, fd, racers[0].buffer, race->length, offset) != (long)race->length) {
            wrong = "several threads wrote, and the file is too short";
            break;
        }
        memcpy(&piece, racers[0].buffer, sizeof piece);
        if (piece < pieces) piece_fill(racers[0].expected, race, piece);
        bool whole = piece < pieces && memcmp(racers[0].buffer, racers[0].expected, race->length) == 0;
        if (!whole) wrong = "several threads wrote, and their bytes are mixed";
        else if ((seen & 1ull << piece) != 0) wrong = "several threads wrote, and one write is there twice";
        if (whole) seen |= 1ull << piece;
    }
    for (unsigned index = 0; index < pieces && fd >= 0; index++) {
        piece_fill(racers[0].expected, race, index);
        raw_calls.pwrite(0, fd, racers[0].expected, race->length, start + (int64_t)(index * race->length));
    }
    if (fd >= 0) raw_calls.close(0, fd);
    return wrong;
}

// What the kernel would refuse to write to. A file that is no memfd has the one seal that forbids all others.
static bool sealed(int fd)
{
    long seals = raw_calls.fcntl(0, fd, F_GET_SEALS, 0);
    return seals > 0 && (seals & ~(long)F_SEAL_SEAL) != 0;
}

static bool regular(struct side *side, unsigned slot, int access, int refused)
{
    struct stat status;
    long flags = raw_calls.fcntl(0, side_fd(side, slot), F_GETFL, 0);
    bool fits = access == O_RDWR ? (flags & O_ACCMODE) == O_RDWR : (flags & O_ACCMODE) != (access ^ O_WRONLY);
    if (access != O_RDONLY && sealed(side_fd(side, slot))) return false;
    return flags >= 0 && fits && (flags & (O_PATH | O_DIRECT | refused)) == 0 && slot_stat(side, slot, &status) &&
           S_ISREG(status.st_mode);
}

// Whether reads and writes at its offset exclude one another. Natively those of what was opened by a path do
// (f_pos_lock); memfd_create makes a description without FMODE_ATOMIC_POS. Measured, two threads that write three times
// each: of 20,000 rounds 10,829 lost writes to one another in a memfd, none in the same memfd opened through /proc,
// none in a file (Linux 6.18).
static bool locks_offset(int fd)
{
    static const char unnamed[] = "/memfd:";
    char path[64], name[sizeof unnamed] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, name, sizeof name - 1) > 0 && strcmp(name, unnamed) != 0;
}

static bool same_file(const struct side *side, unsigned slot, unsigned other)
{
    struct stat a, b;
    return !slot_stat(side, slot, &a) || !slot_stat(side, other, &b) || (a.st_ino == b.st_ino && a.st_dev == b.st_dev);
}

static bool prepare(struct race *race, struct side *side, const struct op *op, const struct place *place)
{
    struct stat status;
    *race = (struct race){.side = side, .kind = (enum race_kind)place->value, .fd = side_fd(side, op->slot),
                          .other = side_fd(side, op->other), .racers = 2 + op->shape % 3u,
                          .rounds = 1 + op->shape / 3u % ROUNDS, .variant = op->variant, .offset = place->offset,
                          .pattern = op->pattern};
    race->length = place->length < 16 ? 16 : place->length > PIECE ? PIECE : place->length;
    if (!context_workers_start() || context.memory_limited || !slot_stat(side, op->slot, &status)) return false;
    race->size = status.st_size;
    int64_t all = (int64_t)(race->racers * race->length);
    long current = raw_calls.lseek(0, race->fd, 0, SEEK_CUR);
    switch (race->kind) {
    case RANGES:
        return regular(side, op->slot, O_RDWR, O_APPEND) && race->offset >= 0 && race->offset <= side->limit - all;
    case READS: return regular(side, op->slot, O_RDONLY, 0) && locks_offset(race->fd);
    case WRITES:
        return regular(side, op->slot, O_WRONLY, 0) && locks_offset(race->fd) &&
               current <= side->limit - all * race->rounds &&
               race->size <= side->limit - all * race->rounds;
    case NUMBERS:
        return regular(side, op->slot, O_RDONLY, 0) && regular(side, op->other, O_RDONLY, 0) && race->offset >= 0 &&
               raw_calls.pread(0, race->fd, before[0], race->length, race->offset) == (long)race->length &&
               raw_calls.pread(0, race->other, before[1], race->length, race->offset) == (long)race->length;
    case COPIES:
        return regular(side, op->slot, O_RDWR, O_APPEND) && regular(side, op->other, O_RDONLY, 0) &&
               !same_file(side, op->slot, op->other) && race->offset >= 0 &&
               race->offset <= side->limit - (int64_t)race->length &&
               raw_calls.pread(0, race->other, before[1], race->length, 0) == (long)race->length;
    case TAIL:
        race->small = (int64_t)((race->racers - 1) * race->length) + op->pattern % 100;
        return regular(side, op->slot, O_RDWR, O_APPEND) && race->small < race->size;
    }
    return false;
}

static void run_race(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    struct race race_now;
    pthread_t threads[RACERS];
    pthread_attr_t attributes;
    if (!prepare(&race_now, side, op, place)) {
        result->skipped = true;
        return;
    }
    // A read in the middle of its copy, when another thread cuts and lengthens the file, fills a page of the hole that
    // the end has just become: its end probe (docs/limitations.md).
    if (race_now.kind == TAIL) side->holes = side->seeks = false;
    long flags = raw_calls.fcntl(0, race_now.fd, F_GETFL, 0);
    int64_t start = (flags & O_APPEND) != 0 ? race_now.size : raw_calls.lseek(0, race_now.fd, 0, SEEK_CUR);
    pthread_barrier_init(&race_now.begin, NULL, race_now.racers);
    pthread_barrier_init(&race_now.turn, NULL, race_now.racers);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 << 10);
    for (unsigned index = 0; index < race_now.racers; index++) {
        racers[index].race = &race_now;
        racers[index].index = index;
        racers[index].sum = 0;
        racers[index].total = 0;
        racers[index].wrong = NULL;
        if (pthread_create(&threads[index], &attributes, race, &racers[index]) != 0) _exit(STATUS_USAGE);
    }
    pthread_attr_destroy(&attributes);
    for (unsigned index = 0; index < race_now.racers; index++) {
        pthread_join(threads[index], NULL);
        result->hash += racers[index].sum;
        result->ret += racers[index].total;
        if (racers[index].wrong != NULL) result->wrong = racers[index].wrong;
    }
    pthread_barrier_destroy(&race_now.begin);
    pthread_barrier_destroy(&race_now.turn);
    // The last of them is not the same on both sides.
    if (race_now.kind == COPIES) {
        pattern_fill(racers[0].expected, race_now.length, race_now.pattern);
        raw_calls.pwrite(0, race_now.fd, racers[0].expected, race_now.length, race_now.offset);
    }
    if (race_now.kind == WRITES && result->ret == (int64_t)(race_now.racers * race_now.rounds * race_now.length)) {
        const char *wrong = settle_writes(&race_now, start);
        if (wrong != NULL) result->wrong = wrong;
    }
}

static const struct choice handlers[] = {
    {"plain", HANDLER_PLAIN, 2}, {"all-blocked", HANDLER_ALL_BLOCKED, 3}, {"other-stack", HANDLER_OTHER_STACK, 2},
    {NULL, 0, 0},
};

static const struct choice races[] = {
    {"ranges", RANGES, 3}, {"reads", READS, 3}, {"writes", WRITES, 3}, {"numbers", NUMBERS, 2}, {"tail", TAIL, 2},
    {"copies", COPIES, 3}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"worker", 16, VARIANT, ONCE | CONTROL, NULL, run_worker},
    {"handler", 12, CHOICE, ONCE | CONTROL, handlers, run_handler},
    // Two descriptors of one file may be made by others, whose holes the shim cannot see.
    {"race", 8, SLOT | OTHER | OFFSET | LENGTH | SHAPE | VARIANT | CHOICE, UNTIMED, races, run_race},
};

const struct group thread_group = {"threads", kinds, sizeof kinds / sizeof *kinds};
