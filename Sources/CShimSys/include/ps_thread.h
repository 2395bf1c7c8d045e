// What is known of the calling thread, and how it is found out later whether a call of ours still goes on.
#ifndef PS_THREAD_H
#define PS_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ps_pending {
    PS_PENDING_NOTHING, // not ours
    PS_PENDING_SHORT,   // hints and figures are set as if all bytes will have moved: tell only if they have not
    PS_PENDING_REPORT   // tell in any case
};

// Initial-exec: one load relative to the thread pointer, never __tls_get_addr (which may allocate).
struct ps_thread {
    // Address of this thread's record in the arena, or 0. Survives fork while the record does not (WIPEONFORK): a
    // record whose thread id is 0 is to be claimed anew.
    uintptr_t record;
    // Set by the engine when it passes a data call on: what it wants to hear of the kernel's answer.
    uint32_t pending; // enum ps_pending
    // The bytes that were asked for; meaningful with PS_PENDING_SHORT.
    int64_t pending_count;
    // Where the call starts, or -1.
    int64_t pending_offset;
    // For a write: the coarse clock before the kernel was asked, ns; 0: not looked at.
    int64_t pending_tick;
};

extern __thread struct ps_thread ps_thread_state __attribute__((tls_model("initial-exec"), visibility("hidden")));
static inline struct ps_thread *_Nonnull ps_thread_current(void) { return &ps_thread_state; }

// Within a thread's record (ThreadLayout): its id, negative until it may copy; and what is 0 where it may not.
#define PS_RECORD_THREAD 0
#define PS_RECORD_READY 56
// The calling thread may have got a signal mask or a stack of which nothing is known: its next data call takes the
// general way, and looks before it copies.
static inline void ps_thread_look_again(void)
{
    char *record = (char *)ps_thread_state.record;
    if (record == NULL)
        return;
    __atomic_store_n((uint64_t *)(void *)(record + PS_RECORD_READY), 0, __ATOMIC_RELAXED);
    int32_t *thread = (int32_t *)(void *)(record + PS_RECORD_THREAD);
    int32_t id = __atomic_load_n(thread, __ATOMIC_RELAXED);
    if (id > 0)
        __atomic_store_n(thread, -id, __ATOMIC_RELAXED);
}

// The frame of the function this is compiled into (always inlined): where the engine announces a call, and by which it
// is found out later whether the call still goes on.
static inline __attribute__((always_inline)) uintptr_t ps_frame(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}
// Whether a frame that ps_frame() gave may still be in use: a signal handler that jumps, throws or is cancelled leaves
// calls behind that never end. Looks whether the return address there is still one of ours, which no live frame lacks;
// a dead one may keep it for a while. One system call; any address may be asked for.
bool ps_frame_may_live(uintptr_t frame);
// Before the first of these: where our code lies.
void ps_frames_prepare(void);

#endif
