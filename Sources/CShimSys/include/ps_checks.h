// The engine's checks of its own tables, in a build with PMEMSHIM_CHECKS (docs/testing.md); in others nothing calls
// them, and there is no such function.
#ifndef PS_CHECKS_H
#define PS_CHECKS_H

// Looks at the tables of `arena`, whose lock the calling thread is about to give back. Where something does not hold
// that must, a line on standard error says what, and the process ends. In C because the lock is at the bottom of the
// engine, and what is checked lies above it.
void ps_engine_check(void *_Nonnull arena) __attribute__((swift_name("engineCheck(arena:)")));

// Ends the process by a signal that nobody handles, since the caller has all signals blocked.
static inline _Noreturn void ps_trap(void) { __builtin_trap(); }

#endif
