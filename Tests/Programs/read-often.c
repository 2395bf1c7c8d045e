// `read-often FILE ROUNDS`: reads the whole file so often by pread of 4 KiB, so that even the careful rule serves it.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char buffer[4096];
    const int fd = argc == 3 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0) {
        perror(argc == 3 ? argv[1] : "usage: read-often FILE ROUNDS");
        return 2;
    }
    for (int round = atoi(argv[2]); round > 0; round--) {
        ssize_t count;
        for (off_t offset = 0; (count = pread(fd, buffer, sizeof buffer, offset)) > 0; offset += count)
            continue;
        if (count < 0) {
            perror(argv[1]);
            return 1;
        }
    }
    return 0;
}
