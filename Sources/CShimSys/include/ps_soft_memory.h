// Memory of ours that a file of ours backs, and that may therefore vanish from below: the file is cut short, or its
// file system has no room for a page that was taken away. A load or store there raises SIGBUS. The handler of
// ps_signals.h then puts anonymous memory in place of the whole range, and the instruction goes on: what was counted is
// lost, nothing else.
//
// That is done for a process's record of figures as a whole, and for page arrays one by one.
//
// To be touched only by threads that may copy (ThreadRecord.ready): elsewhere the handler may not stand, or SIGBUS may
// be blocked, which makes the kernel end the process.
#ifndef PS_SOFT_MEMORY_H
#define PS_SOFT_MEMORY_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Names the range there is from now on, in place of any before. Called with the engine lock held, or in a test.
void ps_soft_memory_set(uintptr_t begin, size_t length);
// Called by the handler. True: the fault lay in the range, and the instruction may be done again.
bool ps_soft_memory_heals(int number, const siginfo_t *_Nonnull details);

#endif
