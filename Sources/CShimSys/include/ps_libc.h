// The C library that we run in, and the little that we use of it. Found by ourselves (ps_elf.h) instead of imported: an
// import with a version keeps a program from starting where libc lacks it (musl, older glibcs), and any object that
// comes before libc may define the name.
//
// Only glibc is known. In another libc nothing is prepared and nothing served: our entries then do nothing but go on to
// that libc's own functions, and look into none of its structures.
#ifndef PS_LIBC_H
#define PS_LIBC_H

#include "ps_hot.h"

#include <stdbool.h>

struct link_map;

// Whether it is glibc. Looked at once; async-signal-safe, as all of this.
bool ps_libc_is_known(void);

// glibc's own function of that name; NULL: it has none. Before 2.34 some are in libraries beside it, which may not be
// there, or come later.
void *_Nullable ps_libc_function(const char *_Nonnull name);
// Whether `function` is glibc's, by that name.
bool ps_libc_defines(const char *_Nonnull name, const void *_Nonnull function);
// Whether the object is glibc, or one of those libraries.
bool ps_libc_is_part(const struct link_map *_Nonnull map);

// Whether that object needs one of them.
bool ps_libc_is_needed_by(const struct link_map *_Nonnull map);

// Once, from the constructor: what the rest of the program may know of threads (ps_single_threaded).
void ps_libc_prepare(void);
// environ(7) as libc has it, wherever the linker has put it; NULL: not found.
char *_Nullable *_Nullable ps_libc_environment(void);

// pthread_testcancel(3). Does not return in a thread that is cancelled.
extern void (*_Nonnull ps_libc_test_cancel)(void) __attribute__((visibility("hidden")));
// What a call that is a cancellation point begins with. There may be something to do once a second thread exists or
// pthread_cancel has been called; pthread_testcancel costs a call.
static inline void ps_cancellation_point(void)
{
    if (__builtin_expect(!ps_single_threaded(), 0))
        ps_libc_test_cancel();
}
// The thread id that libc has noted for the thread state we run on: at pthread_create, and in the child of fork; not in
// that of vfork. -1: not known.
int ps_libc_noted_thread(void);

#endif
