// Calls that wait with another signal mask, or take signals synchronously. The kernel gets the mask without SIGBUS and
// SIGSEGV; what of the two is held back comes in time (ps_signals.h).
#include "face.h"

#include "masks.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

extern int __sigpause(int number_or_mask, int is_number);
extern int __xpg_sigpause(int number);
extern int __sigsuspend(const sigset_t *mask);
extern int __ppoll_chk(struct pollfd *entries, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                       size_t capacity);

// True where the mask would block one of the two in the kernel, or unblock one that is held back.
static inline bool concerns_us(const sigset_t *mask)
{
    return ps_signals_keep_mask() && mask && ((ps_bits_of(mask) & PS_SIGNALS_OURS) || ps_signals_blocked())
        && !ps_signals_stranger();
}

static inline sigset_t without_ours(const sigset_t *mask)
{
    sigset_t without = *mask;
    ps_set_bits(&without, ps_bits_of(mask) & ~PS_SIGNALS_OURS);
    return without;
}

// `call` with the mask `without` for `mask`.
#define WAITING(mask, call)                                                                                            \
    ({                                                                                                                 \
        sigset_t without = without_ours(mask);                                                                         \
        uint64_t token_ = ps_signals_begin_wait(ps_bits_of(mask));                                                     \
        int result_ = (call);                                                                                          \
        ps_signals_end_wait(token_);                                                                                   \
        result_;                                                                                                       \
    })

PS_ENTRY int sigsuspend(const sigset_t *mask)
{
    return concerns_us(mask) ? WAITING(mask, NEXT(sigsuspend)(&without)) : NEXT(sigsuspend)(mask);
}
PS_ALIAS(__sigsuspend, sigsuspend);

PS_ENTRY int pselect(int count, fd_set *restrict readable, fd_set *restrict writable, fd_set *restrict exceptional,
                     const struct timespec *restrict timeout, const sigset_t *restrict mask)
{
    if (!concerns_us(mask))
        return NEXT(pselect)(count, readable, writable, exceptional, timeout, mask);
    return WAITING(mask, NEXT(pselect)(count, readable, writable, exceptional, timeout, &without));
}

PS_ENTRY int ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    if (!concerns_us(mask))
        return NEXT(ppoll)(entries, count, timeout, mask);
    return WAITING(mask, NEXT(ppoll)(entries, count, timeout, &without));
}

PS_ENTRY int __ppoll_chk(struct pollfd *entries, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                         size_t capacity)
{
    if (capacity / sizeof *entries < count)
        return NEXT(__ppoll_chk)(entries, count, timeout, mask, capacity); // aborts
    return ppoll(entries, count, timeout, mask);
}

PS_ENTRY int epoll_pwait(int fd, struct epoll_event *events, int capacity, int timeout, const sigset_t *mask)
{
    if (!concerns_us(mask))
        return NEXT(epoll_pwait)(fd, events, capacity, timeout, mask);
    return WAITING(mask, NEXT(epoll_pwait)(fd, events, capacity, timeout, &without));
}

PS_ENTRY int epoll_pwait2(int fd, struct epoll_event *events, int capacity, const struct timespec *timeout,
                          const sigset_t *mask)
{
    if (!concerns_us(mask))
        return NEXT(epoll_pwait2)(fd, events, capacity, timeout, mask);
    return WAITING(mask, NEXT(epoll_pwait2)(fd, events, capacity, timeout, &without));
}

// Pauses are sigsuspend with a mask made of BSD's int, or of the thread's own less one signal.
static int suspend_with(uint64_t bits)
{
    sigset_t mask = {0};
    ps_set_bits(&mask, bits);
    return sigsuspend(&mask);
}

static int pause_for(int number)
{
    sigset_t mask = {0};
    if (sigprocmask(SIG_BLOCK, NULL, &mask) != 0)
        return -1;
    if (number < 1 || number > 64 || number == 32 || number == 33) { // libc's own, as sigdelset says
        errno = EINVAL;
        return -1;
    }
    ps_set_bits(&mask, ps_bits_of(&mask) & ~PS_SIGNAL_BIT(number));
    return sigsuspend(&mask);
}

// The header makes sigpause a macro or another symbol, as the feature macros say: here it is BSD's, by its name.
extern int ps_entry_sigpause(int mask) __asm__("sigpause");
PS_ENTRY int ps_entry_sigpause(int mask)
{
    if (!ps_signals_keep_mask())
        return ((__typeof__(&ps_entry_sigpause))ps_next(PS_NEXT_sigpause))(mask);
    return suspend_with((unsigned)mask);
}

PS_ENTRY int __sigpause(int number_or_mask, int is_number)
{
    if (!ps_signals_keep_mask())
        return NEXT(__sigpause)(number_or_mask, is_number);
    return is_number ? pause_for(number_or_mask) : suspend_with((unsigned)number_or_mask);
}

PS_ENTRY int __xpg_sigpause(int number)
{
    return ps_signals_keep_mask() ? pause_for(number) : NEXT(__xpg_sigpause)(number);
}

// ---- taking ----

// True where one of the two is asked for that is held back, or may be.
static inline bool takes_ours(const sigset_t *set)
{
    return ps_signals_keep_mask() && set && (ps_bits_of(set) & ps_signals_blocked()) && !ps_signals_stranger();
}

#define TAKING(set, call)                                                                                              \
    ({                                                                                                                 \
        uint64_t token_ = ps_signals_begin_take(ps_bits_of(set));                                                      \
        int result_ = (call);                                                                                          \
        ps_signals_end_take(token_);                                                                                   \
        result_;                                                                                                       \
    })

PS_ENTRY int sigwait(const sigset_t *restrict set, int *restrict number)
{
    return takes_ours(set) ? TAKING(set, NEXT(sigwait)(set, number)) : NEXT(sigwait)(set, number);
}

PS_ENTRY int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict details)
{
    return takes_ours(set) ? TAKING(set, NEXT(sigwaitinfo)(set, details)) : NEXT(sigwaitinfo)(set, details);
}

PS_ENTRY int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict details,
                          const struct timespec *restrict timeout)
{
    if (!takes_ours(set))
        return NEXT(sigtimedwait)(set, details, timeout);
    return TAKING(set, NEXT(sigtimedwait)(set, details, timeout));
}
