#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_signals.h"

#include "ps_copy.h"
#include "ps_libc.h"
#include "ps_pmem.h"
#include "ps_soft_memory.h"
#include "ps_sys.h"
#include "ps_thread.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#define KERNEL_SA_RESTORER 0x04000000ull
#define KERNEL_SA_KNOWN                                                                                                \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND                    \
     | 0x800 /* SA_EXPOSE_TAGBITS */ | KERNEL_SA_RESTORER)

// Where a handler returns to. No unwind information, and these very bytes: unwinders (libgcc, gdb) know a signal frame
// by them, and cancellation and exceptions may have to pass through one. gdb looks at the bytes only where the symbol
// is glibc's, or none.
void ps_signals_restorer(void) __asm__("__restore_rt") __attribute__((visibility("hidden")));
__asm__(".text\n"
        "\tnop\n"
        "\t.hidden __restore_rt\n"
        "\t.type __restore_rt, @function\n"
        "__restore_rt:\n"
        "\t.byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00\n" // movq $15, %rax: rt_sigreturn
        "\t.byte 0x0f, 0x05\n"                               // syscall
        "\t.size __restore_rt, . - __restore_rt\n");

enum { NOT_INSTALLED, INSTALLING, INSTALLED };
int ps_signals_state;

__thread bool ps_signals_thread_is_ready;

// One thread's view. Only its own thread and the handlers on it touch it.
static __thread struct {
    uint64_t blocked;     // which of the two the application believes blocked
    uint64_t held;        // which have been sent meanwhile
    long held_by;         // process that holds them: a forked child has none pending
    siginfo_t details[2]; // of what is held
} thread __attribute__((tls_model("initial-exec")));

// ---- the application's actions ---------------------------------------------------------------------------------

// The handler reads while another thread writes, and may not wait for it: a write goes to the next of eight places and
// is then published; a reader that was overtaken by seven writes tries again.
#define PLACES 8u
static struct ps_kernel_action places[2][PLACES];
static unsigned published[2];
static long writer;                // thread id of the one who writes, or 0
static uint8_t noted[65];          // bit 0 SIGBUS, bit 1 SIGSEGV, in the sa_mask of other signals

static int index_of(int number) { return number == SIGSEGV; }

static struct ps_kernel_action current(int number)
{
    int i = index_of(number);
    for (;;) {
        unsigned before = __atomic_load_n(&published[i], __ATOMIC_ACQUIRE);
        const struct ps_kernel_action *place = &places[i][before % PLACES];
        struct ps_kernel_action copy = {
            __atomic_load_n(&place->handler, __ATOMIC_RELAXED), __atomic_load_n(&place->flags, __ATOMIC_RELAXED),
            __atomic_load_n(&place->restorer, __ATOMIC_RELAXED), __atomic_load_n(&place->mask, __ATOMIC_RELAXED)};
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&published[i], __ATOMIC_RELAXED) - before < PLACES - 1)
            return copy;
    }
}

static void publish(int number, struct ps_kernel_action action)
{
    int i = index_of(number);
    unsigned next = published[i] + 1;
    struct ps_kernel_action *place = &places[i][next % PLACES];
    __atomic_store_n(&place->handler, action.handler, __ATOMIC_RELAXED);
    __atomic_store_n(&place->flags, action.flags, __ATOMIC_RELAXED);
    __atomic_store_n(&place->restorer, action.restorer, __ATOMIC_RELAXED);
    __atomic_store_n(&place->mask, action.mask, __ATOMIC_RELAXED);
    __atomic_store_n(&published[i], next, __ATOMIC_RELEASE);
}

// With every signal blocked, so that no handler on this thread can want the lock; held for two system calls.
static uint64_t begin_writing(void)
{
    uint64_t mask = ps_sys_block_signals();
    long self = ps_sys_thread();
    for (unsigned tries = 1;; tries++) {
        long holder = 0;
        if (__atomic_compare_exchange_n(&writer, &holder, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return mask;
        // Forked while another thread held it: the holder does not exist here.
        if (tries % 64 == 0 && !ps_sys_thread_exists((int)ps_sys_process(), (int)holder)
            && __atomic_compare_exchange_n(&writer, &holder, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return mask;
        ps_sys_yield();
    }
}

static void end_writing(uint64_t mask)
{
    __atomic_store_n(&writer, 0, __ATOMIC_RELEASE);
    ps_sys_unblock_signals(mask);
}

static long kernel_action(int number, const struct ps_kernel_action *new_action, struct ps_kernel_action *old_action)
{
    return ps_sys_call4(SYS_rt_sigaction, number, (long)new_action, (long)old_action, sizeof(uint64_t));
}

static bool is_handler(uintptr_t handler) { return handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN; }

static void on_signal(int number, siginfo_t *details, void *context);

// Our action in the kernel while the application's is `action`: the kernel itself then blocks what its sa_mask says
// for the time of the handler, restarts calls and chooses the stack as it would for the application. Without a
// handler of the application nothing it does may be disturbed: calls are restarted, and ours runs on the alternate
// stack, where there is one.
static struct ps_kernel_action installed_for(struct ps_kernel_action action)
{
    uint64_t flags = is_handler(action.handler) ? action.flags & (SA_ONSTACK | SA_RESTART) : SA_ONSTACK | SA_RESTART;
    return (struct ps_kernel_action){
        .handler = (uintptr_t)on_signal,
        .flags = flags | SA_SIGINFO | SA_NODEFER | KERNEL_SA_RESTORER,
        .restorer = (uintptr_t)ps_signals_restorer,
        .mask = is_handler(action.handler) ? action.mask & ~PS_SIGNALS_OURS : 0,
    };
}

bool ps_signals_is_ours(uintptr_t handler) { return handler == (uintptr_t)on_signal; }

static void set_action(int number, struct ps_kernel_action action)
{
    publish(number, action);
    struct ps_kernel_action ours = installed_for(action);
    kernel_action(number, &ours, NULL);
}

// Setting SIG_IGN discards what is pending. Taken from the kernel rather than by its SIG_IGN, which would for a moment
// make a fault in another thread's copy fatal. Every signal is blocked here.
static void discard(int number)
{
    const uint64_t set = PS_SIGNAL_BIT(number);
    const struct timespec at_once = {0};
    thread.held &= ~set;
    while (ps_sys_call4(SYS_rt_sigtimedwait, (long)&set, 0, (long)&at_once, sizeof set) > 0)
        continue;
}

long ps_signals_action(int number, const struct ps_kernel_action *new_action, struct ps_kernel_action *old_action)
{
    struct ps_kernel_action before;
    if (new_action) {
        struct ps_kernel_action wanted = *new_action;
        // As the kernel (5.11) does: what cannot be blocked is not in the mask, what it does not know not in the flags.
        wanted.mask &= ~(PS_SIGNAL_BIT(SIGKILL) | PS_SIGNAL_BIT(SIGSTOP));
        wanted.flags &= KERNEL_SA_KNOWN;
        uint64_t mask = begin_writing();
        before = current(number);
        set_action(number, wanted);
        if (wanted.handler == (uintptr_t)SIG_IGN)
            discard(number);
        end_writing(mask);
    } else {
        before = current(number);
    }
    if (old_action)
        *old_action = before;
    return 0;
}

static uint8_t note_of(uint64_t mask)
{
    return (uint8_t)((mask & PS_SIGNAL_BIT(SIGBUS) ? 1 : 0) | (mask & PS_SIGNAL_BIT(SIGSEGV) ? 2 : 0));
}

void ps_signals_note(int number, uint64_t mask)
{
    if (number >= 1 && number <= 64)
        __atomic_store_n(&noted[number], note_of(mask), __ATOMIC_RELAXED);
}

uint64_t ps_signals_noted(int number)
{
    uint8_t note = number >= 1 && number <= 64 ? __atomic_load_n(&noted[number], __ATOMIC_RELAXED) : 0;
    return (note & 1 ? PS_SIGNAL_BIT(SIGBUS) : 0) | (note & 2 ? PS_SIGNAL_BIT(SIGSEGV) : 0);
}

// The kernel's action for `number`, set by the application before there was a handler of ours.
static void take_over(int number)
{
    struct ps_kernel_action action;
    if (kernel_action(number, NULL, &action) < 0)
        return;
    if (number == SIGBUS || number == SIGSEGV) {
        if (action.handler != (uintptr_t)on_signal)
            set_action(number, action);
        return;
    }
    if (!(action.mask & PS_SIGNALS_OURS) || !is_handler(action.handler))
        return;
    ps_signals_note(number, action.mask);
    action.mask &= ~PS_SIGNALS_OURS;
    kernel_action(number, &action, NULL);
}

void ps_signals_adopt(int number)
{
    uint64_t mask = begin_writing();
    take_over(number);
    end_writing(mask);
}

int ps_signals_install(void)
{
    int state = NOT_INSTALLED;
    if (!__atomic_compare_exchange_n(&ps_signals_state, &state, INSTALLING, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return state == INSTALLED ? 0 : -EAGAIN;
    uint64_t mask = begin_writing();
    // The handlers of other signals may copy too: from now on they run with the two unblocked.
    for (int number = 1; number <= 64; number++)
        take_over(number);
    __atomic_store_n(&ps_signals_state, INSTALLED, __ATOMIC_RELEASE);
    end_writing(mask);
    // Not this thread's own mask: the engine calls with every signal blocked, which says nothing of the application.
    return 0;
}

// ---- delivery --------------------------------------------------------------------------------------------------

static void queue_to_self(int number, siginfo_t *details)
{
    ps_sys_call4(SYS_rt_tgsigqueueinfo, ps_sys_process(), ps_sys_thread(), number, (long)details);
}

static void change_mask(int how, uint64_t bits)
{
    ps_sys_call4(SYS_rt_sigprocmask, how, (long)&bits, 0, sizeof bits);
}

static uint64_t *mask_of(ucontext_t *context) { return (uint64_t *)(void *)&context->uc_sigmask; }

// What the kernel does without a handler: both end the process, with a core.
static void default_action(int number, siginfo_t *details, bool fault)
{
    const struct ps_kernel_action none = {0};
    kernel_action(number, &none, NULL);
    if (fault)
        return; // the instruction faults again, and the core shows where
    // Blocked until this handler has returned, so that the core shows the interrupted code and not us.
    change_mask(SIG_BLOCK, PS_SIGNAL_BIT(number));
    queue_to_self(number, details);
}

// What was held back and is no longer blocked comes once more, with the same details.
static void release(uint64_t bits)
{
    for (uint64_t due; (due = thread.held & bits) != 0;) {
        int number = due & PS_SIGNAL_BIT(SIGBUS) ? SIGBUS : SIGSEGV;
        siginfo_t details = thread.details[index_of(number)];
        thread.held &= ~PS_SIGNAL_BIT(number);
        if (thread.held_by == ps_sys_process())
            queue_to_self(number, &details);
    }
}

static void hold(int number, const siginfo_t *details)
{
    long process = ps_sys_process();
    if (thread.held_by != process)
        thread.held = 0;
    if (thread.held & PS_SIGNAL_BIT(number))
        return; // these two do not queue: the first one counts
    thread.details[index_of(number)] = *details;
    thread.held_by = process;
    thread.held |= PS_SIGNAL_BIT(number);
}

static struct ps_kernel_action action_to_run(int number)
{
    struct ps_kernel_action action = current(number);
    if (!(action.flags & SA_RESETHAND) || !is_handler(action.handler))
        return action;
    uint64_t mask = begin_writing();
    action = current(number);
    if (is_handler(action.handler)) {
        struct ps_kernel_action reset = action;
        reset.handler = (uintptr_t)SIG_DFL;
        publish(number, reset); // the kernel's own flags stay: they are those of the handler that runs now
    }
    end_writing(mask);
    return action;
}

static void forward(int number, siginfo_t *details, ucontext_t *context)
{
    const uint64_t bit = PS_SIGNAL_BIT(number);
    const bool was_kept = ps_signals_thread_is_ready;
    if (!was_kept) {
        // What the thread had blocked in the kernel comes back with this frame; from here on it is kept by us.
        thread.blocked = *mask_of(context) & PS_SIGNALS_OURS;
        ps_signals_thread_is_ready = true;
        change_mask(SIG_UNBLOCK, PS_SIGNALS_OURS);
    }
    // From the kernel for what this thread did; not BUS_MCEERR_AO, which only tells.
    bool fault = details->si_code > 0 && !(number == SIGBUS && details->si_code == BUS_MCEERR_AO);
    // In sigsuspend and its like the frame has the mask that comes back: that the kernel delivered says unblocked.
    bool blocked = was_kept && (thread.blocked & bit) != 0;
    if (!fault && blocked)
        return hold(number, details);

    struct ps_kernel_action action = action_to_run(number);
    if (action.handler == (uintptr_t)SIG_DFL || (fault && (blocked || action.handler == (uintptr_t)SIG_IGN)))
        // A memory error may have been met by the kernel in a system call, which is not done again.
        return default_action(number, details, fault && !(number == SIGBUS && details->si_code == BUS_MCEERR_AR));
    if (action.handler == (uintptr_t)SIG_IGN)
        return;

    // The handler finds the mask it would find, and may change what comes back.
    *mask_of(context) = (*mask_of(context) & ~PS_SIGNALS_OURS) | thread.blocked;
    thread.blocked |= (action.mask & PS_SIGNALS_OURS) | (action.flags & SA_NODEFER ? 0 : bit);
    ((void (*)(int, siginfo_t *, void *))action.handler)(number, details, context);
    thread.blocked = *mask_of(context) & PS_SIGNALS_OURS;
    *mask_of(context) &= ~PS_SIGNALS_OURS;
    release(~thread.blocked);
}

bool (*_Nullable ps_signals_is_window)(uintptr_t address);

// A memory error was found in a page that this process maps only because we have a window there: the kernel tells every
// process that has the page mapped, and without us it would not have been told.
static bool is_about_a_window(int number, const siginfo_t *details)
{
    if (number != SIGBUS || (details->si_code != BUS_MCEERR_AO && details->si_code != BUS_MCEERR_AR))
        return false;
    bool (*is_window)(uintptr_t) = __atomic_load_n(&ps_signals_is_window, __ATOMIC_ACQUIRE);
    return is_window && is_window((uintptr_t)details->si_addr);
}

static void on_signal(int number, siginfo_t *details, void *context)
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

// ---- masks -----------------------------------------------------------------------------------------------------

void ps_signals_thread_ready(void)
{
    uint64_t mask = 0;
    ps_signals_look_at_stack();
    ps_sys_call4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, sizeof mask);
    // First the belief, then the mask: what is pending arrives at once, and must be held back.
    thread.blocked = mask & PS_SIGNALS_OURS;
    ps_signals_thread_is_ready = true;
    if (mask & PS_SIGNALS_OURS)
        change_mask(SIG_UNBLOCK, PS_SIGNALS_OURS);
    // Not only where they are blocked now: a handler's own mask may lack what comes back after it. And inside a handler
    // the mask is the handler's: nothing tells us when it returns, so what the thread will have then is believed now.
    uint64_t after;
    if (ps_signals_clear_frames((uintptr_t)__builtin_frame_address(0), &after))
        thread.blocked = after;
    release(~thread.blocked);
}

uint64_t ps_signals_blocked(void) { return thread.blocked; }

void ps_signals_set_blocked(uint64_t bits)
{
    thread.blocked = bits & PS_SIGNALS_OURS;
    release(~thread.blocked);
}

uint64_t ps_signals_held(void)
{
    return thread.held && thread.held_by == ps_sys_process() ? thread.held : 0; // a forked child has none pending
}

// The token: the belief before, and whether the two are blocked in the kernel between begin and end.
#define REALLY_BLOCKED 1ull

uint64_t ps_signals_begin_wait(uint64_t mask)
{
    uint64_t before = ps_signals_blocked(), token = before;
    if (before & ~mask) {
        // The wait unblocks what may have been sent: blocked in earnest until the kernel, in the call itself, takes
        // the other mask, so that nothing can arrive between our look and its sleep.
        change_mask(SIG_BLOCK, PS_SIGNALS_OURS);
        token |= REALLY_BLOCKED;
        release(~mask);
    }
    thread.blocked = mask & PS_SIGNALS_OURS;
    return token;
}

void ps_signals_end_wait(uint64_t token)
{
    thread.blocked = token & PS_SIGNALS_OURS;
    if (token & REALLY_BLOCKED)
        change_mask(SIG_UNBLOCK, PS_SIGNALS_OURS);
    release(~thread.blocked);
}

uint64_t ps_signals_begin_take(uint64_t set)
{
    uint64_t token = ps_signals_blocked();
    if (token & set) {
        change_mask(SIG_BLOCK, PS_SIGNALS_OURS);
        token |= REALLY_BLOCKED;
        release(set);
    }
    return token;
}

void ps_signals_end_take(uint64_t token)
{
    if (token & REALLY_BLOCKED)
        change_mask(SIG_UNBLOCK, PS_SIGNALS_OURS);
}

uint64_t ps_signals_begin_birth(void)
{
    uint64_t bits = ps_signals_blocked();
    if (bits)
        change_mask(SIG_BLOCK, bits);
    return bits;
}

void ps_signals_end_birth(uint64_t token)
{
    if (token)
        change_mask(SIG_UNBLOCK, token);
}

void ps_signals_jump(uint64_t mask)
{
    if (mask & PS_SIGNALS_OURS) {
        // The kernel's again, until the next copy looks.
        thread.blocked = 0;
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
