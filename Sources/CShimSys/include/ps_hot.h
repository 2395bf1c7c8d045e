// What every call asks for: one cache line, and the state of the calling thread. What it is asked by, one instruction
// each, and how the copy is called.
#ifndef PS_HOT_H
#define PS_HOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ps_copy.h"

// ---- the hot line ----------------------------------------------------------------------------------------------

struct ps_hot {
    void *_Nullable root;
    void *_Nullable table; // the entries of descriptors, under the root
    uint32_t numbers; // descriptor numbers below this may have an entry; 0: no root, or the fast way is closed
    _Bool write_is_bare; // set by the face: the next write is libc's own
    const char *_Nonnull single_threaded; // libc's __libc_single_threaded; before the constructor, or without: a zero
} __attribute__((aligned(64)));
extern struct ps_hot ps_hot __attribute__((visibility("hidden")));

// False once the process has made a second thread through libc.
static inline _Bool ps_single_threaded(void) { return *ps_hot.single_threaded; }

// The arena of the engine; NULL: the shim is inactive (before the constructor, disabled, or no memory).
static inline void *_Nullable ps_root(void) { return __atomic_load_n(&ps_hot.root, __ATOMIC_ACQUIRE); }
static inline void ps_set_root(void *_Nonnull root, size_t table, uint32_t numbers)
{
    __atomic_store_n(&ps_hot.root, root, __ATOMIC_RELEASE);
    __atomic_store_n(&ps_hot.table, (char *)root + table, __ATOMIC_RELEASE);
    __atomic_store_n(&ps_hot.numbers, numbers, __ATOMIC_RELEASE);
}
// For good: the general way asks first whether the thread is to be cancelled.
static inline void ps_close_fast_way(void) { __atomic_store_n(&ps_hot.numbers, 0, __ATOMIC_SEQ_CST); }
// Whether there is a root, and an entry for `number` under it: both by one comparison.
static inline __attribute__((always_inline)) bool ps_has_entry(int number)
{
#if !__has_feature(thread_sanitizer)
    bool below;
    __asm__ volatile("cmpl %[at], %[value]"
                     : "=@ccb"(below)
                     : [at] "m"(ps_hot.numbers), [value] "r"(number)
                     : "memory");
    return below;
#else
    return (uint32_t)number < __atomic_load_n(&ps_hot.numbers, __ATOMIC_ACQUIRE);
#endif
}
// Where there is a root.
static inline void *_Nonnull ps_table(void)
{
    return (void *_Nonnull)__atomic_load_n(&ps_hot.table, __ATOMIC_RELAXED);
}
static inline _Bool ps_write_is_bare(void) { return __atomic_load_n(&ps_hot.write_is_bare, __ATOMIC_RELAXED); }
static inline void ps_set_write_is_bare(void) { __atomic_store_n(&ps_hot.write_is_bare, 1, __ATOMIC_RELAXED); }

// ---- the calling thread ----------------------------------------------------------------------------------------

// Initial-exec: one load relative to the thread pointer, never __tls_get_addr (which may allocate).
struct ps_thread {
    // Address of this thread's record in the arena, or 0. Survives fork while the record does not (WIPEONFORK): a
    // record whose thread id is 0 is to be claimed anew.
    uintptr_t record;
    // Set by the engine when it passes a data call on: what it wants to hear of the kernel's answer.
    uint32_t pending; // enum ps_pending
    // How many calls of this thread had been served when a read last passed on for the sake of the file's times.
    uint32_t served;
    // The bytes that were asked for; meaningful with PS_PENDING_SHORT.
    int64_t pending_count;
    // Where the call starts, or -1.
    int64_t pending_offset;
    // For a write: the coarse clock before the kernel was asked, ns; 0: not looked at.
    int64_t pending_tick;
    // What the thread had cost and won when its writes were last weighed (Engine+WriteFaults.swift): minor faults,
    // writes that were served, and the coarse clock, ns.
    uint32_t faults, writes;
    int64_t weighed;
    // Of the last read of a cold region: which file, and where it ended (Engine+Heat.swift).
    uintptr_t read_file;
    int64_t read_end;
};

extern __thread struct ps_thread ps_thread_state __attribute__((tls_model("initial-exec"), visibility("hidden")));
static inline struct ps_thread *_Nonnull ps_thread_current(void) { return &ps_thread_state; }

// ---- in the first page under the root, behind all that the engine has there ------------------------------------

// Where page arrays are mapped: PS_ROOT_REGIONS addresses of regions (uintptr_t, atomic; 0: none yet) of
// PS_ROOT_REGION_SIZE bytes, in pieces of 2 MiB.
#define PS_ROOT_REGION 3824
#define PS_ROOT_REGIONS 32
#define PS_ROOT_REGION_SIZE (8ul << 20)
#define PS_ROOT_REGION_PIECE (2ul << 20)
// Behind them: not 0 once a thread of this very memory has forked in a way that may share it; 0 again in every child
// with a memory of its own (uint32_t, atomic).
#define PS_ROOT_SHARED 4088
// Behind that word: the process that has done so first, to which the memory belongs (uint32_t, atomic); 0: none has.
static inline int ps_root_sharer(void)
{
    const char *root = (const char *)ps_root();
    return root ? (int)__atomic_load_n((const uint32_t *)(root + PS_ROOT_SHARED) + 1, __ATOMIC_RELAXED) : 0;
}

// ---- one instruction each --------------------------------------------------------------------------------------

// Keeps the compiler from moving the loads of a served call above the store that announces it. The CPU may still; the
// one who retires a window orders that with a barrier in all threads (membarrier) instead of a fence in every call.
static inline void ps_compiler_barrier(void) { __asm__ volatile("" ::: "memory"); }
// Whether the eight bytes at `at` are `value`, looked at once, here and now. The compiler keeps atomic loads apart from
// the comparison; as one instruction it takes one place of those the processor works on at once, and a served call
// that waits for memory is as fast as many of its kind fit there (docs/design.md).
static inline __attribute__((always_inline)) bool ps_is_still(const void *_Nonnull at, uint64_t value)
{
#if !__has_feature(thread_sanitizer) // which sees atomic loads only
    bool same;
    __asm__ volatile("cmpq %[value], %[at]"
                     : "=@cce"(same)
                     : [at] "m"(*(const uint64_t *)at), [value] "re"(value)
                     : "memory");
    return same;
#else
    return __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE) == value;
#endif
}
// Whether `value` is below the signed number at `at`, looked at once, for the same reason.
static inline __attribute__((always_inline)) bool ps_is_below(int64_t value, const void *_Nonnull at)
{
#if !__has_feature(thread_sanitizer)
    bool below;
    __asm__ volatile("cmpq %[at], %[value]"
                     : "=@ccl"(below)
                     : [at] "m"(*(const int64_t *)at), [value] "r"(value)
                     : "memory");
    return below;
#else
    return value < __atomic_load_n((const int64_t *)at, __ATOMIC_ACQUIRE);
#endif
}
// `value` and the number at `at`, looked at once and in this place, for the same reason.
static inline __attribute__((always_inline)) uintptr_t ps_plus(uintptr_t value, const void *_Nonnull at)
{
#if !__has_feature(thread_sanitizer)
    __asm__ volatile("addq %[at], %[value]"
                     : [value] "+r"(value)
                     : [at] "m"(*(const uintptr_t *)at)
                     : "memory", "cc");
    return value;
#else
    return value + __atomic_load_n((const uintptr_t *)at, __ATOMIC_ACQUIRE);
#endif
}
// The same address, kept in a register: used as often as it is here, working it out anew in every use costs more.
static inline __attribute__((always_inline)) void *_Nonnull ps_kept(void *_Nonnull address)
{
    __asm__("" : "+r"(address));
    return address;
}
// Counters in memory that other processes read. One writer at a time, or any number of them.
static inline void ps_raise(uintptr_t counter, uint64_t amount)
{
    uint64_t *at = (uint64_t *)counter;
    __atomic_store_n(at, __atomic_load_n(at, __ATOMIC_RELAXED) + amount, __ATOMIC_RELAXED);
}
static inline void ps_raise_together(uintptr_t counter, uint64_t amount)
{
    __atomic_fetch_add((uint64_t *)counter, amount, __ATOMIC_RELAXED);
}
static inline void ps_pause(void) { __asm__ volatile("pause"); }

// ---- the call down ---------------------------------------------------------------------------------------------

// ps_copy_probed, for a caller that is counted in instructions: the copy touches few registers, and what the caller has
// in the others it need not save (an ordinary call would make it). The compiler does not know that it is a call: where
// this is used there must be no red zone (Package.swift).
static inline __attribute__((always_inline)) int
ps_copy_probed_in_place(void *_Nullable destination, const void *_Nullable source, size_t count, uintptr_t probe)
{
#ifdef PS_CHECKED_COPIES // C, with a C function's registers
    return ps_copy_probed(destination, source, count, probe);
#else
    int faulted;
    __asm__ volatile("call ps_copy_probed"
                     : "=a"(faulted), "+c"(probe)
                     : "D"(destination), "S"(source), "d"(count)
                     : "r8", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "memory", "cc");
    return faulted;
#endif
}

#endif
