// Which of the two signals a thread believes blocked, what is held back meanwhile, and whose the belief is.
#include "state.h"

#include "ps_hot.h"
#include "ps_libc.h"
#include "ps_sys.h"
#include "ps_thread.h"

#include <sys/syscall.h>

__thread bool ps_signals_thread_is_ready;
__thread struct ps_signals_view ps_signals_thread;

void ps_signals_change_mask(int how, uint64_t bits)
{
    ps_sys_call4(SYS_rt_sigprocmask, how, (long)&bits, 0, sizeof bits);
}

void ps_signals_queue_to_self(int number, siginfo_t *details)
{
    ps_sys_call4(SYS_rt_tgsigqueueinfo, ps_sys_process(), ps_sys_thread(), number, (long)details);
}

// What was held back and is no longer blocked comes once more, with the same details.
void ps_signals_release(uint64_t bits)
{
    for (uint64_t due; (due = ps_signals_thread.held & bits) != 0;) {
        int number = due & PS_SIGNAL_BIT(SIGBUS) ? SIGBUS : SIGSEGV;
        siginfo_t details = ps_signals_thread.details[ps_signals_index(number)];
        ps_signals_thread.held &= ~PS_SIGNAL_BIT(number);
        if (ps_signals_thread.held_by == ps_sys_process())
            ps_signals_queue_to_self(number, &details);
    }
}

void ps_signals_thread_ready(void)
{
    uint64_t mask = 0;
    ps_signals_look_at_stack();
    ps_sys_call4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, sizeof mask);
    // First the belief, then the mask: what is pending arrives at once, and must be held back.
    ps_signals_thread.blocked = mask & PS_SIGNALS_OURS;
    ps_signals_thread_is_ready = true;
    if (mask & PS_SIGNALS_OURS)
        ps_signals_change_mask(SIG_UNBLOCK, PS_SIGNALS_OURS);
    // Not only where they are blocked now: a handler's own mask may lack what comes back after it. And inside a handler
    // the mask is the handler's: nothing tells us when it returns, so what the thread will have then is believed now.
    uint64_t after;
    if (ps_signals_clear_frames((uintptr_t)__builtin_frame_address(0), &after))
        ps_signals_thread.blocked = after;
    ps_signals_release(~ps_signals_thread.blocked);
    // A vfork child runs on its parent's thread state, but the kernel has a mask for each: what is unblocked here may
    // be blocked there, where a fault would be the end. So the parent has to look itself, and the child at each call.
    if (ps_signals_stranger())
        ps_signals_thread_is_ready = false;
}

uint64_t ps_signals_blocked(void) { return ps_signals_thread.blocked; }

void ps_signals_set_blocked(uint64_t bits)
{
    ps_signals_thread.blocked = bits & PS_SIGNALS_OURS;
    ps_signals_release(~ps_signals_thread.blocked);
}

uint64_t ps_signals_held(void)
{
    // A forked child has none pending.
    return ps_signals_thread.held && ps_signals_thread.held_by == ps_sys_process() ? ps_signals_thread.held : 0;
}

// The token: the belief before, and whether the two are blocked in the kernel between begin and end.
#define REALLY_BLOCKED 1ull

uint64_t ps_signals_begin_wait(uint64_t mask)
{
    uint64_t before = ps_signals_blocked(), token = before;
    if (before & ~mask) {
        // The wait unblocks what may have been sent: blocked in earnest until the kernel, in the call itself, takes
        // the other mask, so that nothing can arrive between our look and its sleep.
        ps_signals_change_mask(SIG_BLOCK, PS_SIGNALS_OURS);
        token |= REALLY_BLOCKED;
        ps_signals_release(~mask);
    }
    ps_signals_thread.blocked = mask & PS_SIGNALS_OURS;
    return token;
}

void ps_signals_end_wait(uint64_t token)
{
    ps_signals_thread.blocked = token & PS_SIGNALS_OURS;
    if (token & REALLY_BLOCKED)
        ps_signals_change_mask(SIG_UNBLOCK, PS_SIGNALS_OURS);
    ps_signals_release(~ps_signals_thread.blocked);
}

uint64_t ps_signals_begin_take(uint64_t set)
{
    uint64_t token = ps_signals_blocked();
    if (token & set) {
        ps_signals_change_mask(SIG_BLOCK, PS_SIGNALS_OURS);
        token |= REALLY_BLOCKED;
        ps_signals_release(set);
    }
    return token;
}

void ps_signals_end_take(uint64_t token)
{
    if (token & REALLY_BLOCKED)
        ps_signals_change_mask(SIG_UNBLOCK, PS_SIGNALS_OURS);
}

uint64_t ps_signals_begin_birth(void)
{
    uint64_t bits = ps_signals_blocked();
    if (bits)
        ps_signals_change_mask(SIG_BLOCK, bits);
    return bits;
}

void ps_signals_end_birth(uint64_t token)
{
    if (token)
        ps_signals_change_mask(SIG_UNBLOCK, token);
}

void ps_signals_jump(uint64_t mask)
{
    if (mask & PS_SIGNALS_OURS) {
        // The kernel's again, until the next copy looks.
        ps_signals_thread.blocked = 0;
        ps_signals_thread_is_ready = false;
        ps_thread_look_again();
    } else {
        ps_signals_set_blocked(0);
    }
}

__thread int ps_thread_sharer;

static uint32_t *shared_mark(void)
{
    char *root = ps_root();
    return root ? (uint32_t *)(root + PS_ROOT_SHARED) : NULL;
}

void ps_signals_note_sharing(void)
{
    uint32_t *mark = shared_mark();
    ps_thread_sharer = (int)ps_sys_thread();
    if (mark == NULL)
        return;
    __atomic_store_n(mark, 1, __ATOMIC_RELAXED);
    // The child must not take the table of descriptors for its own, if it is the first to look (ps_root_sharer).
    if (__atomic_load_n(&mark[1], __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&mark[1], (uint32_t)ps_sys_process(), __ATOMIC_RELAXED);
}

bool ps_signals_stranger(void)
{
    if (__builtin_expect(ps_thread_sharer == 0, 1))
        return false;
    // The mark is gone in a child that has only a copy of what the sharer left behind: by whatever call it was made,
    // also one that libc has not seen, and whose thread state therefore still names the parent.
    uint32_t *mark = shared_mark();
    bool copy = mark && __atomic_load_n(mark, __ATOMIC_RELAXED) == 0;
    // libc notes the thread's id in its thread state, at pthread_create and in the child of fork; a vfork child runs
    // on its parent's.
    int self = (int)ps_sys_thread();
    if (!copy && self != ps_thread_sharer && ps_libc_noted_thread() != self)
        return true;
    ps_thread_sharer = 0;
    return false;
}
