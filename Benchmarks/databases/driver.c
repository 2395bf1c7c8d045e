// What the C drivers of `scripts/bench databases` have in common; driver.h says what each piece is for.
#include "driver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t driver_data;

static uint64_t random_state = 42;
static int64_t begin_cpu, begin_wall, cpu, wall;

void fail(const char *what, const char *why)
{
    fprintf(stderr, "databases-%s: %s: %s\n", driver_name, what, why);
    exit(1);
}

static int64_t nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void measure_begin(void)
{
    begin_wall = nanoseconds(CLOCK_MONOTONIC);
    begin_cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
}

void measure_end(void)
{
    cpu += nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - begin_cpu;
    wall += nanoseconds(CLOCK_MONOTONIC) - begin_wall;
}

uint64_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 24;
}

uint64_t random_below(uint64_t limit)
{
    return random_next(&random_state) % limit;
}

void fill_value(void *bytes, size_t length, uint64_t number, uint64_t version)
{
    uint64_t state = number * 0x9e3779b97f4a7c15ull;
    for (size_t at = 0; at < length; at += sizeof state) {
        if (at == 16) state += version;
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        const uint64_t word = state ^ state >> 29;
        memcpy((char *)bytes + at, &word, length - at < sizeof word ? length - at : sizeof word);
    }
}

uint64_t hash(uint64_t state, const void *bytes, size_t length)
{
    for (size_t at = 0; at < length; at += sizeof state) {
        uint64_t word = 0;
        memcpy(&word, (const char *)bytes + at, length - at < sizeof word ? length - at : sizeof word);
        state = (state ^ word) * 0x9e3779b97f4a7c15ull;
        state ^= state >> 32;
    }
    return state;
}

// What is left is read by a process without the library: whatever is served counts as the workload's, and what other
// programs would see is what matters.
static void collect_natively(const char *workload)
{
    char from[32];
    int status;
    snprintf(from, sizeof from, "%" PRIu64, driver_data);
    const pid_t child = fork();
    if (child < 0) fail("fork", strerror(errno));
    if (child == 0) {
        unsetenv("LD_PRELOAD");
        execl("/proc/self/exe", driver_name, "collect", workload, ".", from, NULL);
        fail("exec", strerror(errno));
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail(workload, "what is left could not be read");
}

static void run(const struct workload *chosen)
{
    chosen->run(chosen->with);
    if (chosen->collect) collect_natively(chosen->name);
    else printf("data %016" PRIx64 "\n", driver_data);
    printf("%" PRId64 " %" PRId64 "\n", cpu, wall);
}

static int usage(void)
{
    fprintf(stderr, "usage: databases-%s prepare|run WORKLOAD DIRECTORY; the workloads:", driver_name);
    for (const struct workload *each = workloads; each->name; each++) fprintf(stderr, " %s", each->name);
    fputc('\n', stderr);
    return 2;
}

int main(int count, char **arguments)
{
    if (count < 4) return usage();
    const struct workload *chosen = workloads;
    while (chosen->name && strcmp(chosen->name, arguments[2]) != 0) chosen++;
    if (!chosen->name) return usage();
    // By names that are not absolute: the run is on a copy that lies elsewhere.
    if (chdir(arguments[3]) != 0) fail(arguments[3], strerror(errno));
    if (strcmp(arguments[1], "prepare") == 0) {
        if (chosen->prepare) chosen->prepare(chosen->with);
    } else if (strcmp(arguments[1], "run") == 0) {
        run(chosen);
    } else if (strcmp(arguments[1], "collect") == 0 && count == 5 && chosen->collect) {
        driver_data = strtoull(arguments[4], NULL, 10);
        chosen->collect(chosen->with);
        printf("data %016" PRIx64 "\n", driver_data);
    } else {
        return usage();
    }
    return 0;
}
