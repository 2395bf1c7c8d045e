// For gdb: reads of a file, one of them after another program has cut it, a SIGBUS of this program's own, and a
// thread's first reads of a file.
// Usage: stepped FILE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char buffer[4096];
static sigjmp_buf back;

static uint32_t sum(ssize_t count)
{
    uint32_t result = 2166136261u;
    for (ssize_t at = 0; at < count; at++)
        result = (result ^ (uint8_t)buffer[at]) * 16777619u;
    return result;
}

static void on_own(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

static ssize_t whole_read(int fd)
{
    return pread(fd, buffer, sizeof buffer, 40960); // line "whole"
}

static ssize_t cut_read(int fd)
{
    return pread(fd, buffer, sizeof buffer, 600000); // line "cut"
}

// The thread's stack is below what the library has mapped by now.
static void *first_reads(void *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ssize_t written = write(fd, buffer, sizeof buffer), there = 0;
    for (int round = 0; round < 40; round++)
        there += pread(fd, buffer, sizeof buffer, 0);
    printf("in a thread: %zd, %zd\n", written, there);
    return NULL;
}

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    int fd = open(arguments[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int page = 0; page < 256; page++) {
        memset(buffer, page, sizeof buffer);
        snprintf(buffer, sizeof buffer, "page %d of %d", page, 256);
        if (write(fd, buffer, sizeof buffer) != (ssize_t)sizeof buffer)
            return 1;
    }
    uint32_t all = 0;
    for (int round = 0; round < 600; round++)
        all = all * 31 + sum(pread(fd, buffer, sizeof buffer, (round % 200) * 4096));
    printf("600 reads: %08x\n", all);
    ssize_t whole = whole_read(fd);
    printf("whole: %zd bytes, %08x, %s\n", whole, sum(whole), buffer);

    char command[4200];
    snprintf(command, sizeof command, "env -u LD_PRELOAD truncate -s 400000 '%s'", arguments[1]);
    if (system(command) != 0)
        return 1;
    ssize_t cut = cut_read(fd);
    printf("cut: %zd bytes\n", cut);
    cut = cut_read(fd);
    printf("cut, once more: %zd bytes, at the end %zd\n", cut, pread(fd, buffer, 4096, 399000));

    signal(SIGBUS, on_own);
    volatile char *mapped = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
    if (sigsetjmp(back, 1) == 0)
        printf("no SIGBUS: %d\n", mapped[500000]); // line "own"
    else
        printf("own SIGBUS, and on\n");
    pthread_t thread;
    if (unlink(arguments[1]) != 0 || pthread_create(&thread, NULL, first_reads, arguments[1]) != 0)
        return 1;
    pthread_join(thread, NULL);
    unlink(arguments[1]);
    printf("end\n");
    return 0;
}
