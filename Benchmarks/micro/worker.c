// A worker of the micro benchmark: `micro-worker DIRECTORY ROW calls|memcpy WARM_MS`. It is never linked with the
// shim and does not know of it: the driver starts it with the preload in its environment or without.
#define _GNU_SOURCE
#include "operations.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Noreturn void micro_fail(const char *what)
{
    fprintf(stderr, "micro-worker: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

static uint64_t preemptions(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)usage.ru_nivcsw;
}

static void path_in(const struct micro_state *state, char *path, size_t size, const char *name)
{
    if (snprintf(path, size, "%s/%s", state->directory, name) >= (int)size) {
        errno = ENAMETOOLONG;
        micro_fail(state->directory);
    }
}

static void make_file(const char *path, size_t size)
{
    unsigned char block[4096];
    memset(block, 0x5a, sizeof block);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        micro_fail(path);
    for (size_t done = 0; done < size;) {
        size_t part = size - done < sizeof block ? size - done : sizeof block;
        if (write(fd, block, part) != (ssize_t)part)
            micro_fail(path);
        done += part;
    }
    close(fd);
}

static void prepare_small(struct micro_state *state)
{
    for (unsigned i = 0; i < MICRO_SMALL_FILES; i++) {
        char name[32];
        snprintf(name, sizeof name, MICRO_SMALL_NAME, i);
        path_in(state, state->small_paths[i], sizeof state->small_paths[i], name);
        struct stat status;
        // 16 KiB for the row that opens one and reads it three times; the others 2 to 16 KiB.
        size_t size = i == 0 ? 16384 : 2048 + (i * 1237u) % 14336;
        if (stat(state->small_paths[i], &status) != 0 || (size_t)status.st_size != size)
            make_file(state->small_paths[i], size);
    }
}

static void open_extended(struct micro_state *state)
{
    const int append = state->row->operation == MICRO_EXTEND_APPEND ? O_APPEND : 0;
    state->fd = open(state->path, O_RDWR | O_CREAT | append, 0600);
    if (state->fd < 0 || unlink(state->path) != 0)
        micro_fail(state->path);
}

void micro_prepare(struct micro_state *state)
{
    char path[4096], name[64];
    state->size = state->row->size;
    if (posix_memalign((void **)&state->buffer, 4096, state->size) != 0)
        micro_fail("posix_memalign");
    memset(state->buffer, 0x37, state->size);
    state->random = 42;
    switch (state->row->operation) {
    case MICRO_OPEN_READ_CLOSE:
    case MICRO_SMALL_FILES_READ:
        prepare_small(state);
        return;
    case MICRO_EXTEND:
    case MICRO_EXTEND_AGAIN:
    case MICRO_EXTEND_APPEND:
    case MICRO_EXTEND_MAPPED:
        // A file of one's own; without a name at once, so that it is gone with the process.
        snprintf(name, sizeof name, "extend.%d", (int)getpid());
        path_in(state, state->path, sizeof state->path, name);
        if (state->row->operation == MICRO_EXTEND_MAPPED)
            make_file(state->path, MICRO_BASE_SIZE);
        open_extended(state);
        return;
    default:
        path_in(state, path, sizeof path, MICRO_DATA_NAME);
        state->fd = open(path, O_RDWR);
        if (state->fd < 0)
            micro_fail(path);
    }
    if (state->mode == MICRO_MEMCPY) {
        // 2 MiB aligned, as the shim's windows: huge pages can then be mapped as such.
        const size_t align = 2u << 20;
        unsigned char *room = mmap(NULL, MICRO_FILE_SIZE + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED)
            micro_fail("mmap");
        unsigned char *at = (unsigned char *)(((uintptr_t)room + align - 1) & ~(uintptr_t)(align - 1));
        state->map = mmap(at, MICRO_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, state->fd, 0);
        if (state->map == MAP_FAILED)
            micro_fail("mmap");
    }
}

void micro_begin_slice(struct micro_state *state)
{
    off_t base = state->row->operation == MICRO_EXTEND_MAPPED ? (off_t)MICRO_BASE_SIZE : 0;
    switch (state->row->operation) {
    case MICRO_EXTEND:
        if (close(state->fd) != 0)
            micro_fail("close");
        open_extended(state);
        break;
    case MICRO_EXTEND_AGAIN:
    case MICRO_EXTEND_APPEND:
    case MICRO_EXTEND_MAPPED:
        if (ftruncate(state->fd, base) != 0 || lseek(state->fd, base, SEEK_SET) != base)
            micro_fail("ftruncate");
        break;
    default:
        break;
    }
}

void micro_warm_up(struct micro_state *state)
{
    const enum micro_operation operation = state->row->operation;
    // Every page once, in order, by a call that does to it what the row does: read it, or write it.
    const bool writes = operation >= MICRO_PWRITE && operation <= MICRO_PWRITE_FSYNC;
    const bool grows = operation >= MICRO_EXTEND && operation <= MICRO_EXTEND_MAPPED;
    if (operation >= MICRO_OPEN_READ_CLOSE || (grows && operation != MICRO_EXTEND_MAPPED))
        return;
    unsigned char page[4096];
    memset(page, 0x37, sizeof page);
    const uint64_t end = operation == MICRO_EXTEND_MAPPED ? MICRO_BASE_SIZE : MICRO_FILE_SIZE;
    for (uint64_t offset = 0; offset < end; offset += sizeof page) {
        ssize_t result = (ssize_t)sizeof page;
        if (state->mode == MICRO_MEMCPY && writes)
            memcpy(state->map + offset, page, sizeof page);
        else if (state->mode == MICRO_MEMCPY)
            memcpy(page, state->map + offset, sizeof page);
        else if (writes)
            result = pwrite(state->fd, page, sizeof page, (off_t)offset);
        else
            result = pread(state->fd, page, sizeof page, (off_t)offset);
        if (result != (ssize_t)sizeof page)
            micro_fail("warm-up");
        state->sum += page[0];
    }
}

static struct micro_reply slice(struct micro_state *state, uint64_t operations)
{
    micro_begin_slice(state);
    struct micro_reply reply = {.operations = operations, .preempted = preemptions()};
    uint64_t cpu = now(CLOCK_THREAD_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
    micro_run(state, operations);
    reply.wall_ns = now(CLOCK_MONOTONIC) - wall;
    reply.cpu_ns = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
    reply.preempted = preemptions() - reply.preempted;
    reply.sum = state->sum;
    return reply;
}

// Slices that double until one lasts as long as asked: warms the row itself, and tells how long one operation takes.
static struct micro_reply calibrate(struct micro_state *state, uint64_t warm_ns)
{
    struct micro_reply reply = {0};
    for (uint64_t operations = 64; reply.wall_ns < warm_ns; operations *= 2)
        reply = slice(state, operations);
    return reply;
}

int main(int argc, char **argv)
{
    static struct micro_state state;
    state.fd = -1;
    if (argc != 5 || (state.row = micro_find_row(argv[2])) == NULL) {
        fprintf(stderr, "usage: micro-worker DIRECTORY ROW calls|memcpy WARM_MS\n");
        return 2;
    }
    state.directory = argv[1];
    state.mode = strcmp(argv[3], "memcpy") == 0 ? MICRO_MEMCPY : MICRO_CALLS;
    micro_prepare(&state);
    micro_warm_up(&state);
    struct micro_reply reply = calibrate(&state, strtoull(argv[4], NULL, 10) * 1000000u);
    struct micro_command command;
    for (;;) {
        if (write(STDOUT_FILENO, &reply, sizeof reply) != sizeof reply)
            return 1;
        if (read(STDIN_FILENO, &command, sizeof command) != sizeof command || command.operations == 0)
            return 0;
        reply = slice(&state, command.operations);
    }
}
