// What each step costs that Price.swift has a number for: steps DIRECTORY. Run natively it measures the kernel's part
// (faults, mappings, calls); under the shim, with PMEMSHIM_MAP_AFTER=24 and in a process of its own, what looking at a
// number and the first window cost.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGES 256
#define ROUNDS 401

static char buffer[4096];

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static long median(long *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static off_t at(int turn) { return (off_t)(turn * 37L % (PAGES - 2)) * 4096; }

static long pread_of(int fd, int turn)
{
    long start = now();
    if (pread(fd, buffer, sizeof buffer, at(turn)) != sizeof buffer)
        exit(1);
    return now() - start;
}

static int opened(const char *path)
{
    int fd = open(path, O_RDWR);
    if (fd < 0)
        exit(1);
    return fd;
}

// The kernel's: a call, a window that comes and goes, pages in it.
static void kernel_steps(const char *path)
{
    static long call[ROUNDS], window[ROUNDS], page[ROUNDS];
    int fd = opened(path);
    for (int round = 0; round < ROUNDS; round++) {
        call[round] = pread_of(fd, round);
        long start = now();
        char *base = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        munmap(base, 64 << 20);
        window[round] = now() - start;
        base = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        start = now();
        for (int i = 0; i < PAGES; i++)
            (void)*(volatile char *)(base + i * 4096L);
        munmap(base, 64 << 20);
        page[round] = now() - start;
    }
    close(fd);
    long empty = median(window, ROUNDS);
    printf("pread of 4 KiB %ld\nmmap and munmap %ld\na page that comes and goes %ld\n", median(call, ROUNDS), empty,
           (median(page, ROUNDS) - empty) / PAGES);
}

// What the call that makes the look costs more than the one before it, and the one that makes the window.
static void shim_steps(const char *path)
{
    static long look[ROUNDS], window[ROUNDS], served[ROUNDS], end[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int fd = opened(path);
        long before = 0;
        for (int turn = 0; turn < 700; turn++) {
            long took = pread_of(fd, turn);
            before = turn == 7 ? took : before;
            look[round] = turn == 8 ? took - before : look[round];
            window[round] = turn == 24 ? took - before : window[round];
            served[round] = turn == 699 ? took : served[round];
        }
        long start = now();
        close(fd);
        end[round] = now() - start;
    }
    printf("the first look of the process %ld\nits first window %ld\n", look[0], window[0]);
    printf("a look %ld\na window %ld\na served pread %ld\nclosing it %ld\n", median(look, ROUNDS),
           median(window, ROUNDS), median(served, ROUNDS), median(end, ROUNDS));
}

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    char path[4096];
    snprintf(path, sizeof path, "%s/steps", arguments[1]);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < PAGES; i++)
        if (write(fd, buffer, sizeof buffer) != sizeof buffer)
            return 1;
    close(fd);
    const char *preload = getenv("LD_PRELOAD");
    preload && *preload ? shim_steps(path) : kernel_steps(path);
    unlink(path);
}
