// SIGBUS and SIGSEGV: ours for the guarded copies (ps_copy.h), and the application's for all else.
//
// Once the first window is about to be mapped, our handler is the kernel's action for the two: a fault inside a guarded
// copy resumes at its exit. From a thread's first copy on, neither is ever blocked in it. The application's own actions
// and the two bits of its signal masks are kept here and obeyed as the kernel would: what it set, it is told; its
// handlers run for its own faults and for signals sent to it, with its flags, its masks and its stack. The masks of
// threads that never copy stay the kernel's.
//
// Everything here is async-signal-safe, allocates nothing, and leaves errno alone. Results: >= 0, or -errno.
//
// Not kept (docs/limitations.md):
// - A signal of the two that is *sent* (kill, not a fault) while the application believes it blocked is held for the
//   thread that the kernel chose; without us another thread, which has it unblocked, would have been chosen.
// - While a handler of another signal runs, whose sa_mask names the two, they are not blocked, nor said to be.
// - A program started by exec finds the two unblocked, and SIG_IGN for them reset to SIG_DFL.
// - sigsetjmp and getcontext store a mask without the two: siglongjmp and setcontext make them unblocked. One stored
//   before the thread's first copy has them, and brings them back as they were.
// - The two come to be blocked in the kernel, and a fault in a copy kills, where a thread that copies gets such a mask
//   by a way nobody sees: a handler of another signal that puts them into its ucontext, a bare system call instruction,
//   a context that ends through uc_link and whose successor was saved before the first copy. The same in a handler that
//   runs in the microsecond in which a wait or pthread_create has them blocked, where the application believes so.
// - signalfd does not report the two to a thread that copies.
// - A wait during which the application believes one of the two blocked may end with EINTR when that one is sent.
#ifndef PS_SIGNALS_H
#define PS_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The kernel's struct sigaction and sigset_t, which are not libc's.
struct ps_kernel_action {
    uintptr_t handler;
    uint64_t flags;
    uintptr_t restorer;
    uint64_t mask;
};
_Static_assert(sizeof(struct ps_kernel_action) == 32, "rt_sigaction(2), x86-64");

#define PS_SIGNAL_BIT(number) (1ull << ((number)-1))
#define PS_SIGNALS_OURS (PS_SIGNAL_BIT(SIGBUS) | PS_SIGNAL_BIT(SIGSEGV))

// ---- for the engine ------------------------------------------------------------------------------------------

// Installs the handler; idempotent. 0, or -errno: -EAGAIN while another thread is at it: map nothing yet. May be called
// with every signal blocked; the calling thread still needs ps_signals_ready before it copies.
int ps_signals_install(void);
// Before a thread's first guarded copy, and again after it may have got a mask from elsewhere: unblocks the two for
// the calling thread, and remembers that the application believes them blocked. The mask in force must be the
// application's: never call it between ps_sys_block_signals and ps_sys_unblock_signals.
void ps_signals_thread_ready(void);

// Where the main thread's stack ends: anything that was on it before main, such as the arguments.
void ps_signals_set_stack_end(const void *_Nonnull end);
// The part of this thread's stack for handlers (sigaltstack) in which a fault in a copy could not be survived, for want
// of room below it: alternate_stack.c. Size 0: there is none, or the thread has not been looked at.
struct ps_small_stack {
    uintptr_t base;
    size_t size;
};
extern __thread struct ps_small_stack ps_small_stack __attribute__((tls_model("initial-exec"), visibility("hidden")));
static inline bool ps_signals_has_small_stack(void) { return ps_small_stack.size != 0; }
static inline bool ps_signals_on_small_stack(void)
{
    return (uintptr_t)__builtin_frame_address(0) - ps_small_stack.base < ps_small_stack.size;
}
// From the constructor: how large a signal frame is, bytes (AT_MINSIGSTKSZ); 0: the kernel does not say.
void ps_signals_set_frame_size(size_t size);
// Asks the kernel.
void ps_signals_look_at_stack(void);
// Whether the caller runs there, also in a thread that has not been looked at.
bool ps_signals_must_not_copy(void);

// Takes the two out of the masks that handlers in progress on this thread will put back: the frames of signals on its
// stack from `from` upwards. The two must be unblocked. True: there were some, and `after` is what of the two the
// outermost of them would have put back.
bool ps_signals_clear_frames(uintptr_t from, uint64_t *_Nonnull after);

// Initial-exec; read through ps_signals_ready only.
extern __thread bool ps_signals_thread_is_ready __attribute__((tls_model("initial-exec"), visibility("hidden")));
// The check for the served path: one load, and thread_ready at a thread's first time.
static inline void ps_signals_ready(void)
{
    if (__builtin_expect(!ps_signals_thread_is_ready, 0))
        ps_signals_thread_ready();
}

// Whether an address lies in one of our windows; set by the constructor. Called by the handler.
extern bool (*_Nullable ps_signals_is_window)(uintptr_t address) __attribute__((visibility("hidden")));

// ---- for the face --------------------------------------------------------------------------------------------

extern int ps_signals_state __attribute__((visibility("hidden")));
static inline bool ps_signals_installed(void) { return __atomic_load_n(&ps_signals_state, __ATOMIC_ACQUIRE) == 2; }

// True in a vfork child and its like: a process that runs in its parent's memory, on its parent's thread state. Its
// actions and masks are its own in the kernel, and must not be noted here.
// No system call, but after a vfork or clone that came through the face.
bool ps_signals_stranger(void);

// The kernel's id of the thread that last forked in a way that may share its state with the child, or 0: set by the
// face before that call, cleared by ps_signals_stranger when it finds itself in the parent, or in a child with a copy.
extern __thread int ps_thread_sharer __attribute__((tls_model("initial-exec"), visibility("hidden")));
void ps_signals_note_sharing(void);

// Whether this is our handler's address: a vfork child that asks the kernel would be told it.
bool ps_signals_is_ours(uintptr_t handler);

// rt_sigaction for SIGBUS and SIGSEGV, on the application's action. Both places are the caller's own (ps_fetch.h).
long ps_signals_action(int number, const struct ps_kernel_action *_Nullable new_action,
                       struct ps_kernel_action *_Nullable old_action);
// What of the two the application has in the sa_mask of another signal (the kernel has neither).
uint64_t ps_signals_noted(int number);
void ps_signals_note(int number, uint64_t mask);
// After an action for `number` was set in the kernel by somebody who did not know that the handler was being
// installed meanwhile: takes it over.
void ps_signals_adopt(int number);

// True where this thread's masks are kept here: its handler is installed, and it has copied.
static inline bool ps_signals_keep_mask(void) { return ps_signals_thread_is_ready && ps_signals_installed(); }

// The following are for threads of which ps_signals_keep_mask is true.

// Which of the two the application believes blocked in this thread.
uint64_t ps_signals_blocked(void);
// Changes it (bits outside the two are ignored), and delivers what was held back and is now unblocked.
void ps_signals_set_blocked(uint64_t bits);
// Which of the two have been sent to this thread and are held back.
uint64_t ps_signals_held(void);

// Around a call that waits with another mask (sigsuspend, ppoll, ...), to which the mask without the two is given.
// Between them what is held back and `mask` unblocks is pending in the kernel, so that no wakeup is lost. The token
// goes to the end.
uint64_t ps_signals_begin_wait(uint64_t mask);
void ps_signals_end_wait(uint64_t token);
// Around a call that takes signals of `set` synchronously (sigwait, ...).
uint64_t ps_signals_begin_take(uint64_t set);
void ps_signals_end_take(uint64_t token);

// Around pthread_create: the two are blocked in the kernel as the application believes them to be, so that the new
// thread inherits it and finds it at its first ps_signals_thread_ready.
uint64_t ps_signals_begin_birth(void);
void ps_signals_end_birth(uint64_t token);

// Before a jump, out of a handler or anywhere else, that puts `mask` into the kernel as it is.
void ps_signals_jump(uint64_t mask);

#endif
