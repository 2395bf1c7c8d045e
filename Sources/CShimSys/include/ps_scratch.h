// Room for what is large and short-lived: slow paths run on stacks of the application's, which may be small (a
// handler's, a coroutine's), and must not take more than 1,280 bytes of them, nor a served call more than 512 bytes
// (Tests/Programs/stack-use.c).
#ifndef PS_SCRATCH_H
#define PS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_SCRATCH_SIZE 1024

// A room of PS_SCRATCH_SIZE bytes, 16-byte aligned; NULL: all are taken, and the caller's own stack has to do. One
// that is never given back (a handler has jumped out) is lost. Async-signal-safe, waits for nobody.
void *_Nullable ps_scratch_take(void);
void ps_scratch_give(void *_Nonnull room);

// For the parts of a vectored call: PS_VECTOR_ROOM bytes. `record`: the calling thread's record, whose neighbours are
// other threads' and start to look elsewhere; `frame`: of the caller (ps_frame), by which a room is known whose holder
// has been jumped out of. NULL: none is free. Survives fork, as the caller's stack does.
//
// Inline, as 30 instructions less are in each vectored call that is served.
#define PS_VECTOR_ROOM 512
#define PS_VECTOR_ROOMS 64u
struct ps_vector_room {
    _Alignas(64) char bytes[PS_VECTOR_ROOM];
    uintptr_t holder; // its frame; 0: free
};
extern struct ps_vector_room ps_vector_rooms[PS_VECTOR_ROOMS] __attribute__((visibility("hidden")));

// Behind `first`: a room that is free, or whose holder has been jumped out of.
void *_Nullable ps_vector_room_search(unsigned first, uintptr_t frame);

static inline bool ps_vector_room_hold(struct ps_vector_room *_Nonnull room, uintptr_t before, uintptr_t frame)
{
    return __atomic_compare_exchange_n(&room->holder, &before, frame, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void *_Nullable ps_vector_room_take(uintptr_t record, uintptr_t frame)
{
    const unsigned first = (unsigned)(record / 64) % PS_VECTOR_ROOMS; // the size of a record
    struct ps_vector_room *room = &ps_vector_rooms[first];
    return ps_vector_room_hold(room, 0, frame) ? room->bytes : ps_vector_room_search(first, frame);
}

static inline void ps_vector_room_give(void *_Nonnull room)
{
    __atomic_store_n(&((struct ps_vector_room *)room)->holder, 0, __ATOMIC_RELEASE);
}

#endif
