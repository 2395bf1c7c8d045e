// Vectors that lie in what they transfer: readv into the memory that holds its own vector, writev from a vector in a
// mapping of the file that is written. The kernel reads the vector once, before it moves a byte; whoever reads it again
// in the middle is led elsewhere by what has been moved, in the worst case by bytes that look like a vector.
//
// Both sides use the same memory, one after the other, so that the addresses in a vector, and in a file that was given
// one, are the same on both.
#include "exerciser.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VICTIM = 64, MOST_PARTS = 40 };
enum ending { GOOD, BAD_END, NULL_END, BAD_SECOND };
#define CRAFTED 0x100 // what is moved over the vector looks like one

struct board {
    unsigned char *start, *border; // no memory from there on
    unsigned char *buffer, *victim;
    size_t used;
    struct iovec parts[MOST_PARTS];
    int count;
    size_t vector_at; // in the buffer
};

static struct board board;

static bool board_make(const struct side *side)
{
    if (board.start != NULL) return true;
    size_t size = side->arena_size;
    // Always at the same place, so that a sequence is the same when it is run again.
    void *memory = mmap((void *)0x200000000000ul, size + 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    if (mprotect(memory, size, PROT_READ | PROT_WRITE) != 0) {
        munmap(memory, size + 16 * PAGE);
        return false;
    }
    board.start = memory;
    board.border = board.start + size;
    return true;
}

// Margin, buffer, margin, victim, margin.
static void board_clear(size_t length)
{
    board.buffer = board.start + MARGIN;
    board.victim = board.buffer + length + MARGIN;
    board.used = (size_t)(board.victim - board.start) + VICTIM + MARGIN;
    memset(board.start, 0xa5, board.used);
    memset(board.victim, 0x5a, VICTIM);
}

// The buffer cut into parts, the first or the second of which has room for the vector.
static bool board_cut(const struct op *op, const struct place *place)
{
    uint64_t state = op->shape + 1u;
    size_t length = place->length, done = 0, around = op->align == ALIGN_EDGE ? 0 : op->align;
    int count = op->shape % 16 == 15 ? MOST_PARTS : 2 + op->shape % 7, holder = op->shape / 16 % 2;
    size_t room = (size_t)count * sizeof(struct iovec) + around;
    if (length < room + (size_t)count) return false;
    for (int index = 0; index < count; index++) {
        size_t left = length - done, reserved = index < holder ? room : 0;
        size_t part = random_next(&state) % (2 * (left - reserved) / (size_t)(count - index) + 1);
        if (op->shape % 7 == 3 && part > PAGE) part &= ~(size_t)(PAGE - 1);
        if (index == holder) {
            if (part < room) part = room;
            board.vector_at = done + around;
        }
        if (part > left - reserved) part = left - reserved;
        if (index + 1 == count) part = left;
        board.parts[index] = (struct iovec){board.buffer + done, part};
        done += part;
    }
    board.count = count;
    int second = holder + 1 < count - 1 ? holder + 1 : count - 1;
    switch (place->value & ~CRAFTED) {
    case BAD_END: board.parts[count - 1].iov_base = board.border; break;
    case NULL_END: board.parts[count - 1].iov_base = NULL; break;
    case BAD_SECOND: board.parts[second].iov_base = board.border; break;
    default: break;
    }
    return true;
}

static size_t vector_size(void)
{
    return (size_t)board.count * sizeof(struct iovec);
}

// A vector that leads into the victim.
static const struct iovec *crafted(void)
{
    static struct iovec parts[MOST_PARTS];
    for (int index = 0; index < board.count; index++)
        parts[index] = (struct iovec){board.victim + index % 4 * 16, 16};
    return parts;
}

static void board_show(struct side *side, struct result *result)
{
    memcpy(side->arena, board.start, board.used);
    result->bytes = side->arena;
    result->bytes_length = board.used;
}

static long call(struct side *side, const struct op *op, const struct place *place, bool reads, const void *vector)
{
    const struct calls *calls = side->calls;
    int fd = side_fd(side, op->slot), count = board.count;
    bool here = (kind_of(op)->traits & IMPLICIT) != 0;
    if (here && reads) return calls->readv(op->variant, fd, vector, count);
    if (here) return calls->writev(op->variant, fd, vector, count);
    bool flagged = op->variant % 3 == 2;
    if (reads && flagged) return calls->preadv2(op->variant, fd, vector, count, place->offset, 0);
    if (reads) return calls->preadv(op->variant, fd, vector, count, place->offset);
    if (flagged) return calls->pwritev2(op->variant, fd, vector, count, place->offset, 0);
    return calls->pwritev(op->variant, fd, vector, count, place->offset);
}

static void run_read_inside(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    // With the address space limited there may be no room for it.
    result->skipped = !board_make(side);
    if (result->skipped) return;
    board_clear(place->length);
    if (place->position < 0 || !board_cut(op, place)) {
        result->skipped = true;
        return;
    }
    if ((place->value & CRAFTED) != 0)
        side->calls->pwrite(op->variant, side_fd(side, op->slot), crafted(), vector_size(),
                            place->position + (off_t)board.vector_at);
    memcpy(board.buffer + board.vector_at, board.parts, vector_size());
    result_set(result, call(side, op, place, true, board.buffer + board.vector_at));
    board_show(side, result);
}

struct store {
    unsigned char *to;
    volatile size_t done;
};

static void store_vector(void *argument)
{
    struct store *store = argument;
    copy_forward(store->to, (const unsigned char *)board.parts, vector_size(), &store->done);
}

static void run_write_inside(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    struct stat status;
    // With the address space limited there may be no room for it.
    result->skipped = !board_make(side);
    if (result->skipped) return;
    board_clear(place->length);
    pattern_fill(board.buffer, place->length, op->pattern + op->shape);
    // A store that fails must be caught; and there must be a mapping.
    bool able = !context.memory_limited && !context.maps_refused && !context.maps_kill && !context.space_limited &&
                (context.blocked[context.worker] & 3) == 0;
    if (place->position < 0 || !able || !board_cut(op, place) || !slot_stat(side, op->slot, &status) ||
        !S_ISREG(status.st_mode) || place->position + (int64_t)(board.vector_at + vector_size()) > status.st_size) {
        result->skipped = true;
        return;
    }
    if ((place->value & CRAFTED) != 0) memcpy(board.buffer + board.vector_at, crafted(), vector_size());
    int64_t at = place->position + (int64_t)board.vector_at, from = at & ~(int64_t)(PAGE - 1);
    size_t length = (size_t)(at - from) + vector_size();
    unsigned char *address = side->calls->mmap(op->variant, length, PROT_READ | PROT_WRITE, MAP_SHARED,
                                               side_fd(side, op->slot), from);
    if (address == MAP_FAILED) {
        result_set(result, -1);
        return;
    }
    struct store store = {.to = address + (at - from)};
    result->signal = guarded(store_vector, &store);
    if (result->signal == 0) result_set(result, call(side, op, place, false, address + (at - from)));
    side->calls->munmap(address, length);
    board_show(side, result);
}

static const struct choice contents[] = {
    {"plain", GOOD, 3}, {"bad-end", BAD_END, 2}, {"null-end", NULL_END, 1}, {"bad-second", BAD_SECOND, 2},
    {"crafted", GOOD | CRAFTED, 4}, {"crafted-bad-end", BAD_END | CRAFTED, 3},
    {"crafted-bad-second", BAD_SECOND | CRAFTED, 3}, {NULL, 0, 0},
};

enum { FIELDS = SLOT | LENGTH | BUFFER | SHAPE | VARIANT | CHOICE, TRAITS = EXTENDS | TOUCHES | UNTIMED };

static const struct kind kinds[] = {
    {"readv-inside", 8, FIELDS, TRAITS | IMPLICIT, contents, run_read_inside},
    {"preadv-inside", 12, FIELDS | OFFSET, TRAITS, contents, run_read_inside},
    {"writev-inside", 8, FIELDS, TRAITS | IMPLICIT, contents, run_write_inside},
    {"pwritev-inside", 12, FIELDS | OFFSET, TRAITS, contents, run_write_inside},
};

const struct group vector_group = {"vectors", kinds, sizeof kinds / sizeof *kinds};
