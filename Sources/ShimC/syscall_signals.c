// The same as in signal.c, contexts.c and wait.c for callers of syscall(2): on the kernel's own layouts, and with its
// answers to arguments that are wrong, in its order. What cannot be read is the kernel's to refuse.
#include "numbers.h"

#include "masks.h"

#include <sys/syscall.h>
#include <unistd.h>

static long bad_address(void)
{
    errno = EFAULT;
    return -1;
}

// The masks of this thread are kept here, and the caller is no vfork child with masks of its own.
static bool keeps_mask(void) { return ps_signals_keep_mask() && !ps_signals_stranger(); }

// The kernel looks at the size, reads the new action, judges the number, sets, and writes the old one.
static long set_action(entry *next, int number, const void *action, void *old)
{
    struct ps_kernel_action wanted, before;
    if (action && !ps_fetch(&wanted, action, sizeof wanted))
        return bad_address();
    if (ps_signals_stranger()) {
        ps_signals_action(ps_is_ours(number) ? number : SIGBUS, NULL, &wanted);
        long result = next(SYS_rt_sigaction, number, (long)action, (long)old, sizeof(uint64_t), 0, 0);
        if (result == 0 && old && ps_fetch(&before, old, sizeof before) && ps_signals_is_ours(before.handler))
            ps_put(old, &wanted, sizeof wanted);
        return result;
    }
    if (ps_is_ours(number)) {
        ps_signals_action(number, action ? &wanted : NULL, &before);
    } else {
        const uint64_t noted = ps_signals_noted(number);
        if (action) {
            ps_signals_note(number, wanted.mask);
            wanted.mask &= ~PS_SIGNALS_OURS;
        }
        long result = next(SYS_rt_sigaction, number, (long)(action ? &wanted : NULL), (long)(old ? &before : NULL),
                           sizeof(uint64_t), 0, 0);
        if (result != 0) {
            if (action)
                ps_signals_note(number, noted);
            return result;
        }
        before.mask |= noted;
    }
    return old && !ps_put(old, &before, sizeof before) ? bad_address() : 0;
}

PS_CALL(rt_sigaction)
{
    if (!ps_signals_installed() || d != (long)sizeof(uint64_t))
        return PASS_ON;
    return set_action((entry *)NEXT(syscall), (int)a, (const void *)b, (void *)c);
}

static long set_mask(entry *next, int how, const void *set, void *old)
{
    uint64_t before = ps_signals_blocked(), bits = 0, seen = 0;
    if (set && !ps_fetch(&bits, set, sizeof bits))
        return bad_address();
    uint64_t without = bits & ~PS_SIGNALS_OURS;
    long result = next(SYS_rt_sigprocmask, how, (long)(set ? &without : NULL), (long)(old ? &seen : NULL),
                       sizeof without, 0, 0);
    if (result != 0)
        return result;
    seen |= before;
    if (old && !ps_put(old, &seen, sizeof seen))
        result = bad_address();
    if (set)
        ps_signals_set_blocked(how == SIG_BLOCK ? before | bits : how == SIG_UNBLOCK ? before & ~bits : bits);
    return result;
}

PS_CALL(rt_sigprocmask)
{
    if (!keeps_mask() || d != (long)sizeof(uint64_t))
        return PASS_ON;
    return set_mask((entry *)NEXT(syscall), (int)a, (const void *)b, (void *)c);
}

// A wait with another mask, which is argument `at` of the call, its size the next one.
static long wait_with(long number, const long argument[6], int at)
{
    entry *next = (entry *)NEXT(syscall);
    long changed[6] = {argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]};
    uint64_t bits, without;
    bool concerns = keeps_mask() && argument[at] && argument[at + 1] == (long)sizeof bits
        && ps_fetch(&bits, (const void *)argument[at], sizeof bits)
        && ((bits & PS_SIGNALS_OURS) || ps_signals_blocked());
    if (!concerns)
        return next(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
    without = bits & ~PS_SIGNALS_OURS;
    changed[at] = (long)&without;
    uint64_t token = ps_signals_begin_wait(bits);
    long result = next(number, changed[0], changed[1], changed[2], changed[3], changed[4], changed[5]);
    int saved = errno;
    ps_signals_end_wait(token);
    errno = saved;
    return result;
}

PS_CALL(rt_sigsuspend) { return wait_with(number, (const long[]){a, b, c, d, e, f}, 0); }

PS_CALL(ppoll) { return wait_with(number, (const long[]){a, b, c, d, e, f}, 3); }

PS_CALL(epoll_pwait) { return wait_with(number, (const long[]){a, b, c, d, e, f}, 4); }

// It has mask and size in a structure of their own.
PS_CALL(pselect6)
{
    long given[2] = {0, 0};
    uint64_t bits, without;
    bool concerns = keeps_mask() && f && ps_fetch(given, (const void *)f, sizeof given) && given[0]
        && given[1] == (long)sizeof bits && ps_fetch(&bits, (const void *)given[0], sizeof bits)
        && ((bits & PS_SIGNALS_OURS) || ps_signals_blocked());
    if (!concerns)
        return PASS_ON;
    without = bits & ~PS_SIGNALS_OURS;
    given[0] = (long)&without;
    f = (long)given;
    uint64_t token = ps_signals_begin_wait(bits);
    return PASS_ON_AND(ps_signals_end_wait(token));
}

PS_CALL(rt_sigtimedwait)
{
    uint64_t bits;
    bool takes = keeps_mask() && a && d == (long)sizeof bits && ps_signals_blocked()
        && ps_fetch(&bits, (const void *)a, sizeof bits) && (bits & ps_signals_blocked());
    if (!takes)
        return PASS_ON;
    uint64_t token = ps_signals_begin_take(bits);
    return PASS_ON_AND(ps_signals_end_take(token));
}

PS_CALL(rt_sigpending)
{
    if (!keeps_mask())
        return PASS_ON;
    long result = PASS_ON;
    uint64_t held = result == 0 && b == (long)sizeof held ? ps_signals_held() : 0, bits;
    if (held && ps_fetch(&bits, (const void *)a, sizeof bits)) {
        bits |= held;
        ps_put((void *)a, &bits, sizeof bits);
    }
    return result;
}

PS_CALL(sigaltstack)
{
    long result = PASS_ON;
    if (result == 0 && a)
        ps_after_sigaltstack();
    return result;
}
