// libc's signal sets as the kernel's 64 bits.
#ifndef PS_MASKS_H
#define PS_MASKS_H

#include "ps_signals.h"

static inline bool ps_is_ours(int number) { return number == SIGBUS || number == SIGSEGV; }

static inline uint64_t ps_bits_of(const sigset_t *set) { return set->__val[0]; }
// Writes the kernel's part only, as the kernel would: the rest of the set is libc's and may not be ours to touch.
static inline void ps_set_bits(sigset_t *set, uint64_t bits) { set->__val[0] = bits; }

#endif
