// weight FILE CALLS: reads so many pages of FILE at random, and prints the KiB of page tables of the process then.
// Every page begins with its own number; exit status 1: one did not.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    static char page[4096];
    int fd = open(argv[1], O_RDONLY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return 2;
    long pages = status.st_size / (long)sizeof page;
    uint64_t random = 88172645463325252u;
    for (long i = atol(argv[2]); i > 0; i--) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        long number = (long)(random % (uint64_t)pages), found;
        if (pread(fd, page, sizeof page, number * (long)sizeof page) != sizeof page)
            return 1;
        memcpy(&found, page, sizeof found);
        if (found != number)
            return 1;
    }
    char line[200];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmPTE:", 6) == 0)
            printf("%ld\n", atol(line + 6));
    return 0;
}
