// The slow steps (learning a descriptor, mapping, page arrays, figures) on a stack of our own: the caller's may be a
// handler's or a coroutine's, of which a call natively takes some bytes. One stack serves the process, since these
// steps hold the engine lock, with every signal blocked: nothing interrupts them, nothing forks in them, and a vfork
// child does nothing there.
#ifndef PS_OWN_STACK_H
#define PS_OWN_STACK_H

#include <stddef.h>
#include <stdint.h>

// Calls `function(argument)` on [stack, stack + size), 16-byte aligned. Engine lock held.
void ps_on_own_stack(void *_Nonnull stack, size_t size, void (*_Nonnull function)(void *_Nonnull),
                     void *_Nonnull argument);

#endif
