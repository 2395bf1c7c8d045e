// System calls by number: what syscall.c, which has the table, shares with syscall_data.c and syscall_signals.c.
#ifndef PS_NUMBERS_H
#define PS_NUMBERS_H

#include "face.h"

// As libc's variadic syscall is called. The sixth argument of the call is on the caller's stack, where the original
// looks for it too.
typedef long entry(long number, long a, long b, long c, long d, long e, long f);

// A function that the table names (entry-points.def): the whole call, so PASS_ON and what is due before and after it.
// Not inlined: ps_syscall_handle is nothing but jumps to them.
#define PS_CALL(how)                                                                                                   \
    __attribute__((noinline)) long ps_call_##how(PS_GIVEN long number, PS_GIVEN long a, PS_GIVEN long b,               \
                                                 PS_GIVEN long c, PS_GIVEN long d, PS_GIVEN long e, PS_GIVEN long f)
#define PS_GIVEN __attribute__((unused))

// Within one of them: the next symbol, as the call came.
#define PASS_ON ((entry *)NEXT(syscall))(number, a, b, c, d, e, f)
// PASS_ON, and then what is due, with the kernel's answer in `result` and errno as the kernel has left it.
#define PASS_ON_AND(...)                                                                                               \
    ({                                                                                                                 \
        const long result = PASS_ON;                                                                                   \
        const int saved_ = errno;                                                                                      \
        __VA_ARGS__;                                                                                                   \
        errno = saved_;                                                                                                \
        result;                                                                                                        \
    })

// syscall_data.c
PS_CALL(read);
PS_CALL(pread);
PS_CALL(readv);
PS_CALL(preadv);
PS_CALL(preadv2);
PS_CALL(write);
PS_CALL(pwrite);
PS_CALL(writev);
PS_CALL(pwritev);
PS_CALL(pwritev2);
PS_CALL(fsync);
PS_CALL(fdatasync);
PS_CALL(mmap);
PS_CALL(munmap);

// syscall_signals.c
PS_CALL(rt_sigaction);
PS_CALL(rt_sigprocmask);
PS_CALL(rt_sigpending);
PS_CALL(rt_sigsuspend);
PS_CALL(rt_sigtimedwait);
PS_CALL(pselect6);
PS_CALL(ppoll);
PS_CALL(epoll_pwait);
PS_CALL(sigaltstack);

#endif
