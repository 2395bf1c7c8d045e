// Files in memory that may be sealed. A seal on writing is refused while a mapping could write, which a program that
// has made none does not expect; and what is sealed must stay as it is, also by a mapping made before.
#include "exerciser.h"

#include <fcntl.h>
#include <unistd.h>

// Linux 6.3; the C library's headers may be older.
enum { ALLOW_SEALING = 2, SEAL_FUTURE_WRITE = 0x10 };

static void run_memfd(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    static unsigned char bytes[64 << 10];
    long fd = side->calls->memfd_create("exerciser-sealed", ALLOW_SEALING);
    pattern_fill(bytes, sizeof bytes, op->pattern);
    // Where files are small, so are these.
    size_t done = 0, length = place->length + (side->limit > 2 * place->value ? (size_t)place->value : 0);
    if ((int64_t)length > side->limit) length = (size_t)side->limit;
    while (fd >= 0 && done < length) {
        size_t part = length - done < sizeof bytes ? length - done : sizeof bytes;
        long put = side->calls->pwrite(op->variant, (int)fd, bytes, part, (off_t)done);
        if (put <= 0) break;
        done += (size_t)put;
    }
    result->extra = (int64_t)done;
    slot_take(side, op->slot, fd, result);
}

static void run_seal(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = side_fd(side, op->slot);
    result_set(result, side->calls->fcntl(op->variant, fd, F_ADD_SEALS, place->value));
    result->extra = side->calls->fcntl(op->variant, fd, F_GET_SEALS, 0);
}

static const struct choice seals[] = {
    {"future-write", SEAL_FUTURE_WRITE, 4}, {"write", F_SEAL_WRITE, 4}, {"shrink", F_SEAL_SHRINK, 2},
    {"grow", F_SEAL_GROW, 2}, {"shrink|grow", F_SEAL_SHRINK | F_SEAL_GROW, 2}, {"seal", F_SEAL_SEAL, 1},
    {"unknown", 0x4000, 1}, {NULL, 0, 0},
};

// An engine may take the pages of a mount that it cannot find for huge ones.
static const struct choice sizes[] = {{"plain", 0, 1}, {"large", 3 << 20, 2}, {NULL, 0, 0}};

static const struct kind kinds[] = {
    {"memfd", 20, SLOT | OFFSET | LENGTH | VARIANT | CHOICE, 0, sizes, run_memfd},
    {"seal", 12, SLOT | VARIANT | CHOICE, 0, seals, run_seal},
};

const struct group seal_group = {"seals", kinds, sizeof kinds / sizeof *kinds};
