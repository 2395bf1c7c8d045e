// Room for what is large and short-lived: slow paths run on stacks of the application's, which may be small (a
// handler's, a coroutine's), and must not take more than 1,280 bytes of them, nor a served call more than 512 bytes
// (Tests/Programs/stack-use.c).
#ifndef PS_SCRATCH_H
#define PS_SCRATCH_H

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
#define PS_VECTOR_ROOM 512
void *_Nullable ps_vector_room_take(uintptr_t record, uintptr_t frame);
void ps_vector_room_give(void *_Nonnull room);

#endif
