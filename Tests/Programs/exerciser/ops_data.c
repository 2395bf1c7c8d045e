// Reads, writes, their vectored and positioned forms, and the offset.
#include "exerciser.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#ifndef RWF_HIPRI
#define RWF_HIPRI 1
#define RWF_DSYNC 2
#define RWF_SYNC 4
#define RWF_NOWAIT 8
#define RWF_APPEND 16
#endif

static size_t asked(const struct op *op, size_t length)
{
    if (op->fault == FAULT_NEGATIVE) return (size_t)-1;
    return op->fault == FAULT_GIANT ? 0x7ffffff0 : length;
}

static void run_read(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result_set(result, side->calls->read(op->variant, side_fd(side, op->slot), buffer, asked(op, place->length)));
}

static void run_write(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result_set(result, side->calls->write(op->variant, side_fd(side, op->slot), buffer, asked(op, place->length)));
}

static void run_pread(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result_set(result, side->calls->pread(op->variant, side_fd(side, op->slot), buffer, asked(op, place->length),
                                          place->offset));
}

static void run_pwrite(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result_set(result, side->calls->pwrite(op->variant, side_fd(side, op->slot), buffer, asked(op, place->length),
                                           place->offset));
}

// ---- vectors: the buffer cut into segments by the op's shape

enum { VECTORS = 1025 };

struct vectors {
    struct iovec segments[VECTORS];
    int count;
};

enum shape_special { SHAPE_NONE = 250, SHAPE_MINUS_ONE, SHAPE_TOO_MANY, SHAPE_BAD_LENGTH, SHAPE_BAD_BASE, SHAPE_MANY };

static void cut(struct vectors *vectors, const struct op *op, unsigned char *buffer, size_t length)
{
    uint64_t state = op->shape;
    size_t done = 0;
    int count = 0;
    int wanted = op->shape == SHAPE_MANY || op->shape == SHAPE_TOO_MANY ? 1024 : 1 + op->shape % 9;
    while (count < wanted) {
        size_t left = length - done;
        size_t part = count + 1 == wanted ? left : random_next(&state) % (2 * length / (size_t)wanted + 2);
        if (count > 0 && op->shape % 5 == 0 && count % 3 == 1) part = 0;
        // Whole pages now and then: databases cut their buffers so.
        if (op->shape % 7 == 3 && part > PAGE) part &= ~(size_t)(PAGE - 1);
        if (part > left) part = left;
        vectors->segments[count++] = (struct iovec){part == 0 ? NULL : buffer + done, part};
        done += part;
    }
    if (done < length && count > 0) {
        struct iovec *last = &vectors->segments[count - 1];
        *last = (struct iovec){buffer + done - last->iov_len, last->iov_len + length - done};
    }
    vectors->count = count;
    switch (op->shape) {
    case SHAPE_NONE: vectors->count = 0; break;
    case SHAPE_MINUS_ONE: vectors->count = -1; break;
    case SHAPE_TOO_MANY: vectors->segments[1024] = vectors->segments[0], vectors->count = 1025; break;
    case SHAPE_BAD_LENGTH: vectors->segments[count - 1].iov_len = (size_t)-1; break;
    case SHAPE_BAD_BASE: vectors->segments[count - 1] = (struct iovec){NULL, 100}; break;
    default: break;
    }
}

static const struct iovec *vectored(struct side *side, const struct op *op, const struct place *place,
                                    struct result *result, int *count)
{
    static struct vectors vectors;
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    cut(&vectors, op, buffer, place->length);
    *count = vectors.count;
    return op->fault == FAULT_NEGATIVE ? (const struct iovec *)8 : vectors.segments;
}

static void run_readv(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int count;
    const struct iovec *vectors = vectored(side, op, place, result, &count);
    result_set(result, side->calls->readv(op->variant, side_fd(side, op->slot), vectors, count));
}

static void run_writev(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int count;
    const struct iovec *vectors = vectored(side, op, place, result, &count);
    result_set(result, side->calls->writev(op->variant, side_fd(side, op->slot), vectors, count));
}

static void run_preadv(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int count;
    const struct iovec *vectors = vectored(side, op, place, result, &count);
    result_set(result,
               side->calls->preadv(op->variant, side_fd(side, op->slot), vectors, count, place->offset));
}

static void run_pwritev(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int count;
    const struct iovec *vectors = vectored(side, op, place, result, &count);
    result_set(result,
               side->calls->pwritev(op->variant, side_fd(side, op->slot), vectors, count, place->offset));
}

// Choices of the flagged forms: the flag, or (negative) "at the current offset" with the flag in the low bits.
#define HERE (-1000)

static void run_preadv2(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int count;
    const struct iovec *vectors = vectored(side, op, place, result, &count);
    bool here = place->value < 0;
    result_set(result, side->calls->preadv2(op->variant, side_fd(side, op->slot), vectors, count,
                                            here ? -1 : place->offset, here ? place->value - HERE : place->value));
}

static void run_pwritev2(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int count;
    const struct iovec *vectors = vectored(side, op, place, result, &count);
    bool here = place->value < 0;
    result_set(result, side->calls->pwritev2(op->variant, side_fd(side, op->slot), vectors, count,
                                             here ? -1 : place->offset, here ? place->value - HERE : place->value));
}

static void run_lseek(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = side_fd(side, op->slot);
    int64_t offset = place->offset;
    if (place->value == SEEK_CUR) offset -= place->offset2; // offset2: the current one
    if (place->value == SEEK_END) offset -= place->size;
    result_set(result, side->calls->lseek(op->variant, fd, offset, place->value));
    if ((place->value == SEEK_DATA || place->value == SEEK_HOLE) && !side->seeks) {
        // Elsewhere than on tmpfs they depend on what the kernel has cached and written back; on tmpfs a served read
        // fills those that the shim does not know of, and space set aside is a hole until it is read through a mapping
        // (docs/limitations.md). Only go on from the same place.
        result->ret = result->err = 0;
        side->calls->lseek(op->variant, fd, offset < 0 ? 0 : offset, SEEK_SET);
    }
}

static const struct choice read_flags[] = {
    {"plain", 0, 6}, {"hipri", RWF_HIPRI, 2}, {"here", HERE, 4}, {"here-hipri", HERE + RWF_HIPRI, 1},
    {"dsync", RWF_DSYNC, 1}, {"unknown", 0x4000000, 1}, {NULL, 0, 0},
};

static const struct choice write_flags[] = {
    {"plain", 0, 6}, {"hipri", RWF_HIPRI, 2}, {"here", HERE, 4}, {"here-append", HERE + RWF_APPEND, 1},
    {"append", RWF_APPEND, 2}, {"dsync", RWF_DSYNC, 2}, {"sync", RWF_SYNC, 1}, {"here-dsync", HERE + RWF_DSYNC, 1},
    {"unknown", 0x4000000, 1}, {NULL, 0, 0},
};

static const struct choice whences[] = {
    {"set", SEEK_SET, 6}, {"cur", SEEK_CUR, 4}, {"end", SEEK_END, 4}, {"data", SEEK_DATA, 2}, {"hole", SEEK_HOLE, 2},
    {"unknown", 77, 1}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"read", 60, SLOT | LENGTH | BUFFER | VARIANT, IMPLICIT | LONG_READ, NULL, run_read},
    {"write", 60, SLOT | LENGTH | BUFFER | VARIANT, IMPLICIT | EXTENDS | FILLS, NULL, run_write},
    {"pread", 90, SLOT | OFFSET | LENGTH | BUFFER | VARIANT, LONG_READ, NULL, run_pread},
    {"pwrite", 90, SLOT | OFFSET | LENGTH | BUFFER | VARIANT, EXTENDS | FILLS, NULL, run_pwrite},
    {"readv", 25, SLOT | LENGTH | BUFFER | SHAPE, IMPLICIT, NULL, run_readv},
    {"writev", 25, SLOT | LENGTH | BUFFER | SHAPE, IMPLICIT | EXTENDS | FILLS, NULL, run_writev},
    {"preadv", 25, SLOT | OFFSET | LENGTH | BUFFER | SHAPE | VARIANT, 0, NULL, run_preadv},
    {"pwritev", 25, SLOT | OFFSET | LENGTH | BUFFER | SHAPE | VARIANT, EXTENDS | FILLS, NULL, run_pwritev},
    {"preadv2", 20, SLOT | OFFSET | LENGTH | BUFFER | SHAPE | VARIANT | CHOICE, 0, read_flags, run_preadv2},
    {"pwritev2", 20, SLOT | OFFSET | LENGTH | BUFFER | SHAPE | VARIANT | CHOICE, EXTENDS | FILLS, write_flags,
     run_pwritev2},
    {"lseek", 40, SLOT | OFFSET | VARIANT | CHOICE, 0, whences, run_lseek},
};

const struct group data_group = {"data", kinds, sizeof kinds / sizeof *kinds};
