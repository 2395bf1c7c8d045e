// libc's signal sets as the kernel's 64 bits.
#ifndef PS_MASKS_H
#define PS_MASKS_H

#include "ps_fetch.h"
#include "ps_signals.h"

static inline bool ps_is_ours(int number) { return number == SIGBUS || number == SIGSEGV; }

static inline uint64_t ps_bits_of(const sigset_t *set) { return set->__val[0]; }
// Writes the kernel's part only, as the kernel would: the rest of the set is libc's and may not be ours to touch.
static inline void ps_set_bits(sigset_t *set, uint64_t bits) { set->__val[0] = bits; }

// The same on the application's sets, which may be bad memory: false.
static inline bool ps_fetch_set(uint64_t *bits, const void *set) { return ps_fetch(bits, set, sizeof *bits); }
static inline bool ps_put_set(void *set, uint64_t bits) { return ps_put(set, &bits, sizeof bits); }

// contexts.c
void ps_after_sigaltstack(void);

#endif
