// The measured loops of a worker.
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "micro.h"

struct micro_state {
    const struct micro_row *row;
    enum micro_mode mode;
    const char *directory;
    int fd;
    char path[160]; // of the file that extending rows grow
    unsigned char *map;    // MICRO_MEMCPY only
    unsigned char *buffer; // page-aligned
    size_t size;           // the row's, where the compiler cannot see it: memcpy must stay a call
    uint64_t random;
    uint64_t position; // MICRO_MEMCPY's implicit offset; next small file
    uint64_t sum;
    char small_paths[MICRO_SMALL_FILES][160];
};

// Opens, makes and maps what the row needs. Ends the process with a message on failure, as all calls below.
void micro_prepare(struct micro_state *state);
// Touches the whole file with calls of the row's kind, so that page tables, and the shim's opinion, are settled.
void micro_warm_up(struct micro_state *state);
// Not measured, before each slice: gives extending rows their first size back.
void micro_begin_slice(struct micro_state *state);
// Measured.
void micro_run(struct micro_state *state, uint64_t operations);

_Noreturn void micro_fail(const char *what);

#endif
