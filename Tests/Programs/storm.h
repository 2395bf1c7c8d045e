// Signals at a thread, many in a second, at moments nobody chooses.
#ifndef STORM_H
#define STORM_H

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "transcript.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

// Sends `number` to the calling thread every `nanoseconds`, give or take: a round number would fall into step with a
// loop of the program.
static inline timer_t storm_begin(int number, long nanoseconds)
{
    timer_t timer;
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = number;
    event.sigev_notify_thread_id = (int)raw(SYS_gettid, 0, 0, 0, 0, 0, 0);
    struct itimerspec often = {{0, nanoseconds}, {0, nanoseconds}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &often, NULL) != 0)
        die("timer");
    return timer;
}

static inline void storm_end(timer_t timer)
{
    if (timer_delete(timer) != 0)
        die("timer_delete");
}

// How many mappings the process has: what is never given back shows here.
static inline long mappings(void)
{
    char bytes[4096];
    long fd = raw(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0, 0, 0), count, lines = 0;
    while ((count = raw(SYS_read, fd, (long)bytes, sizeof bytes, 0, 0, 0)) > 0)
        for (long i = 0; i < count; i++)
            lines += bytes[i] == '\n';
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    return lines;
}

// Address space, in MiB.
static inline long address_space(void)
{
    char bytes[64] = {0};
    long fd = raw(SYS_openat, AT_FDCWD, (long)"/proc/self/statm", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    raw(SYS_read, fd, (long)bytes, sizeof bytes - 1, 0, 0, 0);
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    return atol(bytes) / 256;
}

// Opens and reads a file over and over, as one after the other would: neither mappings nor addresses may add up.
static inline bool comes_and_goes(const char *path, int times)
{
    char bytes[PAGE];
    long before = 0, space = 0;
    for (int i = 0; i < times + 20; i++) {
        if (i == 20) {
            before = mappings();
            space = address_space();
        }
        int fd = open(path, O_RDWR | O_CLOEXEC);
        for (int k = 0; k < 3; k++)
            if (pread(fd, bytes, sizeof bytes, k * PAGE) != (ssize_t)sizeof bytes)
                return false;
        close(fd);
    }
    // What may be kept for later is bounded; 70 MiB and a mapping at every turn are not.
    return mappings() < before + 40 && address_space() < space + 35l * times;
}

#endif
