// The application's memory, of which nothing is known: read and written as the kernel does it in a system call.
//
// A pointer that is bad gives EFAULT natively, or SIGSEGV inside libc; so nothing of ours may touch what it points to
// before the kernel, or libc, has. Where the fetch fails, the call passes on as it came, and the native answer is
// right by construction. Async-signal-safe, errno untouched.
#ifndef PS_FETCH_H
#define PS_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Reads [from, from + count) of the application's memory into our own. False: some of it cannot be read.
//
// By a guarded copy where this thread may copy; else by the kernel, in one system call (process_vm_readv: a process
// may always do that to itself, whatever ptrace rules are in force). Under a filter that refuses it, or that the
// program has set itself, the kernel is asked whether the memory is there, and then it is read plainly.
bool ps_fetch(void *_Nonnull to, const void *_Nullable from, size_t count);
// Writes [from, from + count) into the application's memory; `count` is a multiple of eight. False: some of it cannot
// be written; what could may have been.
bool ps_put(void *_Nullable to, const void *_Nonnull from, size_t count);

// The same as ps_fetch, of memory that the kernel or libc has just looked at in the same call: another thread may have
// taken it away since, but nothing is paid for that where this thread's mask is not known to allow the guarded copy.
bool ps_fetch_again(void *_Nonnull to, const void *_Nullable from, size_t count);

// The same as ps_fetch, of memory whose contents may be uninitialised: memcheck finds the result defined. For threads
// that may copy.
bool ps_fetch_stack(void *_Nonnull to, uintptr_t from, size_t count);

#endif
