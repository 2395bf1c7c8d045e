// What the hostile loop's processes share. See main.c for what it is about.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

// Longer than two huge pages, so that most of it is servable there, too; whole pages.
#define LONGEST (6l << 20)
#define PAGES (LONGEST / 4096)
#define MOST_AT_ONCE (512l << 10)

enum count {
    OPERATIONS,
    CHANGES,   // by the resizer
    JOINED,    // huge pages that were made of the file's pages, by the joiner
    UNCERTAIN, // judged only in part: the file was being changed
    // Impossible results: without a shim each must be 0.
    FOREIGN,     // bytes that were never in the file at that place
    RESURRECTED, // bytes that had been cut off for good before the read began
    STALE,       // other bytes than the kernel has, while nobody changed the file
    WRONG_COUNT, // another count than the size allows, while nobody changed the file; a short write
    WRONG_OFFSET,
    LOST,   // an acknowledged write is not in the file, and nobody changed it since
    TORN,   // of a write the front is gone and the back is there: a cut takes the back
    ERRORS, // a call failed
    DIED,   // the subject was killed
    COUNTS
};

struct board {
    // Odd while the resizer is changing the file.
    _Atomic uint64_t changes;
    // Generation of the last cut that began.
    _Atomic uint32_t begun;
    // Of each page, the generation of the last cut that is done and took the whole page.
    _Atomic uint32_t cut[PAGES];
    // Last sequence number of the subject's writes, generation of the resizer's: later ones cannot be in the file.
    _Atomic uint32_t sequence;
    _Atomic bool stop;
    uint64_t seed;
    uint64_t counts[COUNTS];
};

// Every 8 bytes say where they belong, who wrote them, and which of his writes that was.
#define MAGIC 0x5abull
#define SUBJECT 1ull

static inline uint64_t stamp(uint64_t writer, uint32_t number, long position)
{
    return MAGIC << 53 | writer << 52 | (uint64_t)number << 20 | (uint64_t)position / 8;
}

static inline bool is_stamp_of(uint64_t word, long position)
{
    return word >> 53 == MAGIC && (word & 0xfffff) == (uint64_t)position / 8;
}
static inline bool is_subjects(uint64_t word) { return word >> 52 & 1; }
static inline uint32_t number_of(uint64_t word) { return (uint32_t)(word >> 20); }

static inline void fill_stamps(uint64_t *words, uint64_t writer, uint32_t number, long position, long count)
{
    for (long i = 0; i < count / 8; i++)
        words[i] = stamp(writer, number, position + i * 8);
}

// xorshift64*
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

static inline long below(uint64_t *state, long bound) { return (long)((next_random(state) >> 11) % (uint64_t)bound); }

void resize_until_stopped(struct board *board, const char *path);
// `mount`: the directory of a tmpfs that may be mounted anew with other huge=; NULL none.
void join_until_stopped(struct board *board, const char *path, const char *mount);
void read_and_write_until_stopped(struct board *board, const char *path);

#endif
