// One row: the workers take turns; what is reported are medians, and the median of the ratios of neighbouring slices.
#define _GNU_SOURCE
#include "driver.h"

#include <math.h>
#include <stdlib.h>

enum { NATIVE, SHIM, LIMIT, SIDES };

struct figures {
    double *ns[SIDES]; // of all rounds
    double *speedup;   // native / shim, per round
    double *over_limit; // shim / memcpy, per round
    double *incarnation_speedup;
    double *incarnation_over_limit;
    size_t rounds, incarnations;
    uint64_t repeated, disturbed; // slices thrown away; slices kept although preempted
};

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double driver_median(double *values, size_t count)
{
    if (count == 0)
        return NAN;
    qsort(values, count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void driver_print_numbers(FILE *out, const char *name, const double *values, size_t count)
{
    fprintf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%.6g", i ? "," : "", values[i]);
    fputc(']', out);
}

static double *room(size_t count)
{
    double *values = calloc(count ? count : 1, sizeof *values);
    if (!values)
        driver_fail("calloc");
    return values;
}

// A slice in which another process took the CPU says nothing about the row: it is done again, a few times at most.
static double timed_slice(
    const struct driver_options *options, const struct driver_worker *worker, uint64_t operations, struct figures *to)
{
    for (int attempt = 0;; attempt++) {
        struct micro_reply reply = driver_slice(worker, operations);
        if (reply.preempted != 0 && !options->cpu_clock && attempt < 5) {
            to->repeated++;
            continue;
        }
        to->disturbed += reply.preempted != 0;
        return (double)(options->cpu_clock ? reply.cpu_ns : reply.wall_ns) / (double)operations;
    }
}

static void one_incarnation(const struct driver_options *options, const struct micro_row *row, char **environments[2],
    double slice_ns, size_t rounds, struct figures *to)
{
    const int sides = row->has_memcpy ? SIDES : LIMIT;
    struct driver_worker workers[SIDES];
    uint64_t operations[SIDES];
    for (int side = 0; side < sides; side++) {
        workers[side] = driver_start(
            options, row, side == LIMIT ? MICRO_MEMCPY : MICRO_CALLS, environments[side == SHIM]);
        operations[side] = (uint64_t)(slice_ns / workers[side].ns) + 1;
    }
    // What is measured to a few per cent must do the very same: files grow to the same size.
    if (row->cost)
        operations[SHIM] = operations[NATIVE];
    const size_t first = to->rounds;
    for (size_t round = 0; round < rounds; round++) {
        double ns[SIDES];
        // N S M, then S N M: a drift of the machine's speed, and what the one before left in the caches, fall on both
        // alike.
        for (int turn = 0; turn < sides; turn++) {
            const int side = round % 2 && turn < LIMIT ? SHIM - turn : turn;
            ns[side] = timed_slice(options, &workers[side], operations[side], to);
        }
        for (int side = 0; side < sides; side++)
            to->ns[side][to->rounds] = ns[side];
        to->speedup[to->rounds] = ns[NATIVE] / ns[SHIM];
        to->over_limit[to->rounds] = row->has_memcpy ? ns[SHIM] / ns[LIMIT] : NAN;
        to->rounds++;
    }
    for (int side = 0; side < sides; side++)
        driver_stop(&workers[side]);
    double *copy = room(rounds);
    for (size_t i = 0; i < rounds; i++)
        copy[i] = to->speedup[first + i];
    to->incarnation_speedup[to->incarnations] = driver_median(copy, rounds);
    for (size_t i = 0; i < rounds; i++)
        copy[i] = to->over_limit[first + i];
    to->incarnation_over_limit[to->incarnations] = driver_median(copy, rounds);
    to->incarnations++;
    free(copy);
}

void driver_measure_row(const struct driver_options *options, const struct micro_row *row, FILE *out)
{
    // A few per cent want many short slices, and fresh processes: where code and data lie moves a result by as much.
    const size_t incarnations = options->incarnations ? options->incarnations
        : row->cost ? 15
        : options->before ? 9
                          : 3;
    const size_t rounds = options->rounds ? options->rounds : row->cost ? 40 : 15;
    const double slice_ns = 1e6 * (options->slice_ms > 0 ? options->slice_ms : row->cost ? 4 : 20);
    struct figures figures = {0};
    for (int side = 0; side < SIDES; side++)
        figures.ns[side] = room(incarnations * rounds);
    figures.speedup = room(incarnations * rounds);
    figures.over_limit = room(incarnations * rounds);
    figures.incarnation_speedup = room(incarnations);
    figures.incarnation_over_limit = room(incarnations);
    char **environments[2] = {
        driver_environment(options, row->id, false), driver_environment(options, row->id, true)};
    for (size_t i = 0; i < incarnations; i++)
        one_incarnation(options, row, environments, slice_ns, rounds, &figures);

    fprintf(out, "{\"kind\":\"row\",\"id\":\"%s%s\",\"title\":\"%s\",\"size\":%u,\"cost\":%s,\"rounds\":%zu",
        options->label, row->id, row->title, row->size, row->cost ? "true" : "false", figures.rounds);
    fprintf(out, ",\"slice_ms\":%g,\"repeated\":%llu,\"disturbed\":%llu", slice_ns / 1e6,
        (unsigned long long)figures.repeated, (unsigned long long)figures.disturbed);
    fprintf(out, ",\"native_ns\":%.6g,\"shim_ns\":%.6g", driver_median(figures.ns[NATIVE], figures.rounds),
        driver_median(figures.ns[SHIM], figures.rounds));
    driver_print_numbers(out, "incarnation_speedup", figures.incarnation_speedup, figures.incarnations);
    fprintf(out, ",\"speedup\":%.6g", driver_median(figures.speedup, figures.rounds));
    if (row->has_memcpy) {
        fprintf(out, ",\"memcpy_ns\":%.6g", driver_median(figures.ns[LIMIT], figures.rounds));
        driver_print_numbers(out, "incarnation_over_memcpy", figures.incarnation_over_limit, figures.incarnations);
        fprintf(out, ",\"over_memcpy\":%.6g", driver_median(figures.over_limit, figures.rounds));
    }
    fprintf(out, "}\n");
    fflush(out);
    for (int side = 0; side < SIDES; side++)
        free(figures.ns[side]);
    free(figures.speedup);
    free(figures.over_limit);
    free(figures.incarnation_speedup);
    free(figures.incarnation_over_limit);
}
