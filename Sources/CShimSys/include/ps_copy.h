// Guarded copies: the only code of ours that touches pages which may vanish (windows) or be bad (the app's buffers).
//
// A SIGBUS or SIGSEGV whose instruction pointer lies in [ps_guard_begin, ps_guard_end) is resumed by the signal
// handler (ps_signals.h) at ps_guard_exit, which returns 1 to the caller. The code between uses caller-saved
// registers only and never the stack, so that exit is right at every instruction of it. A copy that faulted may have
// moved any part of its bytes; the caller lets the kernel do the whole call again.
#ifndef PS_COPY_H
#define PS_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char ps_guard_begin[] __attribute__((visibility("hidden")));
extern const char ps_guard_end[] __attribute__((visibility("hidden")));
extern const char ps_guard_exit[] __attribute__((visibility("hidden")));

// 0: done; 1: faulted, or more than MAX_RW_COUNT (0x7ffff000) bytes, of which nothing is moved. Ordinary (cached)
// stores.
int ps_copy(void *_Nullable destination, const void *_Nullable source, size_t count);
// The same, and then loads the byte at `probe`: 1 as well if that faults.
int ps_copy_probed(void *_Nullable destination, const void *_Nullable source, size_t count, uintptr_t probe);
// The same as ps_copy with non-temporal stores and a closing sfence: when it has returned, another CPU that sees a
// later store sees these bytes, and on persistent memory the 64-byte lines it wrote whole have left the caches.
int ps_copy_through(void *_Nullable destination, const void *_Nullable source, size_t count);
// ps_copy where `stays_cached`, else ps_copy_through. One call for the caller, whose frame two would make larger.
int ps_copy_either(void *_Nullable destination, const void *_Nullable source, size_t count, bool stays_cached);
// Loads one byte: 0: it is there; 1: it faulted.
int ps_probe(uintptr_t address);

// Loads one byte of every page of [address, address + count) but the first: 0: they are there; 1: one faulted. The
// first page is for the copy itself to find out, whose first load comes before its first store. So a write whose buffer
// is bad on a later page changes nothing before the kernel is asked, and the kernel's own rule for such a write holds:
// most file systems keep the bytes before the bad page, btrfs keeps none.
static inline int ps_probe_rest(const void *_Nullable address, size_t count)
{
    uintptr_t end = (uintptr_t)address + count;
    for (uintptr_t at = ((uintptr_t)address | 4095) + 1; at < end; at += 4096)
        if (ps_probe(at) != 0)
            return 1;
    return 0;
}

// ---- persistent memory ----
// Writes the cache lines of [address, address + count) back, by the best instruction the CPU has (ps_copy_prepare), and
// fences: non-temporal stores made before it are durable as well. 0: done; 1: faulted.
int ps_flush(uintptr_t address, size_t count);
// Stores to a byte without changing it, atomically: makes a page of a window writable, which with MAP_SYNC makes what
// is needed to find it durable. 0: done; 1: faulted.
int ps_touch(uintptr_t address);

// Stores [source, source + count) by a single instruction, so that a process killed in the middle leaves all of it or
// nothing: lengths of ps_whole_lengths. 0: done; 1: faulted, or no such instruction.
// Bit n: n + 1 bytes. With AVX2 4 to 32 in steps of 4, with AVX-512 (BW, VL) 1 to 64; written once by ps_copy_prepare.
extern uint64_t ps_whole_lengths __attribute__((visibility("hidden")));
static inline __attribute__((always_inline)) int ps_stores_whole(size_t count)
{
    return count - 1 < 64 && (ps_whole_lengths >> (count - 1) & 1) != 0;
}
int ps_store_whole(void *_Nullable destination, const void *_Nullable source, size_t count);
// Non-temporal stores of whole 64-byte lines, without a fence. 0: done; 1: faulted.
int ps_copy_lines(void *_Nullable destination, const void *_Nullable source, size_t count);

// The caches are kept through a power loss (eADR): ps_flush is a fence from now on.
void ps_flush_nothing(void);

// One word of memory that other processes share, and that may vanish from below (its file cut short, its file system
// full): 8-byte aligned. 0: done; 1: faulted. A load is ordered before what follows it, a store after what precedes it.
int ps_soft_load(const uint64_t *_Nonnull word, uint64_t *_Nonnull value);
int ps_soft_store(uint64_t *_Nonnull word, uint64_t value);
// Compare and exchange. 0: `*word` was `*expected` and is `desired` now; 2: it was something else, which is in
// `*expected` now; 1: faulted.
int ps_soft_exchange(uint64_t *_Nonnull word, uint64_t *_Nonnull expected, uint64_t desired);

// Finds out which vector registers the CPU and the kernel offer. Until then the copies use what every x86-64 has.
void ps_copy_prepare(void);

#endif
