// What the C drivers of `scripts/bench databases` have in common: the command line, the measured phase, random numbers,
// values and checksums. A driver is `DRIVER prepare|run WORKLOAD DIRECTORY`; it defines `driver_name` and `workloads`.
#ifndef DRIVER_H
#define DRIVER_H

#include <stddef.h>
#include <stdint.h>

struct workload {
    const char *name;
    void (*prepare)(const void *with); // fills the working directory, which is DIRECTORY; NULL: it stays empty
    void (*run)(const void *with);     // calls measure_begin and measure_end, and may set driver_data
    void (*collect)(const void *with); // NULL, or adds what is left to driver_data: natively, by a process of its own
    const void *with;                  // the driver's own settings
};

extern const char *const driver_name;
extern const struct workload workloads[]; // the last one has no name

// What `data` prints: a checksum of what was read, and of what is left at the end.
extern uint64_t driver_data;

_Noreturn void fail(const char *what, const char *why);

// The measured phase of a run; of several the sum. CPU is that of all threads.
void measure_begin(void);
void measure_end(void);

// The same numbers in every run. random_below is for one thread; others keep a state of their own.
uint64_t random_next(uint64_t *state);
uint64_t random_below(uint64_t limit);

// The bytes that belong to a number: of the first 16 every version of a number has the same.
void fill_value(void *bytes, size_t length, uint64_t number, uint64_t version);

// Goes on from `state` with the bytes.
uint64_t hash(uint64_t state, const void *bytes, size_t length);

#endif
