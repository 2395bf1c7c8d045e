// Signal masks that come with threads, children, contexts and jumps, and the stacks that handlers run on: the rest of
// the family that signal.c begins.
#include "face.h"

#include "masks.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <threads.h>
#include <ucontext.h>
#include <unistd.h>

// ---- stacks ----

// The kernel's; whether a fault can be survived on it is asked anew. A vfork child's is its own, or its parent's as it
// was.
PS_ENTRY int sigaltstack(const stack_t *restrict stack, stack_t *restrict old)
{
    int result = NEXT(sigaltstack)(stack, old);
    if (result == 0 && stack)
        ps_after_sigaltstack();
    return result;
}

void ps_after_sigaltstack(void)
{
    if (ps_signals_stranger())
        return;
    ps_signals_look_at_stack();
    ps_thread_look_again();
}

// ---- threads and children ----
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

// ---- contexts and jumps ----

// The mask that comes into force is the one in the context or the jump buffer. One from before this thread copied may
// have the two blocked. They are taken out of it, and believed; libc reads a context's mask by the kernel, so that one
// in bad memory is the kernel's to refuse, and one that cannot be written makes the thread look again.
static bool take_from(const ucontext_t *context, uint64_t *taken)
{
    uint64_t bits;
    void *at = (char *)context + offsetof(ucontext_t, uc_sigmask);
    if (!ps_fetch_set(&bits, at))
        return false;
    *taken = bits & PS_SIGNALS_OURS;
    return *taken == 0 || ps_put_set(at, bits & ~PS_SIGNALS_OURS);
}

static void before_context(const ucontext_t *context)
{
    uint64_t taken = 0;
    if (take_from(context, &taken))
        ps_signals_set_blocked(taken);
    else if (taken)
        ps_signals_jump(taken);
}

PS_ENTRY int setcontext(const ucontext_t *context)
{
    if (ps_signals_keep_mask())
        before_context(context);
    return NEXT(setcontext)(context);
}

static __attribute__((noinline)) int swap_and_restore(ucontext_t *old, const ucontext_t *context, uint64_t before)
{
    before_context(context);
    int result = NEXT(swapcontext)(old, context);
    // Resumed, perhaps on another thread: the mask that was saved with `old` lacks the two.
    ps_signals_set_blocked(before);
    return result;
}

static bool brings_ours(const ucontext_t *context)
{
    uint64_t bits;
    return ps_fetch_set(&bits, &context->uc_sigmask) && (bits & PS_SIGNALS_OURS) != 0;
}

PS_ENTRY int swapcontext(ucontext_t *restrict old, const ucontext_t *restrict context)
{
    uint64_t before = ps_signals_keep_mask() ? ps_signals_blocked() : 0;
    if (before || (ps_signals_keep_mask() && brings_ours(context)))
        return swap_and_restore(old, context, before);
    __attribute__((musttail)) return NEXT(swapcontext)(old, context);
}

extern void __longjmp_chk(jmp_buf buffer, int value) __attribute__((noreturn));
typedef void jump(jmp_buf buffer, int value);

// The buffer is the application's, and may be jumped to again, from another thread: the two are taken out of a copy.
static __attribute__((noinline, noreturn)) void jump_without(jump *next, const struct __jmp_buf_tag *buffer, int value)
{
    jmp_buf copy = {*buffer};
    uint64_t bits = ps_bits_of(&buffer->__saved_mask);
    ps_set_bits(&copy->__saved_mask, bits & ~PS_SIGNALS_OURS);
    ps_signals_set_blocked(bits);
    next(copy, value);
    __builtin_unreachable();
}

// libc reads the buffer by plain loads, as this does.
static inline void before_jump(jump *next, const struct __jmp_buf_tag *buffer, int value)
{
    if (!buffer->__mask_was_saved || !ps_signals_keep_mask())
        return;
    if (ps_bits_of(&buffer->__saved_mask) & PS_SIGNALS_OURS)
        jump_without(next, buffer, value);
    ps_signals_set_blocked(0);
}

PS_ENTRY void longjmp(jmp_buf buffer, int value)
{
    before_jump(NEXT(longjmp), buffer, value);
    NEXT(longjmp)(buffer, value);
    __builtin_unreachable();
}
PS_ENTRY void _longjmp(jmp_buf buffer, int value) __attribute__((alias("longjmp")));
PS_ENTRY void siglongjmp(sigjmp_buf buffer, int value) __attribute__((alias("longjmp")));

PS_ENTRY void __longjmp_chk(jmp_buf buffer, int value)
{
    before_jump(NEXT(__longjmp_chk), buffer, value);
    NEXT(__longjmp_chk)(buffer, value); // aborts where the buffer's frame is gone
    __builtin_unreachable();
}
