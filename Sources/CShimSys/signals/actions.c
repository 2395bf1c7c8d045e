// What the application has set as its actions for the two signals, and the handler of ours that stands in their place.
#include "state.h"

#include "ps_sys.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#define KERNEL_SA_RESTORER 0x04000000ull
#define KERNEL_SA_KNOWN                                                                                                \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND                    \
     | 0x800 /* SA_EXPOSE_TAGBITS */ | KERNEL_SA_RESTORER)

enum { NOT_INSTALLED, INSTALLING, INSTALLED };
int ps_signals_state;

// The handler reads while another thread writes, and may not wait for it: a write goes to the next of eight places and
// is then published; a reader that was overtaken by seven writes tries again.
#define PLACES 8u
static struct ps_kernel_action places[2][PLACES];
static unsigned published[2];
static long writer;                // thread id of the one who writes, or 0
static uint8_t noted[65];          // bit 0 SIGBUS, bit 1 SIGSEGV, in the sa_mask of other signals

struct ps_kernel_action ps_signals_current(int number)
{
    int i = ps_signals_index(number);
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

void ps_signals_publish(int number, struct ps_kernel_action action)
{
    int i = ps_signals_index(number);
    unsigned next = published[i] + 1;
    struct ps_kernel_action *place = &places[i][next % PLACES];
    __atomic_store_n(&place->handler, action.handler, __ATOMIC_RELAXED);
    __atomic_store_n(&place->flags, action.flags, __ATOMIC_RELAXED);
    __atomic_store_n(&place->restorer, action.restorer, __ATOMIC_RELAXED);
    __atomic_store_n(&place->mask, action.mask, __ATOMIC_RELAXED);
    __atomic_store_n(&published[i], next, __ATOMIC_RELEASE);
}

// With every signal blocked, so that no handler on this thread can want the lock; held for two system calls.
uint64_t ps_signals_begin_writing(void)
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

void ps_signals_end_writing(uint64_t mask)
{
    __atomic_store_n(&writer, 0, __ATOMIC_RELEASE);
    ps_sys_unblock_signals(mask);
}

long ps_signals_kernel_action(int number, const struct ps_kernel_action *new_action,
                              struct ps_kernel_action *old_action)
{
    return ps_sys_call4(SYS_rt_sigaction, number, (long)new_action, (long)old_action, sizeof(uint64_t));
}

// Our action in the kernel while the application's is `action`: the kernel itself then blocks what its sa_mask says
// for the time of the handler, restarts calls and chooses the stack as it would for the application. Without a
// handler of the application nothing it does may be disturbed: calls are restarted, and ours runs on the alternate
// stack, where there is one.
static struct ps_kernel_action installed_for(struct ps_kernel_action action)
{
    uint64_t flags =
        ps_signals_is_handler(action.handler) ? action.flags & (SA_ONSTACK | SA_RESTART) : SA_ONSTACK | SA_RESTART;
    return (struct ps_kernel_action){
        .handler = (uintptr_t)ps_signals_arrived,
        .flags = flags | SA_SIGINFO | SA_NODEFER | KERNEL_SA_RESTORER,
        .restorer = (uintptr_t)ps_signals_restorer,
        .mask = ps_signals_is_handler(action.handler) ? action.mask & ~PS_SIGNALS_OURS : 0,
    };
}

bool ps_signals_is_ours(uintptr_t handler) { return handler == (uintptr_t)ps_signals_arrived; }

static void set_action(int number, struct ps_kernel_action action)
{
    ps_signals_publish(number, action);
    struct ps_kernel_action ours = installed_for(action);
    ps_signals_kernel_action(number, &ours, NULL);
}

// Setting SIG_IGN discards what is pending. Taken from the kernel rather than by its SIG_IGN, which would for a moment
// make a fault in another thread's copy fatal. Every signal is blocked here.
static void discard(int number)
{
    const uint64_t set = PS_SIGNAL_BIT(number);
    const struct timespec at_once = {0};
    ps_signals_thread.held &= ~set;
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
        uint64_t mask = ps_signals_begin_writing();
        before = ps_signals_current(number);
        set_action(number, wanted);
        if (wanted.handler == (uintptr_t)SIG_IGN)
            discard(number);
        ps_signals_end_writing(mask);
    } else {
        before = ps_signals_current(number);
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
    if (ps_signals_kernel_action(number, NULL, &action) < 0)
        return;
    if (number == SIGBUS || number == SIGSEGV) {
        if (action.handler != (uintptr_t)ps_signals_arrived)
            set_action(number, action);
        return;
    }
    if (!(action.mask & PS_SIGNALS_OURS) || !ps_signals_is_handler(action.handler))
        return;
    ps_signals_note(number, action.mask);
    action.mask &= ~PS_SIGNALS_OURS;
    ps_signals_kernel_action(number, &action, NULL);
}

void ps_signals_adopt(int number)
{
    uint64_t mask = ps_signals_begin_writing();
    take_over(number);
    ps_signals_end_writing(mask);
}

int ps_signals_install(void)
{
    int state = NOT_INSTALLED;
    if (!__atomic_compare_exchange_n(&ps_signals_state, &state, INSTALLING, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return state == INSTALLED ? 0 : -EAGAIN;
    uint64_t mask = ps_signals_begin_writing();
    // The handlers of other signals may copy too: from now on they run with the two unblocked.
    for (int number = 1; number <= 64; number++)
        take_over(number);
    __atomic_store_n(&ps_signals_state, INSTALLED, __ATOMIC_RELEASE);
    ps_signals_end_writing(mask);
    // Not this thread's own mask: the engine calls with every signal blocked, which says nothing of the application.
    return 0;
}
