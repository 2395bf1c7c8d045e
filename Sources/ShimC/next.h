// The next definition of each name after ours, as dlsym(RTLD_NEXT) would find it: libc's, or another preload's.
#ifndef PS_NEXT_H
#define PS_NEXT_H

#include <stddef.h>

enum ps_next_slot {
#define FAMILY(family, about)
#define ENTRY(name, treatment, owes) PS_NEXT_##name,
#define ENTRY_SINCE(major, minor, name, treatment, owes) PS_NEXT_##name,
#define SYSTEM_CALL(name, treatment, owes)
#include "entry-points.def"
#undef FAMILY
#undef ENTRY
#undef ENTRY_SINCE
#undef SYSTEM_CALL
    PS_NEXT_COUNT
};

extern void *ps_next_slots[PS_NEXT_COUNT] __attribute__((visibility("hidden")));

// Looks the name up and fills its slot. Async-signal-safe, takes no lock, allocates nothing. Never NULL: for a name
// that nothing defines, a function that returns -1 with errno ENOSYS.
void *ps_next_find(enum ps_next_slot slot) __attribute__((visibility("hidden")));
// The same for functions that return a pointer: for a name that nothing defines, one that returns NULL.
void *ps_next_find_pointer(enum ps_next_slot slot);

static inline void *ps_next_load(enum ps_next_slot slot)
{
    // Relaxed: every thread that stores here stores the same value, and what it points to is mapped for good.
    return __atomic_load_n(&ps_next_slots[slot], __ATOMIC_RELAXED);
}
static inline void *ps_next(enum ps_next_slot slot)
{
    void *next = ps_next_load(slot);
    return __builtin_expect(next != NULL, 1) ? next : ps_next_find(slot);
}
static inline void *ps_next_pointer(enum ps_next_slot slot)
{
    void *next = ps_next_load(slot);
    return __builtin_expect(next != NULL, 1) ? next : ps_next_find_pointer(slot);
}

// NEXT(read)(fd, buffer, count). One load and a predictable branch.
#define NEXT(name) ((__typeof__(&name))ps_next(PS_NEXT_##name))
// For functions that return a pointer.
#define NEXT_POINTER(name) ((__typeof__(&name))ps_next_pointer(PS_NEXT_##name))

#endif
