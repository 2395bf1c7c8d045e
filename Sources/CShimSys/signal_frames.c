// A thread that makes its first copy inside a signal handler has, on its stack, the mask that the kernel puts back when
// the handler returns. It must not have SIGBUS and SIGSEGV in it, or the next fault in a copy kills.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_copy.h"
#include "ps_signals.h"
#include "ps_sys.h"

#include <sys/syscall.h>
#include <ucontext.h>

// As the kernel lays it down (struct rt_sigframe): where the handler returns to, the context, the details.
struct frame {
    uintptr_t restorer;
    unsigned long flags;
    struct ucontext_t *link;
    stack_t stack;
    mcontext_t machine;
    uint64_t mask;
    siginfo_t details;
};
_Static_assert(offsetof(struct frame, mask) == 8 + 40 + 256, "x86-64: sizeof(struct sigcontext) is 256");
_Static_assert(offsetof(ucontext_t, uc_sigmask) == offsetof(struct frame, mask) - 8, "libc's view of the same");

#define PAGE 4096ul
#define FARTHEST (16ul << 20) // a handler's frame is near; a stack may be huge
#define FARTHEST_VECTORS 4096ul
#define USER_CODE 0x33        // the code segment of 64-bit programs

static uintptr_t main_stack_end;
void ps_signals_set_stack_end(const void *end) { main_stack_end = (uintptr_t)end; }

// The restorers in use: libc's, and seldom another.
static int restorers_of_all(uintptr_t found[4])
{
    int count = 0;
    for (int number = 1; number <= 64 && count < 4; number++) {
        struct ps_kernel_action action;
        if (ps_sys_call4(SYS_rt_sigaction, number, 0, (long)&action, sizeof(uint64_t)) < 0 || action.handler < 2)
            continue;
        int i = 0;
        while (i < count && found[i] != action.restorer)
            i++;
        if (i == count)
            found[count++] = action.restorer;
    }
    return count;
}

// The end of the stack that `from` lies in, as far as that is known: libc puts a thread's own data at the end of it.
static uintptr_t stack_end(uintptr_t from)
{
    stack_t other;
    if (ps_sys_call2(SYS_sigaltstack, 0, (long)&other) == 0 && !(other.ss_flags & SS_DISABLE)
        && from - (uintptr_t)other.ss_sp < other.ss_size)
        return (uintptr_t)other.ss_sp + other.ss_size;
    uintptr_t end = ps_sys_thread() == ps_sys_process() ? main_stack_end
                                                        : (uintptr_t)__builtin_thread_pointer();
    if (end < from) // a stack of the program's own making
        return from + (64ul << 10);
    return end - from > FARTHEST ? from + FARTHEST : end;
}

// All of the stack is looked at, and what AddressSanitizer puts between the variables of instrumented frames with it.
#define LOOKS_ANYWHERE __attribute__((no_sanitize("address")))

static LOOKS_ANYWHERE bool is_frame(const struct frame *frame, const uintptr_t *restorers, int count)
{
    int i = 0;
    while (i < count && restorers[i] != frame->restorer)
        i++;
    // The details are filled in with SA_SIGINFO only; the saved vector registers always lie behind.
    uintptr_t vectors = (uintptr_t)frame->machine.fpregs;
    return i < count && (frame->machine.gregs[REG_CSGSFS] & 0xffff) == USER_CODE && vectors % 64 == 0
        && vectors - (uintptr_t)frame < FARTHEST_VECTORS;
}

LOOKS_ANYWHERE bool ps_signals_clear_frames(uintptr_t from, uint64_t *after)
{
    bool found = false;
    uintptr_t restorers[4];
    int count = restorers_of_all(restorers);
    if (count == 0)
        return false; // no handlers: we cannot be in one
    uintptr_t at = (from + 7) & ~7ul, end = stack_end(at), good = 0;
    while (at + sizeof(struct frame) <= end) {
        // Both pages that the frame may lie in.
        uintptr_t last = (at + sizeof(struct frame)) & ~(PAGE - 1);
        if (good != last) {
            if (ps_probe(at) != 0 || ps_probe(last) != 0)
                return found;
            good = last;
        }
        struct frame *frame = (struct frame *)at;
        if (!is_frame(frame, restorers, count)) {
            at += 8;
            continue;
        }
        // Outermost last: when that handler has returned, the thread has this mask.
        *after = frame->mask & PS_SIGNALS_OURS;
        found = true;
        frame->mask &= ~PS_SIGNALS_OURS;
        uintptr_t interrupted = (uintptr_t)frame->machine.gregs[REG_RSP];
        if (interrupted <= at || interrupted > end) { // it interrupted something on another stack
            at = (interrupted + 7) & ~7ul;
            end = stack_end(at);
            if (end < at || ps_probe(at) != 0)
                return found;
        } else {
            at += sizeof(struct frame) & ~7ul;
        }
    }
    return found;
}
