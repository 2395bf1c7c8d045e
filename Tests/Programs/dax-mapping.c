// `dax-mapping CASE DIRECTORY`: what a mapping of a file on DAX can do, in a transcript.
#include "transcript.h"

// A file whose mapping needs no msync: MAP_SYNC is granted by DAX file systems only.
static void synchronous(void)
{
    make_file("file", 1, FILE_SIZE);
    int fd = open("file", O_RDWR);
    struct statx facts;
    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &facts) != 0)
        die("file");
    say("dax %d", (facts.stx_attributes & STATX_ATTR_DAX) != 0);
    char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    say("MAP_SYNC %d", map != MAP_FAILED);
    if (map == MAP_FAILED)
        return;
    char buffer[PAGE];
    for (long page = 0; page < 100; page++) {
        memset(map + page * PAGE, (int)page + 1, PAGE);
        ssize_t result = pread(fd, buffer, PAGE, page * PAGE);
        if (result != PAGE || memcmp(buffer, map + page * PAGE, PAGE) != 0)
            say("pread of page %ld: %zd, or other bytes than in the mapping", page, result);
        memset(buffer, (int)page + 101, PAGE);
        result = pwrite(fd, buffer, PAGE, page * PAGE);
        if (result != PAGE || memcmp(buffer, map + page * PAGE, PAGE) != 0)
            say("pwrite of page %ld: %zd, or other bytes than in the mapping", page, result);
    }
    say("msync %d", msync(map, PAGE, MS_SYNC));
    say("fdatasync %d", fdatasync(fd));
}

PROGRAM({"synchronous", synchronous})
