// Signals by system call number: the parts of syscall.c that are about masks, actions and stacks.
#ifndef PS_SYSCALL_SIGNALS_H
#define PS_SYSCALL_SIGNALS_H

#include "masks.h"

#include <sys/syscall.h>

// The sixth argument of the call is on the caller's stack, where the variadic original looks for it too.
typedef long entry(long number, long a, long b, long c, long d, long e, long f);

static inline bool ps_signals_may_concern(long number)
{
    switch (number) {
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_sigaltstack:
    case SYS_rt_sigpending:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait:
    case SYS_pselect6:
    case SYS_ppoll:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2: return true;
    default: return false;
    }
}

// The whole call, by `next` and around it.
long ps_syscall_signals(entry *next, long number, const long argument[6]);

#endif
