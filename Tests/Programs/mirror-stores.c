// Stores into a file that it keeps mapped, and never calls the kernel for it: what a mirror has to see by the file's
// times alone.
//
//   mirror-stores FILE SECONDS [sync|unlinked]    counters at random places of FILE, which it makes (4 MiB); sync:
//                                                 MAP_SYNC; unlinked: a file without a name, which no scan finds
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 4 << 20 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    int fd = open(arguments[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    char *block = calloc(1, SIZE);
    if (fd < 0 || !block || write(fd, block, SIZE) != SIZE || fsync(fd) != 0)
        return 1;
    const char *kind = count > 3 ? arguments[3] : "";
    if (strcmp(kind, "unlinked") == 0 && unlink(arguments[1]) != 0)
        return 1;
    int flags = strcmp(kind, "sync") == 0 ? MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED;
    volatile uint64_t *words = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (words == MAP_FAILED)
        return 1;
    double end = now() + atof(arguments[2]);
    uint64_t stores = 0, state = 88172645463325252u;
    while (now() < end) {
        for (int i = 0; i < 20; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            words[state % (SIZE / 8)] = ++stores;
        }
        struct timespec rest = {0, 1000000};
        nanosleep(&rest, NULL);
    }
    printf("%llu stores\n", (unsigned long long)stores);
    return 0;
}
