// A file that another process cuts, lengthens or punches while this one reads and writes it. What may come back at any
// such moment is known byte by byte; what is left in the end is the same on both sides.
#include "exerciser.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum shaking { CUTS, PUNCHES, CUTS_TO_NOTHING };

enum { MOST = 300 << 10, CALLS = 60 };

// Near the end no page goes; so every other time it is far from it.
static int64_t place_of_cut(const struct op *op, const struct place *place)
{
    if (place->value == CUTS_TO_NOTHING) return 0;
    return op->pattern % 2 == 0 ? place->offset : place->offset / 2;
}

// ---- in the second process

// Each size for a while, so that reads meet both, and the change.
static void stay(uint64_t *state)
{
    struct timespec begin, now;
    int64_t nanoseconds = (int64_t)(random_next(state) % 20000);
    // Also where there is no processor for both.
    if (nanoseconds % 3 == 0) nanosleep(&(struct timespec){0, 1000}, NULL);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000ll + now.tv_nsec - begin.tv_nsec < nanoseconds);
}

static void shake(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    side_path(side, op->name, 0, path, sizeof path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int64_t small = place_of_cut(op, place);
    uint64_t state = op->pattern;
    for (unsigned round = 0; fd >= 0 && round < 30u + op->pattern % 60; round++) {
        if (place->value == PUNCHES) {
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, small, place->size - small);
            stay(&state);
            continue;
        }
        if (ftruncate(fd, small) != 0) break;
        stay(&state);
        if (ftruncate(fd, place->size) != 0) break;
        stay(&state);
    }
    result_set(result, fd);
    if (fd >= 0) close(fd);
}

// ---- in this one, meanwhile

struct shaken {
    struct side *side;
    int fd;
    int64_t small, size; // the file's size is one or the other
    bool cut;            // or it keeps its size, and is punched
    unsigned char *known; // what was or will be before `small`, and was behind it
    const char *wrong;
};

static void read_shaken(struct shaken *shaken, int64_t offset, size_t length, int variant)
{
    static unsigned char buffer[MOST];
    long got = shaken->side->calls->pread(variant, shaken->fd, buffer, length, offset);
    int64_t least = shaken->cut ? shaken->small - offset : shaken->size - offset, most = shaken->size - offset;
    least = least < 0 ? 0 : least > (int64_t)length ? (int64_t)length : least;
    most = most < 0 ? 0 : most > (int64_t)length ? (int64_t)length : most;
    if (got < least || got > most) {
        shaken->wrong = "a read of a file that is being cut returned a length it never had";
        return;
    }
    for (int64_t index = 0; index < got; index++) {
        unsigned char byte = buffer[index], was = shaken->known[offset + index];
        if (byte == was || (byte == 0 && offset + index >= shaken->small)) continue;
        shaken->wrong = offset + index < shaken->small
                            ? "a read before the place of the cut got other bytes"
                            : "a read behind the place of the cut got neither zeros nor what was there";
        return;
    }
}

static void write_shaken(struct shaken *shaken, int64_t offset, size_t length, int variant, uint32_t pattern)
{
    if (offset >= shaken->small) return;
    if ((int64_t)length > shaken->small - offset) length = (size_t)(shaken->small - offset);
    pattern_fill(shaken->known + offset, length, pattern);
    long put = shaken->side->calls->pwrite(variant, shaken->fd, shaken->known + offset, length, offset);
    if (put != (long)length) shaken->wrong = "a write before the place of the cut was short";
}

static void run_shaken(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    static unsigned char known[MOST];
    char path[1024];
    if (in_helper) {
        if (place->size <= MOST && place->offset >= 0 && place->offset < place->size) shake(side, op, place, result);
        return;
    }
    side_path(side, op->name, op->variant, path, sizeof path);
    struct shaken shaken = {.side = side, .small = place_of_cut(op, place),
                            .size = place->size, .cut = place->value != PUNCHES, .known = known};
    if (place->size > MOST || place->offset < 0 || place->offset >= place->size) {
        result->skipped = true;
        return;
    }
    shaken.fd = (int)side->calls->open(op->variant, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    memset(known, 0, sizeof known);
    // As far as it is there at this moment: behind the place of the cut it may be zeros already.
    long got = shaken.fd < 0 ? -1 : raw_calls.pread(0, shaken.fd, known, (size_t)shaken.size, 0);
    uint64_t state = op->pattern;
    for (unsigned call = 0; got >= 0 && call < CALLS && shaken.wrong == NULL; call++) {
        int64_t offset = (int64_t)(random_next(&state) % (uint64_t)shaken.size);
        // Often across the place of the cut.
        if (call % 2 == 0) offset = shaken.small - (int64_t)(random_next(&state) % (2 * PAGE));
        if (offset < 0) offset = 0;
        size_t length = random_next(&state) % 3 == 0 ? PAGE : random_next(&state) % 20000;
        // Often to the end, seldom past it.
        if (call % 4 != 1 && (int64_t)length > shaken.size - offset) length = (size_t)(shaken.size - offset);
        if ((int64_t)length > MOST - offset) length = (size_t)(MOST - offset);
        if (call % 3 == 2) write_shaken(&shaken, offset, length, op->variant, op->pattern + call);
        else read_shaken(&shaken, offset, length, op->variant);
    }
    if (shaken.fd >= 0) side->calls->close(op->variant, shaken.fd);
    result->wrong = shaken.wrong;
    result->ret = got >= 0 ? 0 : -1;
}

static const struct choice ways[] = {
    {"cut", CUTS, 4}, {"punch", PUNCHES, 2}, {"cut-to-nothing", CUTS_TO_NOTHING, 1}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"shaken", 6, NAME | OFFSET | VARIANT | CHOICE, BY_NAME | BESIDE | UNSEEN | UNTIMED, ways, run_shaken},
};

const struct group truncation_group = {"truncation", kinds, sizeof kinds / sizeof *kinds};
