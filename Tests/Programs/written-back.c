// Pages that are written and then written back, again and again: one write to each in between ("once"), or many to few
// of them and hardly ever a sync ("often"). On a page cache the first store to a page after that is dear.
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

PROGRAM({"once", once}, {"often", often})
