// The application's own shared mappings of DAX files: which of them msync may flush from here, and which files are
// stored to by ways that no call of ours sees.
//
// Plain memory, not the arena: a forked child has its parent's mappings. Everything here is a handful of atomic words;
// nothing waits. What an application unmaps by a bare instruction stays noted: docs/limitations.md.
#ifndef PS_MAPPINGS_H
#define PS_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Flushed from here at most; above it the kernel knows better which pages are dirty.
#define PS_MOST_FLUSHED 65536

__attribute__((visibility("hidden"))) extern uint32_t ps_mappings_noted;

// [address, address + length) has been mapped with MAP_SYNC, and its first `durable` bytes lay in whole pages of the
// file then. `statistics`: the mount's index for ps_engine_count_msync.
__attribute__((visibility("hidden"))) void ps_mapping_note(void *address, size_t length, size_t durable,
                                                           int statistics);
// Before something else may come to lie there.
__attribute__((visibility("hidden"))) void ps_mapping_forget_noted(const void *address, size_t length);
static inline void ps_mapping_forget(const void *address, size_t length)
{
    if (__builtin_expect(__atomic_load_n(&ps_mappings_noted, __ATOMIC_RELAXED) != 0, 0))
        ps_mapping_forget_noted(address, length);
}

// msync(address, length, MS_SYNC): true: done, all of it is durable. False: the kernel's.
__attribute__((visibility("hidden"))) bool ps_mapping_flushed(const void *address, size_t length);

#endif
