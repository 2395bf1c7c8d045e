// Calls that close a descriptor or make its number mean something else.
//
// Forgotten twice. Before the kernel call, because a window pins the struct file: locks, leases, ETXTBSY and the space
// of an unlinked file would outlive the close. After it, because a thread that was in a data call on the same number
// may have learnt it again in between. Both only forget, so doing it too often, or in a vfork child, costs time only.
#include "face.h"

#include "descriptors.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

extern int __fcntl(int fd, int command, ...);

PS_ENTRY int close(int fd)
{
    ps_engine_evict(fd);
    int result = NEXT(close)(fd);
    ps_engine_evict(fd);
    return result;
}
PS_ALIAS(__close, close);

void ps_before_close_range(unsigned first, unsigned last, int flags)
{
    // The calling thread alone gets a table of its own; its fellows keep the old one, and what either closes from now
    // on is still open in the other. With no fellows nothing is unshared.
    if ((flags & CLOSE_RANGE_UNSHARE) && !ps_single_threaded())
        ps_before_unshare(CLONE_FILES);
    if (!(flags & CLOSE_RANGE_CLOEXEC)) // else it closes nothing
        ps_engine_evict_range(first, last);
}

PS_ENTRY int close_range(unsigned first, unsigned last, int flags)
{
    ps_before_close_range(first, last, flags);
    int result = NEXT(close_range)(first, last, flags);
    if (!(flags & CLOSE_RANGE_CLOEXEC))
        ps_engine_evict_range(first, last);
    return result;
}

PS_ENTRY void closefrom(int lowest)
{
    unsigned first = lowest < 0 ? 0 : (unsigned)lowest;
    ps_engine_evict_range(first, ~0u);
    NEXT(closefrom)(lowest);
    ps_engine_evict_range(first, ~0u);
}

PS_ENTRY int dup2(int old, int new)
{
    if (old == new) // it only says whether the number is open
        return NEXT(dup2)(old, new);
    ps_engine_bar(new);
    int result = NEXT(dup2)(old, new);
    ps_engine_evict(new);
    return result;
}
PS_ALIAS(__dup2, dup2);

PS_ENTRY int dup3(int old, int new, int flags)
{
    ps_engine_bar(new);
    int result = NEXT(dup3)(old, new, flags);
    ps_engine_evict(new);
    return result;
}

// Duplicates share the flags, and so do other processes' (whose caches these flags change behind: docs/limitations.md).
bool ps_changes_flags(int fd, int command, long argument)
{
    return command == F_SETFL && ps_engine_changes_flags(fd, (int)argument);
}

PS_ENTRY int fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long); // an int, a pointer or nothing: passed on as it came
    va_end(list);
    bool changes = ps_changes_flags(fd, command, argument);
    int result = NEXT(fcntl)(fd, command, argument);
    if (changes)
        ps_engine_evict_all();
    else if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        ps_fresh(result);
    return result;
}
PS_ALIAS(__fcntl, fcntl);
PS_ALIAS(fcntl64, fcntl);

PS_ENTRY int mq_close(mqd_t queue)
{
    ps_engine_evict(queue);
    int result = NEXT(mq_close)(queue);
    ps_engine_evict(queue);
    return result;
}

PS_ENTRY int daemon(int keep_directory, int keep_standard)
{
    // In the child that goes on the cache is empty; only a libc without fork inside would leave stale numbers.
    int result = NEXT(daemon)(keep_directory, keep_standard);
    ps_engine_evict_range(0, 2);
    return result;
}
