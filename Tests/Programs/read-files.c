// read-files ROUNDS FILE...: opens each file for reading and writing, reads it ROUNDS times at places all over it,
// overwrites some of it as often, and says its hash as the kernel has it.
#include "transcript.h"

int main(int argc, char **argv)
{
    static unsigned char buffer[8192];
    if (argc < 3)
        return 2;
    int rounds = atoi(argv[1]);
    for (int i = 2; i < argc; i++) {
        int fd = open(argv[i], O_RDWR | O_CLOEXEC);
        struct stat status;
        if (fd < 0 || fstat(fd, &status) != 0) {
            say("%s", strerrorname_np(errno));
            continue;
        }
        uint64_t hash = HASH_START;
        for (int round = 0; round < rounds; round++) {
            long at = status.st_size > 20000 ? round * 12345l % (status.st_size - 20000) : 0;
            ssize_t count = pread(fd, buffer, sizeof buffer, at);
            hash = count > 0 ? hash_add(hash, buffer, (size_t)count) : 0;
            if (count == sizeof buffer && pwrite(fd, buffer, sizeof buffer, at) != count)
                say("short pwrite");
        }
        long size;
        say("%016lx %016lx", hash, truth_hash(argv[i], &size));
        close(fd);
    }
    return 0;
}
