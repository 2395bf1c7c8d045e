// Pages that are written and then written back, again and again: one write to each in between ("once"), or many to few
// of them and hardly ever a sync ("often"). On a page cache the first store to a page after that is dear. "read-back"
// reads each page again that was written once; "mapped" says in the end how many mappings of the file can be stored to,
// or are shared, and how many there are.
#include "transcript.h"

enum { PAGES = 512 };

static char page[PAGE];

static int prepared(void)
{
    make_file("file", 1, (PAGES + 1) * PAGE);
    int fd = open("file", O_RDWR);
    for (int round = 0; round < 2; round++)
        for (long i = 0; i < PAGES; i++)
            if (pread(fd, page, PAGE, i * PAGE) != PAGE)
                say("a short read");
    return fd;
}

static void once(void)
{
    int fd = prepared();
    for (int round = 0; round < 60; round++) {
        memset(page, round, sizeof page);
        for (long i = 0; i < PAGES; i++)
            if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
                say("a short write");
        if (fdatasync(fd) != 0)
            say("no sync");
    }
    truth("file");
}

static void often(void)
{
    int fd = prepared();
    for (long round = 0; round < 30000; round++) {
        memset(page, (int)round, sizeof page);
        if (pwrite(fd, page, PAGE, round % 16 * PAGE) != PAGE)
            say("a short write");
        if (round % 4000 == 0 && fdatasync(fd) != 0)
            say("no sync");
    }
    truth("file");
}

// What is read must be what the kernel has written, whatever kind of mapping it is read from.
static void read_back(void)
{
    int fd = prepared();
    char back[PAGE];
    for (int round = 0; round < 60; round++) {
        memset(page, round, sizeof page);
        for (long i = 0; i < PAGES; i++)
            if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
                say("a short write");
        if (fdatasync(fd) != 0)
            say("no sync");
        for (long i = 0; i < 2 * PAGES; i++)
            if (pread(fd, back, PAGE, i % PAGES * PAGE) != PAGE || memcmp(back, page, PAGE) != 0)
                say("round %d: page %ld is not what was written", round, i % PAGES);
    }
    truth("file");
}

static void mapped(void)
{
    once();
    int shared = 0, all = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) {
        char protection[5] = "";
        if (!strstr(line, "/file\n") || sscanf(line, "%*s %4s", protection) != 1)
            continue;
        all++;
        shared += protection[1] == 'w' || protection[3] == 's';
    }
    fclose(maps);
    say("mappings %d of %d", shared, all);
}

PROGRAM({"read-back", read_back}, {"mapped", mapped}, {"once", once}, {"often", often})
