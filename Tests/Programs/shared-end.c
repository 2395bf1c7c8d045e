// shared-end FILE ROUNDS: how often a write at an offset shared with a reading process lands behind a hole. Natively
// never; under the shim a read whose guess another process has made wrong claims for a moment what lies behind the end
// (docs/limitations.md). Run by hand: the count is a matter of timing.
#include "transcript.h"

#define SIZE 1000000

int main(int argc, char **argv)
{
    static char bytes[4096];
    if (argc != 3)
        return 2;
    make_file(argv[1], 1, SIZE);
    int fd = open(argv[1], O_RDWR);
    volatile bool *stop = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fd < 0 || stop == MAP_FAILED)
        die(argv[1]);
    pid_t child = fork();
    if (child == 0) {
        while (!*stop)
            read(fd, bytes, sizeof bytes);
        _exit(0);
    }
    long holes = 0, rounds = atol(argv[2]);
    for (long i = 0; i < rounds; i++) {
        raw(SYS_lseek, fd, 4096, SEEK_SET, 0, 0, 0); // where the reader is served
        raw(SYS_lseek, fd, SIZE - 100, SEEK_SET, 0, 0, 0);
        write(fd, bytes, 300);
        struct stat status;
        fstat(fd, &status);
        holes += status.st_size > SIZE + 300;
        ftruncate(fd, SIZE);
    }
    *stop = true;
    waitpid(child, NULL, 0);
    printf("%ld of %ld writes left a hole\n", holes, rounds);
    return 0;
}
