// Actions and masks of signals. Until our handler is installed everything passes on as it came; from then on SIGBUS
// and SIGSEGV are kept from the kernel and shown to the application as it set them (ps_signals.h). A vfork child
// passes on too: what it sets is its own, and the notes are its parent's.
#include "face.h"

#include "masks.h"

#include <setjmp.h>
#include <signal.h>
#include <threads.h>
#include <ucontext.h>
#include <unistd.h>

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

PS_ENTRY int sigaction(int number, const struct sigaction *restrict action, struct sigaction *restrict old)
{
    if (!ps_signals_installed()) {
        int result = NEXT(sigaction)(number, action, old);
        if (action && ps_signals_installed()) // by another thread, meanwhile
            ps_signals_adopt(number);
        return result;
    }
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

static int change(change_mask *next, int how, const sigset_t *set, sigset_t *old)
{
    if (!ps_signals_keep_mask())
        return next(how, set, old);
    uint64_t before = ps_signals_blocked(), bits = 0;
    if (!before && !(set && (ps_bits_of(set) & PS_SIGNALS_OURS)))
        return next(how, set, old);
    if (ps_signals_stranger()) {
        int result = next(how, set, old);
        if (result == 0 && old)
            ps_set_bits(old, ps_bits_of(old) | before);
        return result;
    }
    sigset_t without;
    if (set) {
        bits = ps_bits_of(set) & PS_SIGNALS_OURS;
        without = *set; // first: old may be the same place
        ps_set_bits(&without, ps_bits_of(set) & ~PS_SIGNALS_OURS);
    }
    int result = next(how, set ? &without : NULL, old);
    if (result != 0)
        return result;
    if (old)
        ps_set_bits(old, ps_bits_of(old) | before);
    if (set)
        ps_signals_set_blocked(how == SIG_BLOCK ? before | bits : how == SIG_UNBLOCK ? before & ~bits : bits);
    return 0;
}

PS_ENTRY int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    return change(NEXT(sigprocmask), how, set, old);
}

PS_ENTRY int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    return change(NEXT(pthread_sigmask), how, set, old);
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
    if (result == 0 && ps_signals_keep_mask())
        ps_set_bits(set, ps_bits_of(set) | ps_signals_held());
    return result;
}

// ---- threads, children and jumps ----

extern pid_t __vfork(void);

// The child returns from here first, on the parent's stack: nothing of ours may be on it.
PS_ENTRY __attribute__((naked, PS_UNCOUNTED)) pid_t vfork(void)
{
    __asm__(PS_CALL_ASIDE("call ps_signals_note_sharing\n\t") PS_JUMP_TO_NEXT ::PS_NEXT_OPERANDS(PS_NEXT_vfork));
}
PS_ALIAS(__vfork, vfork);

// A thread inherits its mask from the kernel: blocked there for the time of its birth, the two are found by the
// thread's first look (ps_signals_thread_ready).
PS_ENTRY int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                            void *(*start)(void *), void *restrict argument)
{
    if (!ps_signals_keep_mask() || !ps_signals_blocked())
        return NEXT(pthread_create)(thread, attributes, start, argument);
    uint64_t token = ps_signals_begin_birth();
    int result = NEXT(pthread_create)(thread, attributes, start, argument);
    ps_signals_end_birth(token);
    return result;
}

PS_ENTRY int thrd_create(thrd_t *thread, thrd_start_t start, void *argument)
{
    if (!ps_signals_keep_mask() || !ps_signals_blocked())
        return NEXT(thrd_create)(thread, start, argument);
    uint64_t token = ps_signals_begin_birth();
    int result = NEXT(thrd_create)(thread, start, argument);
    ps_signals_end_birth(token);
    return result;
}

// The mask that comes into force is the one in the context or the jump buffer. One from before this thread copied may
// have the two blocked: taken out of a context; a jump buffer is left alone, and the thread looks again.
static uint64_t take_from(ucontext_t *context)
{
    uint64_t bits = ps_bits_of(&context->uc_sigmask);
    if (bits & PS_SIGNALS_OURS)
        ps_set_bits(&context->uc_sigmask, bits & ~PS_SIGNALS_OURS);
    return bits & PS_SIGNALS_OURS;
}

PS_ENTRY int setcontext(const ucontext_t *context)
{
    if (ps_signals_keep_mask())
        ps_signals_set_blocked(take_from((ucontext_t *)context));
    return NEXT(setcontext)(context);
}

static __attribute__((noinline)) int swap_and_restore(ucontext_t *old, ucontext_t *context, uint64_t before)
{
    ps_signals_set_blocked(take_from(context));
    int result = NEXT(swapcontext)(old, context);
    // Resumed, perhaps on another thread: the mask that was saved with `old` lacks the two.
    ps_signals_set_blocked(before);
    return result;
}

PS_ENTRY int swapcontext(ucontext_t *restrict old, const ucontext_t *restrict context)
{
    uint64_t before = ps_signals_keep_mask() ? ps_signals_blocked() : 0;
    if (before || (ps_signals_keep_mask() && (ps_bits_of(&context->uc_sigmask) & PS_SIGNALS_OURS)))
        return swap_and_restore(old, (ucontext_t *)context, before);
    __attribute__((musttail)) return NEXT(swapcontext)(old, context);
}

extern void __longjmp_chk(jmp_buf buffer, int value) __attribute__((noreturn));

static inline void before_jump(const struct __jmp_buf_tag *buffer)
{
    if (buffer->__mask_was_saved && ps_signals_keep_mask())
        ps_signals_jump(ps_bits_of(&buffer->__saved_mask));
}

PS_ENTRY void longjmp(jmp_buf buffer, int value)
{
    before_jump(buffer);
    NEXT(longjmp)(buffer, value);
    __builtin_unreachable();
}
PS_ENTRY void _longjmp(jmp_buf buffer, int value) __attribute__((alias("longjmp")));
PS_ENTRY void siglongjmp(sigjmp_buf buffer, int value) __attribute__((alias("longjmp")));

PS_ENTRY void __longjmp_chk(jmp_buf buffer, int value)
{
    before_jump(buffer);
    NEXT(__longjmp_chk)(buffer, value); // aborts where the buffer's frame is gone
    __builtin_unreachable();
}
