// dax-rows DIRECTORY [ROW...]: does operations of each row and prints a line per row, "ROW<tab>NS<tab>LEAST<tab>MOST":
// nanoseconds per operation, of all slices and of the extreme ones. `dax-rows --list` prints "ROW<tab>TITLE".
// Not a median: what happens once in a clock tick must be in it with its share.
//
// dax-rows --seconds N ...: slices until N seconds have been measured, and the line is "ROW<tab>NS<tab>CPU": elapsed,
// and of this process's own processor time, per operation. For what comes now and then, as a mirror's passes do. With
// --hold FILE it makes FILE when all is set up, and measures once somebody has removed it.
//
// In the machine of `scripts/dax-vm --icount` a nanosecond is an instruction. The row "loop" proves it: its operation
// is a loop of 500 decrements and 500 jumps.
#include "dax_rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLICES = 4 }; // after one that is not counted

_Noreturn void dax_fail(const char *what)
{
    perror(what);
    exit(1);
}

uint64_t dax_random(void)
{
    static uint64_t state = 42;
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return state >> 24;
}

static void loop_begin(const struct dax_row *row, const char *directory, unsigned slice)
{
    (void)row, (void)directory, (void)slice;
}

static void loop_run(const struct dax_row *row, unsigned operations)
{
    (void)row;
    unsigned long left = 500ul * operations;
    __asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
}

static const struct dax_row loop_rows[] = {
    {"loop", "1,000 instructions in a loop", 1000, loop_begin, loop_run, 0, 0},
    {.id = NULL},
};

static const struct dax_row *const tables[] = {loop_rows, dax_call_rows, dax_sqlite_rows};

static double time_of(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static double now(void) { return time_of(CLOCK_MONOTONIC); }

static void wait_until_removed(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) != 0)
        dax_fail(path);
    while (access(path, F_OK) == 0)
        usleep(10000);
}

static void measure_for(const struct dax_row *row, const char *directory, double seconds, const char *hold)
{
    double elapsed = 0, worked = 0, operations = 0;
    for (unsigned slice = 0; elapsed < seconds * 1e9; slice++) {
        row->begin(row, directory, slice);
        const double begin = now(), worked_before = time_of(CLOCK_PROCESS_CPUTIME_ID);
        row->run(row, row->operations);
        if (slice == 0 && hold != NULL)
            wait_until_removed(hold);
        if (slice == 0)
            continue;
        worked += time_of(CLOCK_PROCESS_CPUTIME_ID) - worked_before;
        elapsed += now() - begin;
        operations += row->operations;
    }
    printf("%s\t%.0f\t%.0f\n", row->id, elapsed / operations, worked / operations);
    fflush(stdout);
}

static void measure(const struct dax_row *row, const char *directory)
{
    double sum = 0, least = 0, most = 0;
    for (unsigned slice = 0; slice <= SLICES; slice++) {
        row->begin(row, directory, slice);
        const double begin = now();
        row->run(row, row->operations);
        const double taken = (now() - begin) / row->operations;
        if (slice == 0)
            continue;
        sum += taken;
        least = slice == 1 || taken < least ? taken : least;
        most = taken > most ? taken : most;
    }
    printf("%s\t%.0f\t%.0f\t%.0f\n", row->id, sum / SLICES, least, most);
    fflush(stdout);
}

static int wanted(const char *id, int count, char **ids)
{
    for (int i = 0; i < count; i++)
        if (strcmp(ids[i], id) == 0)
            return 1;
    return count == 0;
}

int main(int argc, char **argv)
{
    double seconds = 0;
    const char *hold = NULL;
    for (; argc > 2 && strncmp(argv[1], "--", 2) == 0; argc -= 2, argv += 2) {
        if (strcmp(argv[1], "--seconds") == 0)
            seconds = atof(argv[2]);
        else if (strcmp(argv[1], "--hold") == 0)
            hold = argv[2];
        else
            break;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: dax-rows [--seconds N [--hold FILE]] DIRECTORY [ROW...] | --list\n");
        return 2;
    }
    const int list = strcmp(argv[1], "--list") == 0;
    for (size_t table = 0; table < sizeof tables / sizeof *tables; table++) {
        for (const struct dax_row *row = tables[table]; row->id != NULL; row++) {
            if (list)
                printf("%s\t%s\n", row->id, row->title);
            else if (wanted(row->id, argc - 2, argv + 2) && seconds > 0)
                measure_for(row, argv[1], seconds, hold);
            else if (wanted(row->id, argc - 2, argv + 2))
                measure(row, argv[1]);
        }
    }
    return 0;
}
