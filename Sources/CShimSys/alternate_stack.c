// Alternate stacks of handlers (sigaltstack) on which a fault cannot be survived.
//
// A fault in a copy makes the kernel push a signal frame, of up to AT_MINSIGSTKSZ bytes: 1 KiB with SSE only, 3.6 KiB with
// AVX-512, 11 KiB with AMX. On an alternate stack there is one already, that of the handler which makes the call, and
// where a second one does not fit the process dies; natively the call gives EFAULT or comes back short. So nothing is copied
// there. That a thread has such a stack is kept in its state; only its general path looks where the stack pointer is, and
// its quick way is closed. Threads without one pay nothing.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_signals.h"

#include "ps_sys.h"
#include "ps_thread.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

__thread struct ps_small_stack ps_small_stack;

// What the application's handler and our own have beside the two frames.
#define FOR_HANDLERS 1536u
#define FOR_OURS 768u
// Where the kernel does not say (before 5.14): with AVX-512 a frame has 3.5 KiB.
#define USUAL_FRAME 4096u

static size_t frame_size;

static size_t size_of_frame(void)
{
    size_t size = __atomic_load_n(&frame_size, __ATOMIC_RELAXED);
    if (size == 0) {
        size = getauxval(AT_MINSIGSTKSZ); // reads what the loader has kept
        if (size == 0)
            size = USUAL_FRAME;
        __atomic_store_n(&frame_size, size, __ATOMIC_RELAXED);
    }
    return size;
}

void ps_signals_look_at_stack(void)
{
    stack_t now;
    struct ps_small_stack small = {0, 0};
    if (ps_sys_call2(SYS_sigaltstack, 0, (long)&now) == 0 && !(now.ss_flags & SS_DISABLE)) {
        if (now.ss_size < size_of_frame() + FOR_OURS)
            small = (struct ps_small_stack){0, ~(size_t)0}; // not even ours fits, wherever the fault is
        else if (now.ss_size < 2 * size_of_frame() + FOR_HANDLERS)
            small = (struct ps_small_stack){(uintptr_t)now.ss_sp, now.ss_size};
    }
    ps_small_stack = small;
}

bool ps_signals_must_not_copy(void)
{
    if (!ps_signals_thread_is_ready)
        ps_signals_look_at_stack();
    return ps_signals_on_small_stack();
}
