// What happens when one of the two signals arrives: a fault in a copy of ours ends the copy, anything else reaches the
// application as it would have natively.
#include "state.h"

#include "ps_copy.h"
#include "ps_placement.h"
#include "ps_pmem.h"
#include "ps_soft_memory.h"
#include "ps_sys.h"

#include <sys/syscall.h>
#include <ucontext.h>

// Where a handler returns to. No unwind information, and these very bytes: unwinders (libgcc, gdb) know a signal frame
// by them, and cancellation and exceptions may have to pass through one. gdb looks at the bytes only where the symbol
// is glibc's, or none.
__asm__(".text\n"
        "\tnop\n"
        "\t.globl __restore_rt\n"
        "\t.hidden __restore_rt\n"
        "\t.type __restore_rt, @function\n"
        "__restore_rt:\n"
        "\t.byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00\n" // movq $15, %rax: rt_sigreturn
        "\t.byte 0x0f, 0x05\n"                               // syscall
        "\t.size __restore_rt, . - __restore_rt\n");

static uint64_t *mask_of(ucontext_t *context) { return (uint64_t *)(void *)&context->uc_sigmask; }

// What the kernel does without a handler: both end the process, with a core.
static void default_action(int number, siginfo_t *details, bool fault)
{
    const struct ps_kernel_action none = {0};
    ps_signals_kernel_action(number, &none, NULL);
    if (fault)
        return; // the instruction faults again, and the core shows where
    // Blocked until this handler has returned, so that the core shows the interrupted code and not us.
    ps_signals_change_mask(SIG_BLOCK, PS_SIGNAL_BIT(number));
    ps_signals_queue_to_self(number, details);
}

static void hold(int number, const siginfo_t *details)
{
    long process = ps_sys_process();
    if (ps_signals_thread.held_by != process)
        ps_signals_thread.held = 0;
    if (ps_signals_thread.held & PS_SIGNAL_BIT(number))
        return; // these two do not queue: the first one counts
    ps_signals_thread.details[ps_signals_index(number)] = *details;
    ps_signals_thread.held_by = process;
    ps_signals_thread.held |= PS_SIGNAL_BIT(number);
}

static struct ps_kernel_action action_to_run(int number)
{
    struct ps_kernel_action action = ps_signals_current(number);
    if (!(action.flags & SA_RESETHAND) || !ps_signals_is_handler(action.handler))
        return action;
    uint64_t mask = ps_signals_begin_writing();
    action = ps_signals_current(number);
    if (ps_signals_is_handler(action.handler)) {
        struct ps_kernel_action reset = action;
        reset.handler = (uintptr_t)SIG_DFL;
        ps_signals_publish(number, reset); // the kernel's own flags stay: they are those of the handler that runs now
    }
    ps_signals_end_writing(mask);
    return action;
}

static void forward(int number, siginfo_t *details, ucontext_t *context)
{
    const uint64_t bit = PS_SIGNAL_BIT(number);
    const bool was_kept = ps_signals_thread_is_ready;
    if (!was_kept) {
        // What the thread had blocked in the kernel comes back with this frame; from here on it is kept by us.
        ps_signals_thread.blocked = *mask_of(context) & PS_SIGNALS_OURS;
        ps_signals_thread_is_ready = !ps_signals_stranger(); // see ps_signals_thread_ready
        ps_signals_change_mask(SIG_UNBLOCK, PS_SIGNALS_OURS);
    }
    // From the kernel for what this thread did; not BUS_MCEERR_AO, which only tells.
    bool fault = details->si_code > 0 && !(number == SIGBUS && details->si_code == BUS_MCEERR_AO);
    // In sigsuspend and its like the frame has the mask that comes back: that the kernel delivered says unblocked.
    bool blocked = was_kept && (ps_signals_thread.blocked & bit) != 0;
    if (!fault && blocked)
        return hold(number, details);

    struct ps_kernel_action action = action_to_run(number);
    if (action.handler == (uintptr_t)SIG_DFL || (fault && (blocked || action.handler == (uintptr_t)SIG_IGN)))
        // A memory error may have been met by the kernel in a system call, which is not done again.
        return default_action(number, details, fault && !(number == SIGBUS && details->si_code == BUS_MCEERR_AR));
    if (action.handler == (uintptr_t)SIG_IGN)
        return;

    // The handler finds the mask it would find, and may change what comes back.
    *mask_of(context) = (*mask_of(context) & ~PS_SIGNALS_OURS) | ps_signals_thread.blocked;
    ps_signals_thread.blocked |= (action.mask & PS_SIGNALS_OURS) | (action.flags & SA_NODEFER ? 0 : bit);
    ((void (*)(int, siginfo_t *, void *))action.handler)(number, details, context);
    ps_signals_thread.blocked = *mask_of(context) & PS_SIGNALS_OURS;
    *mask_of(context) &= ~PS_SIGNALS_OURS;
    ps_signals_release(~ps_signals_thread.blocked);
}

PS_TOUCHED_AT_START bool (*_Nullable ps_signals_is_window)(uintptr_t address);

// A memory error was found in a page that this process maps only because we have a window there: the kernel tells every
// process that has the page mapped, and without us it would not have been told.
static bool is_about_a_window(int number, const siginfo_t *details)
{
    if (number != SIGBUS || (details->si_code != BUS_MCEERR_AO && details->si_code != BUS_MCEERR_AR))
        return false;
    bool (*is_window)(uintptr_t) = __atomic_load_n(&ps_signals_is_window, __ATOMIC_ACQUIRE);
    return is_window && is_window((uintptr_t)details->si_addr);
}

void ps_signals_arrived(int number, siginfo_t *details, void *context)
{
    const bool tells = number == SIGBUS && details->si_code == BUS_MCEERR_AO;
    ucontext_t *interrupted = context;
    uintptr_t at = (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];
    // First: a page array that was cut would else fault at each of its words.
    if (ps_soft_memory_heals(number, details))
        return;
    // Only what the kernel itself raised: a signal that was sent while we copied is the application's.
    if (details->si_code > 0 && !tells && at >= (uintptr_t)ps_guard_begin && at < (uintptr_t)ps_guard_end) {
        interrupted->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)ps_guard_exit;
        return;
    }
    if (details->si_code > 0 && !tells && ps_call_resumes(at, (uintptr_t)interrupted->uc_mcontext.gregs[REG_RSP])) {
        interrupted->uc_mcontext.gregs[REG_RSP] = (greg_t)ps_call_frame;
        interrupted->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)ps_call_exit;
        return;
    }
    if (is_about_a_window(number, details))
        return;
    forward(number, details, interrupted);
}
