// What every file of the C face shares. Included first: it sets the feature macros.
//
// An entry point decides "ours?" by asking the engine, and otherwise runs the next libc symbol, unchanged. Rules:
// - errno is untouched by a success, and by everything we do after the kernel has answered.
// - What is served is a cancellation point as the call itself is: tested before the engine is asked, since a call
//   that is cancelled must have had no effect. What is passed on is libc's own cancellation point.
// - Nothing here allocates, locks or enters a runtime: any of these calls may come from a signal handler, from inside
//   malloc, from a constructor that runs before ours, or from a vfork child that shares our memory.
#ifndef PS_FACE_H
#define PS_FACE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#undef _FORTIFY_SOURCE // its inline wrappers would stand in our way: we define the functions themselves

#include <errno.h>
#include <fcntl.h>
#include <features.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "next.h"
#include "ps_engine.h"
#include "ps_fetch.h"
#include "ps_hot.h"
#include "ps_libc.h"
#include "ps_sys.h"
#include "ps_thread.h"

// Exported. The version script says the same; this is for builds that hide everything by default.
#define PS_ENTRY __attribute__((visibility("default")))
// `name` is `base` by another name: same code, and the next symbol of `base`.
#define PS_ALIAS(name, base) extern __typeof__(base) name __attribute__((alias(#base), visibility("default")))

// libc's headers promise a pointer to be non-null, where libc or the kernel checks it all the same; then so must we,
// and the compiler must not take the promise for a proof.
#define PS_UNPROMISED(pointer) __asm__("" : "+r"(pointer))

// An engine result as libc returns it.
static inline int64_t ps_result(int64_t result)
{
    if (__builtin_expect(result < 0, 0)) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

// A data call that the engine is not even asked about.
static inline int64_t ps_pass_on(void)
{
    ps_thread_current()->pending = PS_PENDING_NOTHING;
    return PS_PASS_ON;
}

// The kernel has answered a data call that was passed on: the engine hears of it if it wants to. Usually it does not,
// and this is two compares: user code is slow after a system call, whose way back leaves predictors and caches cold.
static inline int64_t ps_passed_on(int fd, enum ps_family family, int64_t result)
{
    const struct ps_thread *thread = ps_thread_current();
    if (__builtin_expect(thread->pending == PS_PENDING_NOTHING
                             || (thread->pending == PS_PENDING_SHORT && thread->pending_count == result), 1))
        return result;
    int saved = errno;
    ps_engine_passed_on(fd, family, result < 0 ? -saved : result);
    errno = saved;
    return result;
}

// A number has been returned by a call that opened something: whatever we knew of it is stale. The caller's result.
static inline int ps_fresh(int fd)
{
    if (fd >= 0)
        ps_engine_evict(fd);
    return fd;
}

// What a call that changes a file's size or holes is asked for, bytes.
struct ps_resize {
    int64_t from, to; // it may have made holes of these
    // Once it is done the file has `size` bytes, or, not `is_exact`, at least that many, and from `start` on no hole.
    // -1: only the kernel knows.
    int64_t start, size;
    bool is_exact;
};
static inline struct ps_resize ps_truncation(int64_t length)
{
    return (struct ps_resize){length, INT64_MAX, 0, length, true};
}
static inline struct ps_resize ps_allocation(int mode, int64_t offset, int64_t length)
{
    int64_t end;
    if (__builtin_add_overflow(offset, length, &end))
        end = INT64_MAX;
    if (mode == 0)
        return (struct ps_resize){0, 0, offset, end, false};
    if (mode == FALLOC_FL_KEEP_SIZE)
        return (struct ps_resize){0, 0, 0, 0, false};
    // All but punching may move what lies behind.
    if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
        end = INT64_MAX;
    return (struct ps_resize){offset, end, 0, -1, false};
}
// After such a call. `is_done`: it has done what it was asked for; else nobody knows: a fallocate that fails may have
// done part of its work.
static inline void ps_resized(int fd, bool is_done, struct ps_resize resize)
{
    ps_engine_count(fd, PS_FAMILY_RESIZE);
    if (!is_done || resize.size < 0 || !ps_engine_resized_to(fd, resize.start, resize.size, resize.is_exact))
        ps_engine_emptied(fd, resize.from, resize.to);
}

// The same for calls that put numbers where the caller said. Another thread may have taken that memory away since: then
// all numbers are forgotten.
static inline void ps_fresh_at(const int *numbers, int count)
{
    for (int i = 0; i < count; i++) {
        int fd;
        if (!ps_fetch_again(&fd, &numbers[i], sizeof fd))
            return ps_engine_evict_all();
        ps_fresh(fd);
    }
}

static inline int ps_fresh_pair(int result, const int pair[2])
{
    if (result == 0)
        ps_fresh_at(pair, 2);
    return result;
}

#endif
