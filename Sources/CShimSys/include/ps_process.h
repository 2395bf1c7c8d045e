// What shimctl asks of the kernel by functions that Swift cannot or will not call. Nothing of it is in the library.
#ifndef PS_PROCESS_H
#define PS_PROCESS_H

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

// Processes whose parent ends become children of this one, from now on (PR_SET_CHILD_SUBREAPER of prctl(2)): so that a
// daemon which a program starts counts as the program's own. 0, or -1 and errno.
static inline int ps_adopt_orphans(void)
{
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

// This process is killed when the thread that has started it ends, however that happens (PR_SET_PDEATHSIG of prctl(2)).
// 0, or -1 and errno.
static inline int ps_end_with_parent(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

// fork(2). The child may go on in Swift where there is one thread only.
static inline pid_t ps_fork(void)
{
    return fork();
}

#endif
