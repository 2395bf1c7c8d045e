// Overwrites a file in many clock ticks, while the program's clock is whatever another preload makes of it: in each the
// file's times must move, since the kernel hears of one write a tick at least. Run as `clock-ticks CASE DIRECTORY`.
#include <time.h>

#include "transcript.h"

static void overwrites(void)
{
    static char block[PAGE];
    struct stat now, before = {0};
    int fd = open_file("file", 1, O_RDWR), moved = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 100; i++) {
            memset(block, round + i, sizeof block);
            pwrite(fd, block, sizeof block, i % 60 * PAGE);
        }
        // Some ticks of the kernel's, by nobody's clock but its own.
        struct timespec ticks = {0, 20000000};
        raw(SYS_nanosleep, (long)&ticks, 0, 0, 0, 0, 0);
        raw(SYS_fstat, fd, (long)&now, 0, 0, 0, 0);
        moved += now.st_mtim.tv_sec != before.st_mtim.tv_sec || now.st_mtim.tv_nsec != before.st_mtim.tv_nsec;
        before = now;
    }
    say("mtime moved in %d rounds of 20", moved);
    truth("file");
    // That the clock is another one shows that this has tested something.
    struct timespec one, two;
    clock_gettime(CLOCK_REALTIME_COARSE, &one);
    struct timespec ticks = {0, 20000000};
    raw(SYS_nanosleep, (long)&ticks, 0, 0, 0, 0, 0);
    clock_gettime(CLOCK_REALTIME_COARSE, &two);
    say("the clock %s", one.tv_sec == two.tv_sec && one.tv_nsec == two.tv_nsec ? "stands still" : "goes");
}

PROGRAM({"overwrites", overwrites})
