// The processes of a sequence: any number may be alive, one has the turn. So the order of operations is that of the
// sequence, whichever process does them, and everything that two of them share can be compared after every step.
#include "exerciser.h"

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

unsigned actor_self;

static struct actors *all(void)
{
    return &running->report->actors;
}

static bool alive(unsigned index)
{
    return all()->list[index].pid != 0 && !all()->list[index].ended;
}

bool actors_others(void)
{
    return actors_pick(0) >= 0;
}

int actors_pick(unsigned which)
{
    int found[ACTORS];
    unsigned count = 0;
    for (unsigned index = 0; index < ACTORS; index++)
        if (index != actor_self && alive(index)) found[count++] = (int)index;
    return count == 0 ? -1 : found[which % count];
}

int actors_free(void)
{
    for (unsigned index = 0; index < ACTORS; index++)
        if (index != actor_self && !alive(index)) return (int)index;
    return -1;
}

void actors_enter(unsigned index)
{
    actor_self = index;
    all()->list[index].ended = 0;
    all()->list[index].pid = getpid();
}

void actors_give(unsigned to)
{
    all()->holder = to;
    syscall(SYS_futex, &all()->holder, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void actors_wait(void)
{
    const struct timespec patience = {2, 0};
    uint32_t holder;
    while ((holder = all()->holder) != actor_self) {
        syscall(SYS_futex, &all()->holder, FUTEX_WAIT, holder, &patience, NULL, 0);
        // Nobody is left who would end this process.
        if (kill(running->report->supervisor, 0) != 0) _exit(STATUS_USAGE);
    }
    running->report->actor = actor_self;
    if (all()->leaving != 0) await_end(all()->leaving);
    all()->leaving = 0;
}

void actors_expect_end(unsigned index)
{
    all()->list[index].ended = 1;
}

// A process that can be waited for has closed its descriptors, and with them its locks.
void await_end(pid_t pid)
{
    struct pollfd ended = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    while (ended.fd >= 0 && poll(&ended, 1, -1) < 0 && errno == EINTR) continue;
    if (ended.fd >= 0) close(ended.fd);
    waitpid(pid, NULL, WNOHANG); // where it is a child of this one
}
