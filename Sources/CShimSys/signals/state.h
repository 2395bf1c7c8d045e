// What actions.c, delivery.c and masks.c share, and nobody else. include/ps_signals.h has the contract of them all.
#ifndef PS_SIGNALS_STATE_H
#define PS_SIGNALS_STATE_H

#include "ps_signals.h"

// ---- actions.c -------------------------------------------------------------------------------------------------

// The two signals as indices of arrays.
static inline int ps_signals_index(int number) { return number == SIGSEGV; }
static inline bool ps_signals_is_handler(uintptr_t handler)
{
    return handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN;
}

// The application's action for one of the two; never waits.
struct ps_kernel_action ps_signals_current(int number);
// Between begin and end, in which every signal is blocked.
void ps_signals_publish(int number, struct ps_kernel_action action);
uint64_t ps_signals_begin_writing(void);
void ps_signals_end_writing(uint64_t mask);
// rt_sigaction itself: 0, or -errno.
long ps_signals_kernel_action(int number, const struct ps_kernel_action *_Nullable new_action,
                              struct ps_kernel_action *_Nullable old_action);

// ---- delivery.c ------------------------------------------------------------------------------------------------

// The handler, and where it returns to.
void ps_signals_arrived(int number, siginfo_t *_Nonnull details, void *_Nonnull context);
void ps_signals_restorer(void) __asm__("__restore_rt") __attribute__((visibility("hidden")));

// ---- masks.c ---------------------------------------------------------------------------------------------------

// One thread's view. Only its own thread and the handlers on it touch it.
struct ps_signals_view {
    uint64_t blocked;     // which of the two the application believes blocked
    uint64_t held;        // which have been sent meanwhile
    long held_by;         // process that holds them: a forked child has none pending
    siginfo_t details[2]; // of what is held
};
extern __thread struct ps_signals_view ps_signals_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

void ps_signals_change_mask(int how, uint64_t bits);
// Sends a signal to this thread with the details given.
void ps_signals_queue_to_self(int number, siginfo_t *_Nonnull details);
// What of `bits` was held back comes once more, with the same details.
void ps_signals_release(uint64_t bits);

#endif
