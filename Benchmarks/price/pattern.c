// One pattern of use of served files, timed inside: what a program pays that opens, reads, writes, resizes and closes
// as the options say. Prints CPU and wall time, in nanoseconds a round. `pattern --help` lists the options.
//
// Everything before the first round is preparation and not timed: the files are made with their whole content. A round
// is one open-use-close of one file, chosen at random; with --keep the files stay open, and a round is --calls calls.
#define _GNU_SOURCE
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct pattern p;
static int kept[MOST_FILES];

_Noreturn static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static const char *path_of(char *text, int file)
{
    snprintf(text, 4096, "%s/f%d", p.directory, file);
    return text;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// One change of the size, after so many calls; the file has its old size again afterwards, but for --resize grow.
static void resize(int fd, int file)
{
    static off_t grown[MOST_FILES];
    off_t size = (off_t)p.size + grown[file];
    int failed = 0;
    switch (p.resize) {
    case RESIZE_NONE: return;
    case RESIZE_SAME: failed = ftruncate(fd, size); break;
    case RESIZE_GROW: grown[file] += 4096; failed = ftruncate(fd, size + 4096); break;
    case RESIZE_DOWN_UP: failed = ftruncate(fd, size / 2) || ftruncate(fd, size); break;
    case RESIZE_KEEP: failed = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096); break;
    case RESIZE_ALLOCATE: grown[file] += 4096; failed = fallocate(fd, 0, size, 4096); break;
    case RESIZE_FLAGS: failed = fcntl(fd, F_SETFL, O_RDWR) != 0; break;
    }
    if (failed) fail("resize");
}

static void use(int fd, int file, char *buffer, uint64_t *random)
{
    const long places = p.size / p.length > 0 ? p.size / p.length : 1;
    for (long i = 0; i < p.calls; i++) {
        const off_t at = (p.in_order ? i % places : (long)(next_random(random) % (uint64_t)places)) * p.length;
        const int writes = (long)(next_random(random) % 100) < p.writes;
        ssize_t moved;
        if (p.at_offset) {
            moved = writes ? write(fd, buffer, (size_t)p.length) : read(fd, buffer, (size_t)p.length);
            if (moved == 0 || (i + 1) % places == 0) (void)lseek(fd, 0, SEEK_SET);
        } else {
            moved = writes ? pwrite(fd, buffer, (size_t)p.length, at) : pread(fd, buffer, (size_t)p.length, at);
        }
        if (moved < 0) fail("a data call");
        if (p.every > 0 && (i + 1) % p.every == 0) resize(fd, file);
    }
    if (p.every == 0) resize(fd, file);
}

static void round_of(char *buffer, uint64_t *random)
{
    char text[4096];
    const int file = (int)(next_random(random) % (uint64_t)p.files);
    if (p.keep) {
        use(kept[file], file, buffer, random);
        return;
    }
    int fd = open(path_of(text, file), p.journal ? O_RDWR | O_CREAT : O_RDWR, 0600);
    if (fd < 0) fail(text);
    use(fd, file, buffer, random);
    close(fd);
    if (p.journal && unlink(text) != 0) fail("unlink");
}

static void *rounds_of_thread(void *number)
{
    uint64_t random = 88172645463325252u + (uint64_t)(uintptr_t)number * 7919u;
    char *buffer = malloc((size_t)p.length);
    if (!buffer) fail("malloc");
    memset(buffer, 'r', (size_t)p.length);
    for (long i = 0; i < p.rounds; i++) round_of(buffer, &random);
    free(buffer);
    return NULL;
}

// A process, or a thread, for each round, as a server makes one for each request.
static void round_apart(int in_child)
{
    if (in_child) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) {
            (void)rounds_of_thread(NULL);
            _exit(0);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) fail("the child");
        return;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, rounds_of_thread, NULL) != 0) fail("pthread_create");
    pthread_join(thread, NULL);
}

static void all_rounds(void)
{
    if (p.life != LIFE_ONE) {
        const long rounds = p.rounds;
        p.rounds = 1;
        for (long i = 0; i < rounds; i++) round_apart(p.life == LIFE_CHILDREN);
        p.rounds = rounds;
        return;
    }
    if (p.threads == 1) {
        (void)rounds_of_thread(NULL);
        return;
    }
    pthread_t threads[MOST_THREADS];
    for (int i = 0; i < p.threads; i++)
        if (pthread_create(&threads[i], NULL, rounds_of_thread, (void *)(uintptr_t)i) != 0) fail("pthread_create");
    for (int i = 0; i < p.threads; i++) pthread_join(threads[i], NULL);
}

static void make_files(void)
{
    char text[4096];
    enum { PIECE = 1 << 20 };
    char *piece = malloc(PIECE);
    if (!piece) fail("malloc");
    memset(piece, 'f', PIECE);
    for (int file = 0; file < p.files; file++) {
        int fd = open(path_of(text, file), O_RDWR | O_CREAT | O_TRUNC, 0600);
        if (fd < 0) fail(text);
        for (long at = 0; at < p.size && !p.sparse && !p.preallocated; at += PIECE) {
            const size_t length = (size_t)(p.size - at < PIECE ? p.size - at : PIECE);
            if (write(fd, piece, length) != (ssize_t)length) fail("write");
        }
        if (p.preallocated && posix_fallocate(fd, 0, p.size) != 0) fail("posix_fallocate");
        if (ftruncate(fd, p.size) != 0) fail("ftruncate");
        if (p.keep) kept[file] = fd;
        else close(fd);
    }
    free(piece);
}

static void remove_files(void)
{
    char text[4096];
    for (int file = 0; file < p.files; file++) (void)unlink(path_of(text, file));
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double cpu(void) { return seconds(CLOCK_PROCESS_CPUTIME_ID) + children_cpu(); }

int main(int count, char **arguments)
{
    p = pattern_of(count, arguments);
    // Made by another process, so that this one knows nothing of them; with --keep it opens them itself.
    if (!p.keep) {
        pid_t maker = fork();
        if (maker < 0) fail("fork");
        if (maker == 0) {
            make_files();
            _exit(0);
        }
        int status;
        if (waitpid(maker, &status, 0) != maker || status != 0) fail("making the files");
    } else {
        make_files();
    }
    if (p.warm) all_rounds();
    const double cpu_before = cpu(), wall_before = seconds(CLOCK_MONOTONIC);
    all_rounds();
    if (p.close_inside)
        for (int file = 0; p.keep && file < p.files; file++) close(kept[file]);
    const double rounds = (double)p.rounds * p.threads;
    printf("%.1f %.1f\n", (cpu() - cpu_before) / rounds, (seconds(CLOCK_MONOTONIC) - wall_before) / rounds);
    fflush(stdout);
    remove_files();
    return 0;
}
