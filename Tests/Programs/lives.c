// lives FILE CALLS FILES [children]: opens a file of 1 MiB, reads so many pages of it and closes it, so many times,
// each in a child of its own if asked for. Exit status 1: a page was not what had been written to it.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int read_all(const char *path, int calls)
{
    static unsigned char page[4096];
    int fd = open(path, O_RDONLY);
    for (int i = 0; i < calls; i++) {
        int number = i * 37 % 255;
        if (pread(fd, page, sizeof page, number * 4096L) != sizeof page || page[0] != number
            || page[4095] != number)
            return 1;
    }
    return close(fd);
}

int main(int argc, char **argv)
{
    for (int turn = 0; turn < atoi(argv[3]); turn++) {
        int failed = 0;
        if (argc < 5) {
            failed = read_all(argv[1], atoi(argv[2]));
        } else if (fork() == 0) {
            exit(read_all(argv[1], atoi(argv[2])));
        } else {
            wait(&failed);
        }
        if (failed) return 1;
    }
    return 0;
}
