// power-writer: a program whose acknowledged writes must survive the loss of power, and the check of what has survived.
//
// Its work is a row of steps that a seed determines: what step N writes, and where, can be told without having seen it.
#ifndef POWER_H
#define POWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BLOCK = 4096,
    BLOCKS = 1024, // of each file that is overwritten
    LINE = 64,     // what the CPU writes back at once
    SLOTS = 64,    // names of files that are replaced
    LONGEST = 8192
};

// What becomes durable, and how.
enum kind {
    APPENDED,  // write at the end of "appended", fdatasync
    SYNCED,    // overwrite of a block of "synced", fdatasync
    DSYNC,     // overwrite of a block of "dsync", open with O_DSYNC
    MAPPED,    // stores into a block of a mapping of "mapped", msync
    SMALL,     // overwrite of one line of "small", fdatasync
    REPLACED,  // a new file, fsync, rename over "replaced.SLOT", fsync of the directory
    KINDS
};

struct step {
    enum kind kind;
    uint32_t place;  // block, line or slot
    uint32_t length; // bytes
};

// Steps are counted from 1; what was there before all steps is of step 0.
struct step step_of(uint64_t seed, uint64_t number);

// The bytes step `number` writes: every line begins with the number and its place, and the rest follows from both.
void step_bytes(uint64_t seed, uint64_t number, const struct step *step, unsigned char *bytes);

extern const char *const block_files[KINDS]; // by kind; NULL for those that are no file of blocks

_Noreturn void power_fail(const char *what);

void power_write(uint64_t seed);
// Exit status 1 when something is missing that was acknowledged: all steps up to `acknowledged`.
int power_check(uint64_t seed, uint64_t acknowledged);

#endif
