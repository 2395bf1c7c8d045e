// What is known of the calling thread, and how it is found out later whether a call of ours still goes on.
#ifndef PS_THREAD_H
#define PS_THREAD_H

#include "ps_hot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ps_pending {
    PS_PENDING_NOTHING, // not ours
    PS_PENDING_SHORT,   // hints and figures are set as if all bytes will have moved: tell only if they have not
    PS_PENDING_REPORT   // tell in any case
};

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
