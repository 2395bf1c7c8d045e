// Alternate stacks of handlers (sigaltstack) on which a fault cannot be survived.
//
// A fault in a copy makes the kernel push a signal frame, of up to AT_MINSIGSTKSZ bytes: 1 KiB with SSE only, 3.6 KiB
// with AVX-512, 11 KiB with AMX. On an alternate stack there is one already, that of the handler which makes the call,
// and where a second one does not fit the process dies; natively the call gives EFAULT or comes back short. So nothing
// is copied where the rest of such a stack is too small. That a thread has one is kept in its state: its fast way is
// closed, and its general way looks where the stack pointer is. Threads without one, or with a large one, pay nothing.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_signals.h"

#include "ps_sys.h"

#include <signal.h>
#include <sys/syscall.h>

__thread struct ps_small_stack ps_small_stack;

// What a served call takes of the stack until it faults, and our handler for that fault.
#define FOR_OURS 1536u
// What handlers of the application's may take on a stack where nobody looks.
#define FOR_THEIRS 4096u
// Where the kernel does not say (before 5.14): with AVX-512 a frame has 3.5 KiB.
#define USUAL_FRAME 4096u

static size_t frame_size = USUAL_FRAME;

void ps_signals_set_frame_size(size_t size)
{
    if (size != 0)
        frame_size = size;
}

void ps_signals_look_at_stack(void)
{
    stack_t now;
    struct ps_small_stack small = {0, 0};
    if (ps_sys_call2(SYS_sigaltstack, 0, (long)&now) == 0 && !(now.ss_flags & SS_DISABLE)) {
        const size_t needed = frame_size + FOR_OURS;
        if (now.ss_size < frame_size + FOR_OURS / 2)
            small = (struct ps_small_stack){0, ~(size_t)0}; // not even a first one of ours, wherever the fault is
        else if (now.ss_size < needed + frame_size + FOR_THEIRS)
            small = (struct ps_small_stack){(uintptr_t)now.ss_sp, now.ss_size < needed ? now.ss_size : needed};
    }
    ps_small_stack = small;
}

bool ps_signals_must_not_copy(void)
{
    if (!ps_signals_thread_is_ready)
        ps_signals_look_at_stack();
    return ps_signals_on_small_stack();
}
