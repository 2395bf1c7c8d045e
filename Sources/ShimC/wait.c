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

// True where the mask would block one of the two in the kernel, or unblock one that is held back; its bits are in
// `bits` then. A mask that cannot be read is the kernel's to refuse.
static inline bool concerns_us(const sigset_t *mask, uint64_t *bits)
{
    return mask && ps_signals_keep_mask() && ps_fetch_set(bits, mask)
        && ((*bits & PS_SIGNALS_OURS) || ps_signals_blocked()) && !ps_signals_stranger();
}

// `call` with the mask `without` for one of these bits. Whatever is not in the kernel's part is not looked at.
#define WAITING(bits, call)                                                                                            \
    ({                                                                                                                 \
        sigset_t without;                                                                                              \
        ps_set_bits(&without, (bits) & ~PS_SIGNALS_OURS);                                                              \
        uint64_t token_ = ps_signals_begin_wait(bits);                                                                 \
        int result_ = (call);                                                                                          \
        ps_signals_end_wait(token_);                                                                                   \
        result_;                                                                                                       \
    })

PS_ENTRY int sigsuspend(const sigset_t *mask)
{
    uint64_t bits;
    return concerns_us(mask, &bits) ? WAITING(bits, NEXT(sigsuspend)(&without)) : NEXT(sigsuspend)(mask);
}
PS_ALIAS(__sigsuspend, sigsuspend);

// libc copies the time by plain loads, and a bad one faults under the mask in force before the wait.
static inline struct timespec copy_of(const struct timespec *time) { return time ? *time : (struct timespec){0}; }

PS_ENTRY int pselect(int count, fd_set *restrict readable, fd_set *restrict writable, fd_set *restrict exceptional,
                     const struct timespec *restrict timeout, const sigset_t *restrict mask)
{
    uint64_t bits;
    if (!concerns_us(mask, &bits))
        return NEXT(pselect)(count, readable, writable, exceptional, timeout, mask);
    const struct timespec time = copy_of(timeout);
    return WAITING(bits, NEXT(pselect)(count, readable, writable, exceptional, timeout ? &time : NULL, &without));
}

PS_ENTRY int ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    uint64_t bits;
    if (!concerns_us(mask, &bits))
        return NEXT(ppoll)(entries, count, timeout, mask);
    const struct timespec time = copy_of(timeout);
    return WAITING(bits, NEXT(ppoll)(entries, count, timeout ? &time : NULL, &without));
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
    uint64_t bits;
    if (!concerns_us(mask, &bits))
        return NEXT(epoll_pwait)(fd, events, capacity, timeout, mask);
    return WAITING(bits, NEXT(epoll_pwait)(fd, events, capacity, timeout, &without));
}

PS_ENTRY int epoll_pwait2(int fd, struct epoll_event *events, int capacity, const struct timespec *timeout,
                          const sigset_t *mask)
{
    uint64_t bits;
    if (!concerns_us(mask, &bits))
        return NEXT(epoll_pwait2)(fd, events, capacity, timeout, mask);
    return WAITING(bits, NEXT(epoll_pwait2)(fd, events, capacity, timeout, &without));
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

// True where one of the two is asked for that is held back, or may be; the set's bits are in `bits` then.
static inline bool takes_ours(const sigset_t *set, uint64_t *bits)
{
    return set && ps_signals_keep_mask() && ps_signals_blocked() && ps_fetch_set(bits, set)
        && (*bits & ps_signals_blocked()) && !ps_signals_stranger();
}

#define TAKING(bits, call)                                                                                             \
    ({                                                                                                                 \
        uint64_t token_ = ps_signals_begin_take(bits);                                                                 \
        int result_ = (call);                                                                                          \
        ps_signals_end_take(token_);                                                                                   \
        result_;                                                                                                       \
    })

PS_ENTRY int sigwait(const sigset_t *restrict set, int *restrict number)
{
    uint64_t bits;
    return takes_ours(set, &bits) ? TAKING(bits, NEXT(sigwait)(set, number)) : NEXT(sigwait)(set, number);
}

PS_ENTRY int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict details)
{
    uint64_t bits;
    return takes_ours(set, &bits) ? TAKING(bits, NEXT(sigwaitinfo)(set, details)) : NEXT(sigwaitinfo)(set, details);
}

PS_ENTRY int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict details,
                          const struct timespec *restrict timeout)
{
    uint64_t bits;
    if (!takes_ours(set, &bits))
        return NEXT(sigtimedwait)(set, details, timeout);
    return TAKING(bits, NEXT(sigtimedwait)(set, details, timeout));
}
