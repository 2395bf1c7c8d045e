// vandal: runs programs of every kind under the shim, and damages the shim's own files all the while. What the programs
// say, and how they end, must be what it is natively.
#ifndef VANDAL_H
#define VANDAL_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_DAMAGES = 40, MOST_WORKLOADS = 40 };
#define WATCHDOG_MS 60000ll // for each program

struct setting {
    uint64_t seed;
    long seconds;
    int at_once;
    const char *library, *programs, *only; // `only`: one workload
    bool harmless;                         // no damage: to see that the programs themselves are sound
    char place[512];                       // a tmpfs of our own: data, out, run
    char data[600], out[600], run[600];    // run: another, small one
    char runtime[700];                     // in it
    char input[700];                       // a file of known bytes, in data
    bool root;
};

extern struct setting setting;

static inline uint64_t random_of(uint64_t *state)
{
    uint64_t value = (*state += 0x9e3779b97f4a7c15ull);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

// ---- damage.c

struct damages {
    _Atomic unsigned long done[MOST_DAMAGES], failed[MOST_DAMAGES];
};

const char *damage_name(int index); // NULL past the last one
void damage_for_ever(uint64_t seed, struct damages *damages) __attribute__((noreturn));
void damage_undo(void); // the directory is there, and empty

// ---- workloads.c

struct workload {
    const char *name;
    const char *command; // for bash, in an empty directory
    bool only_status;    // what it says depends on time
};

extern const struct workload workloads[];
extern const int workload_count;
void input_make(const char *path);
int reader_main(int argc, char **argv); // --reader FILE SECONDS

// ---- siege.c

int siege(void); // 0: nothing differed

#endif
