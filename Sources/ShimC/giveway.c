// Calls after which windows would be wrong, unwanted or impossible. The engine lets go before the call, so that no
// moment exists in which both hold; if the call then fails, what it would have forbidden is allowed again.
#include "face.h"

#include "descriptors.h"
#include "ps_signals.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ulimit.h>

extern int vlimit(int resource, int value);
extern int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);

// mlockall is in force: a second one that fails must not lift the first. Inherited by a forked child, whose memory is
// not locked: it serves nothing, which is only slow.
static bool locked;

void ps_before_mlockall(void) { ps_engine_give_way(PS_GIVE_WAY_MLOCKALL); }

void ps_after_mlockall(long result)
{
    if (result == 0)
        __atomic_store_n(&locked, true, __ATOMIC_RELAXED);
    else if (!__atomic_load_n(&locked, __ATOMIC_RELAXED))
        ps_engine_resume(PS_GIVE_WAY_MLOCKALL);
}

void ps_after_munlockall(long result)
{
    if (result != 0)
        return;
    __atomic_store_n(&locked, false, __ATOMIC_RELAXED);
    ps_engine_resume(PS_GIVE_WAY_MLOCKALL);
}

PS_ENTRY int mlockall(int flags)
{
    ps_before_mlockall();
    int result = NEXT(mlockall)(flags);
    ps_after_mlockall(result);
    return result;
}

PS_ENTRY int munlockall(void)
{
    int result = NEXT(munlockall)();
    ps_after_munlockall(result);
    return result;
}

// A filter may kill the process at the first mmap, madvise or membarrier of ours. For good, even if the call fails:
// filters are asked for by programs that will ask again.
void ps_before_prctl(int option, unsigned long argument)
{
    (void)argument;
    if (option == PR_SET_SECCOMP)
        ps_engine_give_way(PS_GIVE_WAY_SECCOMP);
}

void ps_before_seccomp(unsigned operation)
{
    if (operation == 0 || operation == 1) // SECCOMP_SET_MODE_STRICT, SECCOMP_SET_MODE_FILTER; the rest only ask
        ps_engine_give_way(PS_GIVE_WAY_SECCOMP);
}

PS_ENTRY int prctl(int option, ...)
{
    va_list list;
    va_start(list, option);
    unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long);
    unsigned long c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
    va_end(list);
    ps_before_prctl(option, a);
    return NEXT(prctl)(option, a, b, c, d);
}

static bool gives_way(int resource, enum ps_give_way *reason)
{
    if (resource == RLIMIT_AS)
        *reason = PS_GIVE_WAY_ADDRESS_SPACE;
    else if (resource == RLIMIT_FSIZE)
        *reason = PS_GIVE_WAY_FILE_SIZE;
    else
        return false;
    return true;
}

static bool is_self(int process) { return process == 0 || process == ps_sys_process(); }

// After the call: what is in force is the kernel's to say, also when the call failed or another thread has called. The
// application's structure is not looked at, it may be bad memory. Setting RLIMIT_AS below what is mapped is allowed, so
// letting go of the windows afterwards is soon enough.
void ps_after_limit(int process, int resource, const void *limit)
{
    enum ps_give_way reason;
    struct rlimit now;
    if (!limit || !gives_way(resource, &reason) || !is_self(process))
        return;
    // A vfork child's limits are its own, and its cache is its parent's: it may give way for both, not resume.
    if (ps_sys_call4(SYS_prlimit64, 0, resource, 0, (long)&now) != 0 || now.rlim_cur != RLIM_INFINITY)
        ps_engine_give_way(reason);
    else if (!ps_signals_stranger())
        ps_engine_resume(reason);
}

PS_ENTRY int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    int result = NEXT(setrlimit)(resource, limit);
    ps_after_limit(0, (int)resource, limit);
    return result;
}
_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64), "one code for both on a 64-bit machine");
extern __typeof__(setrlimit64) setrlimit64 __attribute__((alias("setrlimit"), visibility("default")));

PS_ENTRY int prlimit(pid_t process, enum __rlimit_resource resource, const struct rlimit *limit, struct rlimit *old)
{
    int result = NEXT(prlimit)(process, resource, limit, old);
    ps_after_limit(process, (int)resource, limit);
    return result;
}
extern __typeof__(prlimit64) prlimit64 __attribute__((alias("prlimit"), visibility("default")));

PS_ENTRY long ulimit(int command, ...)
{
    va_list list;
    va_start(list, command);
    long value = va_arg(list, long);
    va_end(list);
    const struct rlimit finite = {0};
    long result = NEXT(ulimit)(command, value);
    if (command == UL_SETFSIZE)
        ps_after_limit(0, RLIMIT_FSIZE, &finite);
    return result;
}

// Its resource numbers are its own: ask the kernel about both limits.
PS_ENTRY int vlimit(int resource, int value)
{
    int result = NEXT(vlimit)(resource, value);
    const struct rlimit any = {0};
    ps_after_limit(0, RLIMIT_FSIZE, &any);
    ps_after_limit(0, RLIMIT_AS, &any);
    return result;
}

void ps_before_unshare(int flags)
{
    if ((flags & CLONE_FILES) && !ps_signals_stranger()) // a vfork child parts from nobody
        ps_engine_give_way(PS_GIVE_WAY_UNSHARE_FILES);
}

PS_ENTRY int unshare(int flags)
{
    ps_before_unshare(flags);
    return NEXT(unshare)(flags);
}

// The cache is memory, what it describes is the table of descriptors, and its threads are libc's. Who shares the table
// but not the memory closes and opens where we do not see it; who shares the memory, but is no thread of libc's, would
// be told of our numbers, or seem dead to our threads. A child that is cloned as vfork does is left out: its parent
// waits, and it calls little but close, dup2 and exec.
void ps_before_clone(unsigned long flags)
{
    bool memory = flags & CLONE_VM;
    if (memory ? !(flags & CLONE_VFORK) : flags & CLONE_FILES)
        ps_engine_give_way(PS_GIVE_WAY_UNSHARE_FILES);
    if (memory)
        ps_signals_note_sharing();
    else
        ps_signals_stranger(); // settles an older doubt
}

PS_ENTRY int clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
    va_list list;
    va_start(list, argument);
    pid_t *parent = va_arg(list, pid_t *);
    void *tls = va_arg(list, void *);
    pid_t *child = va_arg(list, pid_t *);
    va_end(list);
    ps_before_clone((unsigned)flags);
    return NEXT(clone)(function, stack, flags, argument, parent, tls, child);
}
PS_ALIAS(__clone, clone);

PS_ENTRY int pthread_cancel(pthread_t thread)
{
    ps_close_fast_way();
    return NEXT(pthread_cancel)(thread);
}
