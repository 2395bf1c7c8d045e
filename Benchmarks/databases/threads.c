// One or two threads at one file, 4 KiB at random, each thread on a CPU of its own: how calls scale, and their latency.
//   databases-threads prepare|run pread-1|pread-2|pwrite-1|pwrite-2 DIRECTORY
// Every thread goes through the file once, and then makes the same fixed number of calls, which count. So twice the
// wall time of one thread, divided by that of two, is how they scale.
// `run` prints `data CHECKSUM`, `latency P50_NS P99_NS P999_NS` of the second half of the calls, `first-latency`, the
// same of the first half, in which a file under the shim becomes hot, and CPU and wall time of all of them, ns.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 1 << 16, READS = 600000, WRITES = 450000, MOST_THREADS = 2, TIMED = 16 };
// Latencies by powers of two, each in 32 steps.
enum { STEPS = 32, BUCKETS = 64 * STEPS };

struct worker {
    pthread_t thread;
    int number, fd, writes, cpu;
    uint64_t sum;
    uint64_t counts[2][BUCKETS];
};

static pthread_barrier_t start;

_Noreturn static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static int64_t nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static uint64_t mixed(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
    return value ^ value >> 31;
}

// A page's bytes follow from its number and from whether it was written, so that what is left of a run does not depend
// on which thread came last. One word in each 512 bytes differs: a page of two halves would be seen.
static void compose(uint64_t *page, uint64_t number, int generation)
{
    for (int i = 0; i < PAGE / 512; i++) page[i * 64] = mixed(number * 32 + (uint64_t)(i * 2 + generation));
}

static uint64_t checksum(const uint64_t *page)
{
    uint64_t sum = 0;
    for (int i = 0; i < PAGE / 512; i++) sum = sum * 31 + page[i * 64];
    return sum;
}

static int bucket_of(uint64_t value)
{
    if (value < STEPS) return (int)value;
    const int power = 63 - __builtin_clzll(value);
    return (power - 4) * STEPS + (int)(value >> (power - 5)) - STEPS;
}

static uint64_t least_of(int bucket)
{
    if (bucket < STEPS) return (uint64_t)bucket;
    return (uint64_t)(STEPS + bucket % STEPS) << (bucket / STEPS - 1);
}

static void call(struct worker *worker, uint64_t *buffer, off_t at)
{
    const ssize_t moved =
        worker->writes ? pwrite(worker->fd, buffer, PAGE, at) : pread(worker->fd, buffer, PAGE, at);
    if (moved != PAGE) fail(worker->writes ? "pwrite" : "pread");
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t *buffer, state = mixed(1000 + (uint64_t)worker->number);
    if (worker->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(worker->cpu, &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
    buffer = aligned_alloc(PAGE, PAGE);
    if (!buffer) fail("aligned_alloc");
    memset(buffer, 0, PAGE);
    const int count = worker->writes ? WRITES : READS;
    // Once through the file, with what is there already: what a page costs at first is another matter.
    for (uint64_t page = 0; page < PAGES; page++) {
        if (worker->writes) compose(buffer, page, 0);
        call(worker, buffer, (off_t)page * PAGE);
    }
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&start);
    for (int i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const uint64_t page = state % PAGES;
        if (worker->writes) compose(buffer, page, 1);
        if (i % TIMED == 0) {
            const int64_t begin = nanoseconds(CLOCK_MONOTONIC);
            call(worker, buffer, (off_t)page * PAGE);
            worker->counts[i >= count / 2][bucket_of((uint64_t)(nanoseconds(CLOCK_MONOTONIC) - begin))]++;
        } else {
            call(worker, buffer, (off_t)page * PAGE);
        }
        if (!worker->writes) worker->sum += checksum(buffer);
    }
    free(buffer);
    return NULL;
}

// Of all threads together, in one half of their calls.
static uint64_t latency(const struct worker *workers, int threads, int half, double share)
{
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < threads; i++)
        for (int bucket = 0; bucket < BUCKETS; bucket++) total += workers[i].counts[half][bucket];
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        for (int i = 0; i < threads; i++) seen += workers[i].counts[half][bucket];
        if ((double)seen >= share * (double)total) return least_of(bucket);
    }
    return 0;
}

static void print_latency(const char *name, const struct worker *workers, int threads, int half)
{
    printf("%s", name);
    for (int i = 0; i < 3; i++) {
        static const double shares[] = {0.5, 0.99, 0.999};
        printf(" %llu", (unsigned long long)latency(workers, threads, half, shares[i]));
    }
    printf("\n");
}

static void prepare(const char *path)
{
    uint64_t page[PAGE / 8];
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) fail(path);
    memset(page, 0, sizeof page);
    for (uint64_t i = 0; i < PAGES; i++) {
        compose(page, i, 0);
        if (write(fd, page, PAGE) != PAGE) fail("write");
    }
    if (close(fd) != 0) fail("close");
}

static uint64_t left(int fd)
{
    uint64_t page[PAGE / 8], sum = 0;
    for (int i = 0; i < PAGES; i++) {
        if (pread(fd, page, PAGE, (off_t)i * PAGE) != PAGE) fail("pread");
        sum = sum * 31 + checksum(page);
    }
    return sum;
}

static void run(const char *path, int writes, int threads)
{
    static struct worker workers[MOST_THREADS];
    cpu_set_t allowed;
    uint64_t sum = 0;
    const int fd = open(path, O_RDWR);
    if (fd < 0) fail(path);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) fail("sched_getaffinity");
    // With one CPU only, the kernel takes turns; pinning would add nothing.
    const int pinned = CPU_COUNT(&allowed) >= MOST_THREADS;
    pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
    for (int i = 0, cpu = 0; i < threads; i++, cpu++) {
        while (pinned && !CPU_ISSET(cpu, &allowed)) cpu++;
        workers[i] = (struct worker){.number = i, .fd = fd, .writes = writes, .cpu = pinned ? cpu : -1};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) fail("pthread_create");
    }
    // The threads come here before they start, so that nothing of what they did before counts.
    pthread_barrier_wait(&start);
    const int64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    pthread_barrier_wait(&start);
    const int64_t wall = nanoseconds(CLOCK_MONOTONIC);
    for (int i = 0; i < threads; i++) pthread_join(workers[i].thread, NULL);
    const int64_t cpu_used = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    const int64_t wall_used = nanoseconds(CLOCK_MONOTONIC) - wall;
    for (int i = 0; i < threads; i++) sum += workers[i].sum;
    if (writes) sum = left(fd);
    printf("data %016llx\n", (unsigned long long)sum);
    print_latency("latency", workers, threads, 1);
    print_latency("first-latency", workers, threads, 0);
    printf("%lld %lld\n", (long long)cpu_used, (long long)wall_used);
}

int main(int count, char **arguments)
{
    char path[4096];
    const char *workload = count == 4 ? arguments[2] : "";
    const int writes = strncmp(workload, "pwrite-", 7) == 0;
    const char *threads = workload + (writes ? 7 : 6);
    if (count != 4 || (!writes && strncmp(workload, "pread-", 6) != 0) ||
        (strcmp(threads, "1") != 0 && strcmp(threads, "2") != 0)) {
        fputs("usage: databases-threads prepare|run pread-1|pread-2|pwrite-1|pwrite-2 DIRECTORY\n", stderr);
        return 64;
    }
    snprintf(path, sizeof path, "%s/pages", arguments[3]);
    if (strcmp(arguments[1], "prepare") == 0)
        prepare(path);
    else
        run(path, writes, threads[0] - '0');
    return 0;
}
