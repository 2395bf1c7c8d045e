// modify ACTION FILE NUMBERS...: changes a file behind the back of a served program. Always run without the shim.
#include "transcript.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *action = argv[1], *path = argv[2];
    long first = argc > 3 ? atol(argv[3]) : 0, second = argc > 4 ? atol(argv[4]) : 0;
    int tag = argc > 5 ? atoi(argv[5]) : 0;
    if (strcmp(action, "unlink") == 0)
        return unlink(path) != 0;
    if (strcmp(action, "rename") == 0)
        return rename(path, argv[3]) != 0;
    if (strcmp(action, "truncate") == 0) // FILE SIZE
        return truncate(path, first) != 0;
    if (strcmp(action, "recreate") == 0) { // FILE SIZE TAG: O_TRUNC, then new bytes
        make_file(path, (int)second, first);
        return 0;
    }
    int fd = open(path, O_RDWR);
    if (fd < 0)
        return 1;
    if (strcmp(action, "fill") == 0) { // FILE OFFSET COUNT TAG
        void *bytes = malloc((size_t)second);
        if (bytes == NULL)
            return 1;
        fill(bytes, tag, first, second);
        return pwrite(fd, bytes, (size_t)second, first) != second;
    }
    if (strcmp(action, "punch") == 0) // FILE OFFSET COUNT
        return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first, second) != 0;
    if (strcmp(action, "truth") == 0) { // says the bytes of a range as this process reads them
        char *bytes = malloc((size_t)second);
        if (bytes == NULL)
            return 1;
        say_bytes("seen by another process", bytes, pread(fd, bytes, (size_t)second, first));
        return 0;
    }
    return 2;
}
