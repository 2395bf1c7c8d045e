#include "ps_fetch.h"

#include "ps_copy.h"
#include "ps_engine.h"
#include "ps_settings.h"
#include "ps_signals.h"
#include "ps_sys.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>

// A fault would be answered by our handler, which needs room for its frame.
static bool may_copy(void) { return ps_signals_keep_mask() && !ps_signals_on_small_stack(); }

// 1: done. 0: the memory is bad. Negative: the kernel does not do this here.
static int by_kernel(long number, const void *ours, const void *theirs, size_t count)
{
    // After a filter nothing new is asked of the kernel.
    if (ps_given_way() & PS_GIVE_WAY_SECCOMP)
        return -1;
    const struct iovec here = {(void *)ours, count}, there = {(void *)theirs, count};
    long moved = ps_sys_call6(number, ps_sys_process(), (long)&here, 1, (long)&there, 1, 0);
    return moved >= 0 ? moved == (long)count : moved == -EFAULT ? 0 : -1;
}

// Byte by byte: nothing here may become a call of somebody's memcpy.
static void move(volatile char *to, const volatile char *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

bool ps_fetch(void *to, const void *from, size_t count)
{
    if (may_copy())
        return ps_copy(to, from, count) == 0;
    int done = by_kernel(SYS_process_vm_readv, to, from, count);
    if (done >= 0)
        return done;
    // A system call that takes eight bytes tells whether they are there; aligned ones lie in one page.
    const uintptr_t first = (uintptr_t)from & ~7ul, last = ((uintptr_t)from + count - 1) & ~7ul;
    for (uintptr_t at = first; at <= last; at += 4096)
        if (!ps_sys_readable((const void *)at))
            return false;
    if (!ps_sys_readable((const void *)last))
        return false;
    move(to, from, count);
    return true;
}

bool ps_put(void *to, const void *from, size_t count)
{
    if (may_copy())
        return ps_copy(to, from, count) == 0;
    int done = by_kernel(SYS_process_vm_writev, from, to, count);
    if (done >= 0)
        return done;
    // The kernel writes the thread's mask there, or says that it cannot; all of it is overwritten at once.
    for (size_t at = 0; at < count; at += 8)
        if (ps_sys_call4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)to + (long)at, 8) != 0)
            return false;
    move(to, from, count);
    return true;
}

bool ps_fetch_again(void *to, const void *from, size_t count)
{
    // Without the handler, or with the two blocked, the guard is none, and this is a plain load.
    return ps_copy(to, from, count) == 0;
}

#ifdef PS_CHECKED_COPIES
int ps_copy_unchecked(void *destination, const void *source, size_t count);

// What AddressSanitizer puts between variables is looked at as well: frames of signals may lie anywhere.
bool ps_fetch_stack(void *to, uintptr_t from, size_t count)
{
    return ps_copy_unchecked(to, (const void *)from, count) == 0;
}
#else
// valgrind's way of being asked whether it is there (RUNNING_ON_VALGRIND): instructions that do nothing elsewhere.
static bool is_under_valgrind(void)
{
    const uint64_t request[6] = {0x1001};
    uint64_t answer = 0;
    __asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\txchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(request)
                     : "cc", "memory");
    return answer != 0;
}

bool ps_fetch_stack(void *to, uintptr_t from, size_t count)
{
    int done = is_under_valgrind() ? by_kernel(SYS_process_vm_readv, to, (const void *)from, count) : -1;
    return done >= 0 ? done : ps_copy(to, (const void *)from, count) == 0;
}
#endif
