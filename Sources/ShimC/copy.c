// Copies inside the kernel. Their bytes are seen through every window at once; the written file may have grown.
//
// Natively they exclude other writers of the inode, a piece at a time. A served write holds no lock of the kernel's, so
// beside one they mix (measured: copy_file_range in 20 of 4,000 pairs, sendfile in 5): they are alone in the stripes of
// the file they write to, all of them, for as long as they take. A writer that waits too long lets the kernel do its
// call.
#include "face.h"

#include "copies.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

static ssize_t kernel_copies(const struct ps_copy_call *call)
{
    switch (call->kind) {
    case PS_COPY_RANGE:
        return NEXT(copy_file_range)(call->from, call->from_offset, call->to, call->to_offset, call->length,
                                     call->flags);
    case PS_COPY_SENDFILE: return NEXT(sendfile)(call->to, call->from, call->from_offset, call->length);
    case PS_COPY_SPLICE:
        return NEXT(splice)(call->from, call->from_offset, call->to, call->to_offset, call->length, call->flags);
    }
    __builtin_unreachable();
}

// splice() waits for the first bytes of an empty pipe without a lock of the file's. So do we, before the stripes are
// taken. A signal ends the wait: what is due then, libc's own call does.
static void await_pipe(int from, unsigned flags)
{
    int ready = 0;
    long status = ps_sys_status_flags(from);
    if ((flags & SPLICE_F_NONBLOCK) || status < 0 || (status & O_NONBLOCK)
        || ps_sys_call3(SYS_ioctl, from, FIONREAD, (long)&ready) < 0 || ready > 0)
        return;
    struct pollfd entry = {.fd = from, .events = POLLIN};
    ps_sys_call3(SYS_poll, (long)&entry, 1, -1);
}

// A function of its own, called by one of ours: that the copy goes on is known by its frame (ps_frame_may_live).
static __attribute__((noinline)) ssize_t copy_alone(const struct ps_copy_call *call)
{
    struct ps_alone alone;
    ps_engine_begin_copy(call->to, ps_frame(), &alone);
    ssize_t result = kernel_copies(call);
    int saved = errno;
    ps_engine_end_copy(&alone);
    errno = saved;
    return result;
}

__attribute__((disable_tail_calls)) ssize_t ps_copy_inside(const struct ps_copy_call *call)
{
    ssize_t result;
    if (ps_engine_must_be_alone(call->to)) {
        if (call->kind == PS_COPY_SPLICE)
            await_pipe(call->from, call->flags);
        result = copy_alone(call);
    } else {
        result = kernel_copies(call);
    }
    int saved = errno;
    ps_engine_count(call->from, PS_FAMILY_COPY);
    ps_engine_count(call->to, PS_FAMILY_COPY);
    if (result > 0)
        ps_engine_resized(call->to);
    errno = saved;
    return result;
}

PS_ENTRY ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length,
                                 unsigned flags)
{
    return ps_copy_inside(&(struct ps_copy_call){PS_COPY_RANGE, from, to, from_offset, to_offset, length, flags});
}

PS_ENTRY ssize_t sendfile(int to, int from, off_t *offset, size_t count)
{
    return ps_copy_inside(&(struct ps_copy_call){PS_COPY_SENDFILE, from, to, offset, NULL, count, 0});
}
PS_ALIAS(sendfile64, sendfile);

PS_ENTRY ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags)
{
    return ps_copy_inside(&(struct ps_copy_call){PS_COPY_SPLICE, from, to, from_offset, to_offset, length, flags});
}
