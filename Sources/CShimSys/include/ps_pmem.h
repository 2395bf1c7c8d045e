// Persistent memory: how bytes stored into a window become durable. By libpmem where it is there, else by instructions
// of our own (ps_copy.h).
//
// libpmem.so.1 is loaded by dlopen, in the constructor, and only when some file system is mounted with DAX: linked, it
// would come into every process. It chooses the instructions that flush and fence, and knows the machines whose caches
// are kept through a power loss. Its copy is not used: ours takes a third fewer instructions for 4 KiB (789 against
// 1,116 for a whole pwrite), and what it stores past the caches needs the fence only.
//
// Its functions touch pages that may vanish, as our own copies do, but their code is not ours: they are called by
// ps_call_guarded, which notes its frame. A SIGBUS or SIGSEGV in libpmem's code below that frame resumes behind the
// call with the registers that the frame holds. They are leaves: they hold no lock and leave nothing half done that
// matters.
#ifndef PS_PMEM_H
#define PS_PMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ps_copy.h"

struct ps_pmem {
    // pmem_flush(3) and pmem_drain(3); NULL: no libpmem.
    void (*_Nullable flush)(const void *_Nullable address, size_t count);
    void (*_Nullable drain)(void);
    // Only a libpmem that records has it: told of what our copies have stored past the caches.
    void (*_Nullable stored)(const void *_Nullable address, size_t count);
    uintptr_t begin, end; // its code
};

// Written once, by the constructor.
extern struct ps_pmem ps_pmem __attribute__((visibility("hidden")));

// Whether a file system may be mounted with DAX: one look at /sys, and where there is such a device, at
// /proc/self/mountinfo. Async-signal-safe.
bool ps_pmem_is_mounted(void);

// `function`(a, b, c, d): 0: it has returned; 1: it has faulted.
int ps_call_guarded(const void *_Nonnull function, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d);
extern const char ps_call_returned[] __attribute__((visibility("hidden")));
extern const char ps_call_exit[] __attribute__((visibility("hidden")));
// The innermost such call of this thread, its stack pointer; 0: none. One that a handler has jumped out of stays here
// until the next: see ps_call_resumes.
extern __thread uintptr_t ps_call_frame __attribute__((tls_model("initial-exec"), visibility("hidden")));

// For the signal handler: whether code at `at`, with that stack pointer, is in a guarded call.
static inline bool ps_call_resumes(uintptr_t at, uintptr_t stack)
{
    const uintptr_t frame = ps_call_frame;
    // A frame that was jumped out of has another return address below it, or none, once the stack has been used again.
    return frame != 0 && at >= ps_pmem.begin && at < ps_pmem.end && stack < frame && frame - stack < 65536
           && *(const uintptr_t *)(frame - sizeof(uintptr_t)) == (uintptr_t)ps_call_returned;
}

// ---- for the engine ----

// Makes durable what lies in [address, address + count) and was stored before, and all that was stored past the caches.
// 1: it faulted.
static inline int ps_flush_durably(uintptr_t address, size_t count)
{
    if (ps_pmem.flush == NULL)
        return ps_flush(address, count);
    int faulted = count ? ps_call_guarded((const void *)ps_pmem.flush, address, count, 0, 0) : 0;
    ps_pmem.drain();
    return faulted;
}

// Copies into a window; when it has returned 0, all bytes are durable. 1: it faulted.
static inline int ps_copy_durably(void *_Nullable destination, const void *_Nullable source, size_t count)
{
    char *to = (char *)destination;
    const char *from = (const char *)source;
    if (count < 256)
        return ps_copy(to, from, count) | ps_flush_durably((uintptr_t)to, count);
    // Lines that are written in part go through the caches; the fence of the last flush is for all.
    size_t head = -(uintptr_t)to & 63, lines = (count - head) & ~(size_t)63, tail = count - head - lines;
    int faulted = 0;
    if (head)
        faulted = ps_copy(to, from, head) | ps_flush_durably((uintptr_t)to, head);
    faulted |= ps_copy_lines(to + head, from + head, lines);
    if (__builtin_expect(ps_pmem.stored != NULL, 0) && !faulted)
        ps_pmem.stored(to + head, lines);
    if (tail)
        faulted |= ps_copy(to + head + lines, from + head + lines, tail);
    return faulted | ps_flush_durably((uintptr_t)to + head + lines, tail);
}
// The same for short ones, whole or not at all, whoever is killed: 1 as well for lengths that this cannot be done for.
static inline int ps_store_durably(void *_Nullable destination, const void *_Nullable source, size_t count)
{
    return ps_store_whole(destination, source, count) || ps_flush_durably((uintptr_t)destination, count);
}

#endif
