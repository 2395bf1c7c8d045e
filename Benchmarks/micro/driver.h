// The driver's pieces: environments, workers, figures.
#ifndef DRIVER_H
#define DRIVER_H

#include <stdio.h>
#include <sys/types.h>

#include "micro.h"

struct driver_options {
    const char *directory; // on the mount to be measured
    const char *worker;    // path of micro-worker
    const char *library;   // the .so, or NULL: the second worker is native too, and all ratios ought to be 1
    const char *before;    // an earlier .so, which the first worker runs under, or NULL: the first worker is native
    const char *setting;   // PMEMSHIM_NAME=VALUE for the shimmed side, or NULL
    const char *label;     // put before row ids: which mount it was
    int cpu;
    unsigned rounds;       // of one incarnation of the workers; 0: by the kind of row
    unsigned incarnations; // 0: by the kind of row
    double slice_ms;       // 0: by the kind of row
    bool cpu_clock;        // use the thread's CPU time, not the wall clock
};

struct driver_worker {
    pid_t pid;
    int to, from;
    double ns; // of one operation, at the warm-up
};

// The environment of the first worker (native, or with the earlier library) or of the second (with the library):
// everything of ours and LD_PRELOAD taken out first. The library's figures of row `id` go to DIRECTORY.runtime/ID.
char **driver_environment(const struct driver_options *options, const char *id, bool second);

// Starts a worker pinned to the CPU and waits until it is warm.
struct driver_worker driver_start(
    const struct driver_options *options, const struct micro_row *row, enum micro_mode mode, char **environment);
struct micro_reply driver_slice(const struct driver_worker *worker, uint64_t operations);
void driver_stop(const struct driver_worker *worker);

double driver_median(double *values, size_t count); // sorts them
void driver_print_numbers(FILE *out, const char *name, const double *values, size_t count);

void driver_measure_row(const struct driver_options *options, const struct micro_row *row, FILE *out);
// Starts /bin/true `count` times with and without the preload, in turns.
void driver_measure_exec(const struct driver_options *options, unsigned count, FILE *out);

_Noreturn void driver_fail(const char *what);

#endif
