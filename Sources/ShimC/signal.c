// Actions and masks of signals. Until our handler is installed everything passes on as it came; from then on SIGBUS
// and SIGSEGV are kept from the kernel and shown to the application as it set them (ps_signals.h). A vfork child
// passes on too: what it sets is its own, and the notes are its parent's.
#include "face.h"

#include "masks.h"

#include <signal.h>

extern int __sigaction(int number, const struct sigaction *restrict action, struct sigaction *restrict old);
extern __sighandler_t bsd_signal(int number, __sighandler_t handler);
extern __sighandler_t __sysv_signal(int number, __sighandler_t handler);
extern int siginterrupt(int number, int interrupt);

// ---- actions ----

// What sigaction would have told: the flags with SA_RESTORER, since that is how libc hands an action to the kernel.
static struct ps_kernel_action to_kernel(const struct sigaction *action)
{
    return (struct ps_kernel_action){(uintptr_t)action->sa_handler, (unsigned)action->sa_flags | 0x04000000u,
                                     (uintptr_t)action->sa_restorer, ps_bits_of(&action->sa_mask)};
}

static void from_kernel(struct sigaction *action, const struct ps_kernel_action *kernel)
{
    *action = (struct sigaction){.sa_handler = (__sighandler_t)kernel->handler, .sa_flags = (int)kernel->flags};
    action->sa_restorer = (void (*)(void))kernel->restorer;
    ps_set_bits(&action->sa_mask, kernel->mask);
}

// libc's own reads the action, and writes the old one, by plain loads and stores, before the kernel is asked and after
// it has answered: a bad pointer gives SIGSEGV natively, and does so here, at the same points.
PS_ENTRY int sigaction(int number, const struct sigaction *restrict action, struct sigaction *restrict old)
{
    if (!ps_signals_installed()) {
        int result = NEXT(sigaction)(number, action, old);
        if (action && ps_signals_installed()) // by another thread, meanwhile
            ps_signals_adopt(number);
        return result;
    }
    // What libc refuses without a look at the action: two signals are its own.
    if (number < 1 || number > 64 || number == 32 || number == 33)
        return NEXT(sigaction)(number, action, old);
    if (ps_signals_stranger()) {
        struct ps_kernel_action before;
        ps_signals_action(ps_is_ours(number) ? number : SIGBUS, NULL, &before);
        int result = NEXT(sigaction)(number, action, old);
        if (result == 0 && old && ps_signals_is_ours((uintptr_t)old->sa_handler))
            from_kernel(old, &before);
        return result;
    }
    if (ps_is_ours(number)) {
        struct ps_kernel_action wanted, before;
        if (action)
            wanted = to_kernel(action);
        ps_signals_action(number, action ? &wanted : NULL, &before);
        if (old)
            from_kernel(old, &before);
        return 0;
    }
    uint64_t noted = ps_signals_noted(number);
    struct sigaction without;
    if (action) {
        without = *action;
        ps_set_bits(&without.sa_mask, ps_bits_of(&action->sa_mask) & ~PS_SIGNALS_OURS);
        ps_signals_note(number, ps_bits_of(&action->sa_mask));
    }
    int result = NEXT(sigaction)(number, action ? &without : NULL, old);
    if (result == 0 && old)
        ps_set_bits(&old->sa_mask, ps_bits_of(&old->sa_mask) | noted);
    else if (result != 0 && action)
        ps_signals_note(number, noted);
    return result;
}
PS_ALIAS(__sigaction, sigaction);

// signal() and its kin say how through flags; libc sets them by calls of its own, which do not come by here.
static bool virtual_action(int number)
{
    return ps_is_ours(number) && ps_signals_installed() && !ps_signals_stranger();
}

static __sighandler_t set_handler(int number, __sighandler_t handler, int flags, bool block_itself)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
    if (handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    if (block_itself)
        ps_set_bits(&action.sa_mask, PS_SIGNAL_BIT(number));
    sigaction(number, &action, &old);
    return old.sa_handler;
}

// Set by siginterrupt: signal() then leaves out SA_RESTART.
static uint64_t interrupting;

PS_ENTRY __sighandler_t signal(int number, __sighandler_t handler)
{
    if (!virtual_action(number))
        return NEXT(signal)(number, handler);
    bool interrupts = (__atomic_load_n(&interrupting, __ATOMIC_RELAXED) & PS_SIGNAL_BIT(number)) != 0;
    return set_handler(number, handler, interrupts ? 0 : SA_RESTART, true);
}
PS_ALIAS(bsd_signal, signal);
PS_ALIAS(ssignal, signal);

PS_ENTRY __sighandler_t sysv_signal(int number, __sighandler_t handler)
{
    if (!virtual_action(number))
        return NEXT(sysv_signal)(number, handler);
    return set_handler(number, handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}
PS_ALIAS(__sysv_signal, sysv_signal);

PS_ENTRY int siginterrupt(int number, int interrupt)
{
    // Before the handler is installed too: signal() may be called after it.
    if (ps_is_ours(number) && interrupt)
        __atomic_or_fetch(&interrupting, PS_SIGNAL_BIT(number), __ATOMIC_RELAXED);
    else if (ps_is_ours(number))
        __atomic_and_fetch(&interrupting, ~PS_SIGNAL_BIT(number), __ATOMIC_RELAXED);
    if (!virtual_action(number))
        return NEXT(siginterrupt)(number, interrupt);
    struct sigaction action;
    sigaction(number, NULL, &action);
    action.sa_flags = interrupt ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
    return sigaction(number, &action, NULL);
}

PS_ENTRY int sigignore(int number)
{
    if (!virtual_action(number))
        return NEXT(sigignore)(number);
    set_handler(number, SIG_IGN, 0, false);
    return 0;
}

PS_ENTRY __sighandler_t sigset(int number, __sighandler_t disposition)
{
    if (!virtual_action(number))
        return NEXT(sigset)(number, disposition);
    if (disposition == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    struct sigaction old;
    sigaction(number, NULL, &old);
    if (disposition != SIG_HOLD)
        set_handler(number, disposition, 0, false);
    sigset_t just_this, before;
    ps_set_bits(&just_this, PS_SIGNAL_BIT(number));
    sigprocmask(disposition == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &just_this, &before);
    return ps_bits_of(&before) & PS_SIGNAL_BIT(number) ? SIG_HOLD : old.sa_handler;
}

// ---- masks of the thread ----

typedef int change_mask(int how, const sigset_t *restrict set, sigset_t *restrict old);

// libc hands both pointers to the kernel, but for a set with signals of its own in it. `failed`: what the entry
// returns, and puts into errno, where the old mask cannot be written; by then the kernel has changed the mask.
static int change(change_mask *next, int (*failed)(void), int how, const sigset_t *set, sigset_t *old)
{
    uint64_t bits = 0;
    if (!ps_signals_keep_mask())
        return next(how, set, old);
    const uint64_t before = ps_signals_blocked();
    if (set && !ps_fetch_set(&bits, set))
        return next(how, set, old);
    if (!before && !(bits & PS_SIGNALS_OURS))
        return next(how, set, old);
    // First: old may be the same place.
    sigset_t without, seen;
    ps_set_bits(&without, bits & ~PS_SIGNALS_OURS);
    bool stranger = ps_signals_stranger();
    int result = next(how, !set || stranger ? set : &without, old ? &seen : NULL);
    if (result != 0)
        return result;
    if (old && !ps_put_set(old, ps_bits_of(&seen) | before))
        result = failed();
    if (set && !stranger)
        ps_signals_set_blocked(how == SIG_BLOCK ? before | bits : how == SIG_UNBLOCK ? before & ~bits : bits);
    return result;
}

static int failed_by_errno(void)
{
    errno = EFAULT;
    return -1;
}
static int failed_by_result(void) { return EFAULT; }

PS_ENTRY int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    return change(NEXT(sigprocmask), failed_by_errno, how, set, old);
}

PS_ENTRY int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    return change(NEXT(pthread_sigmask), failed_by_result, how, set, old);
}

// BSD's masks are ints: signals 1 to 32.
static int change_bsd(int how, const unsigned *mask)
{
    sigset_t set, old;
    ps_set_bits(&old, 0);
    ps_set_bits(&set, mask ? *mask : 0);
    sigprocmask(how, mask ? &set : NULL, &old);
    return (int)(unsigned)ps_bits_of(&old);
}

PS_ENTRY int sigblock(int mask)
{
    return ps_signals_keep_mask() ? change_bsd(SIG_BLOCK, &(unsigned){(unsigned)mask}) : NEXT(sigblock)(mask);
}
PS_ENTRY int sigsetmask(int mask)
{
    return ps_signals_keep_mask() ? change_bsd(SIG_SETMASK, &(unsigned){(unsigned)mask}) : NEXT(sigsetmask)(mask);
}
PS_ENTRY int siggetmask(void)
{
    return ps_signals_keep_mask() ? change_bsd(SIG_BLOCK, NULL) : NEXT(siggetmask)();
}

static int change_one(int how, int number)
{
    sigset_t set;
    ps_set_bits(&set, PS_SIGNAL_BIT(number));
    return sigprocmask(how, &set, NULL);
}

PS_ENTRY int sighold(int number)
{
    return ps_is_ours(number) && ps_signals_keep_mask() ? change_one(SIG_BLOCK, number) : NEXT(sighold)(number);
}
PS_ENTRY int sigrelse(int number)
{
    return ps_is_ours(number) && ps_signals_keep_mask() ? change_one(SIG_UNBLOCK, number) : NEXT(sigrelse)(number);
}

PS_ENTRY int sigpending(sigset_t *set)
{
    int result = NEXT(sigpending)(set);
    uint64_t held = result == 0 && ps_signals_keep_mask() ? ps_signals_held() : 0, bits;
    if (held && ps_fetch_set(&bits, set))
        ps_put_set(set, bits | held);
    return result;
}
