// System calls by number: those of the table do here what their libc entry does, around libc's syscall().
//
// All others jump to libc's syscall with registers and stack as they came: clone with a new stack must not return
// through a frame of ours, and a caller that gave fewer than six arguments has something else where the sixth would be.
#include "numbers.h"

#include "copies.h"
#include "descriptors.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

PS_ENTRY entry ps_entry_syscall __asm__("syscall");
__attribute__((visibility("hidden"))) entry ps_syscall_handle, ps_call_forks;

PS_CALL(unchanged) { return PASS_ON; }

// ---- descriptors -----------------------------------------------------------------------------------------------

PS_CALL(close)
{
    ps_engine_evict((int)a);
    return PASS_ON_AND(ps_engine_evict((int)a));
}

PS_CALL(close_range)
{
    ps_before_close_range((unsigned)a, (unsigned)b, (int)c);
    if ((unsigned)c & (1u << 2)) // CLOSE_RANGE_CLOEXEC closes nothing
        return PASS_ON;
    return PASS_ON_AND(ps_engine_evict_range((unsigned)a, (unsigned)b));
}

PS_CALL(dup2)
{
    if ((int)a == (int)b) // it only says whether the number is open, or that this is an error
        return PASS_ON;
    ps_engine_bar((int)b);
    return PASS_ON_AND(ps_engine_evict((int)b));
}

PS_CALL(fcntl)
{
    const bool changes = ps_changes_flags((int)a, (int)b, c);
    if (changes)
        return PASS_ON_AND(ps_engine_evict_all());
    return (int)b == F_DUPFD || (int)b == F_DUPFD_CLOEXEC ? PASS_ON_AND(ps_fresh((int)result)) : PASS_ON;
}

PS_CALL(returns_number) { return PASS_ON_AND(ps_fresh((int)result)); }

// O_TRUNC may have shortened a file that another of our descriptors knows.
static void opened(int fd, long flags)
{
    if (ps_fresh(fd) >= 0 && (flags & O_TRUNC))
        ps_engine_emptied(fd, 0, INT64_MAX);
}

PS_CALL(open) { return PASS_ON_AND(opened((int)result, b)); }

PS_CALL(openat) { return PASS_ON_AND(opened((int)result, c)); }

PS_CALL(creat) { return PASS_ON_AND(opened((int)result, O_TRUNC)); }

PS_CALL(pipe) { return PASS_ON_AND(ps_fresh_pair((int)result, (const int *)a)); }

PS_CALL(socketpair) { return PASS_ON_AND(ps_fresh_pair((int)result, (const int *)d)); }

PS_CALL(recvmsg) { return PASS_ON_AND(ps_received(result, (const struct msghdr *)b)); }

PS_CALL(recvmmsg) { return PASS_ON_AND(ps_received_many(result, (const struct mmsghdr *)b)); }

// ---- sizes and holes -------------------------------------------------------------------------------------------

PS_CALL(ftruncate) { return PASS_ON_AND(ps_resized((int)a, result == 0, ps_truncation(b))); }

PS_CALL(fallocate) { return PASS_ON_AND(ps_resized((int)a, result == 0, ps_allocation((int)b, c, d))); }

PS_CALL(truncate)
{
    return PASS_ON_AND(if (result == 0) ps_engine_resized_path((const char *)a));
}

PS_CALL(copy_file_range)
{
    return ps_copy_inside(&(struct ps_copy_call){PS_COPY_RANGE, (int)a, (int)c, (off64_t *)b, (off64_t *)d, (size_t)e,
                                                 (unsigned)f});
}

PS_CALL(sendfile)
{
    return ps_copy_inside(&(struct ps_copy_call){PS_COPY_SENDFILE, (int)b, (int)a, (off64_t *)c, NULL, (size_t)d, 0});
}

PS_CALL(splice)
{
    return ps_copy_inside(&(struct ps_copy_call){PS_COPY_SPLICE, (int)a, (int)c, (off64_t *)b, (off64_t *)d, (size_t)e,
                                                 (unsigned)f});
}

// ---- giving way ------------------------------------------------------------------------------------------------

PS_CALL(mlockall)
{
    ps_before_mlockall();
    return PASS_ON_AND(ps_after_mlockall(result));
}

PS_CALL(munlockall) { return PASS_ON_AND(ps_after_munlockall(result)); }

PS_CALL(prctl)
{
    ps_before_prctl((int)a, (unsigned long)b);
    return PASS_ON;
}

PS_CALL(seccomp)
{
    ps_before_seccomp((unsigned)a);
    return PASS_ON;
}

PS_CALL(setrlimit) { return PASS_ON_AND(ps_after_limit(0, (int)a, (const void *)b)); }

PS_CALL(prlimit) { return PASS_ON_AND(ps_after_limit((int)a, (int)b, (const void *)c)); }

PS_CALL(unshare)
{
    ps_before_unshare((int)a);
    return PASS_ON;
}

// A ring closes and opens numbers in this process, and no call of ours tells which.
PS_CALL(io_uring_setup)
{
    return PASS_ON_AND(if (ps_fresh((int)result) >= 0) ps_engine_give_way(PS_GIVE_WAY_UNSHARE_FILES));
}

// What a child made by number will share with us. In the arguments of clone3 the flags come first; if they cannot be
// read, the kernel makes no child. Not the whole call: that is the jump of ps_entry_syscall, behind this.
PS_CALL(forks)
{
    uint64_t flags;
    if (number == SYS_vfork)
        ps_before_clone(CLONE_VM | CLONE_VFORK);
    else if (number == SYS_clone)
        ps_before_clone((unsigned long)a);
    else if (ps_fetch(&flags, (const void *)a, sizeof flags))
        ps_before_clone(flags);
    return 0;
}

// ---- the table -------------------------------------------------------------------------------------------------

enum {
    HANDLED = 1,
    FORKS = 2,
    KIND_SERVE = HANDLED,
    KIND_SYNC = HANDLED,
    KIND_COUNT = HANDLED,
    KIND_CLOSE = HANDLED,
    KIND_NEW = HANDLED,
    KIND_FLAGS = HANDLED,
    KIND_RESIZE = HANDLED,
    KIND_SIGNAL = HANDLED,
    KIND_GIVE_WAY = HANDLED,
    KIND_FORK = FORKS,
};

#define FAMILY(family, about)
#define ENTRY(name, treatment, owes)
#define ENTRY_SINCE(major, minor, name, treatment, owes)

#define SYSTEM_CALL(name, treatment, how, owes) [SYS_##name] = KIND_##treatment,
extern const uint8_t ps_syscall_numbers[512] __attribute__((visibility("hidden")));
const uint8_t ps_syscall_numbers[512] = {
#include "entry-points.def"
};
#undef SYSTEM_CALL

// A row whose function is missing does not compile.
#define SYSTEM_CALL(name, treatment, how, owes)                                                                        \
    case SYS_##name:                                                                                                   \
        if (KIND_##treatment == HANDLED)                                                                               \
            __attribute__((musttail)) return ps_call_##how(number, a, b, c, d, e, f);                                  \
        break;
long ps_syscall_handle(long number, long a, long b, long c, long d, long e, long f)
{
    switch (number) {
#include "entry-points.def"
    }
    __attribute__((musttail)) return ps_call_unchanged(number, a, b, c, d, e, f); // not met: only what is HANDLED comes
}

// A jump, whatever the compiler's settings. The kernel takes the lower half of the number, whatever the upper one says.
__attribute__((naked, PS_UNCOUNTED)) long ps_entry_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    __asm__("cmpl $511, %%edi\n\t"
            "ja 2f\n\t"
            "movl %%edi, %%edi\n\t"
            "leaq ps_syscall_numbers(%%rip), %%rax\n\t"
            "cmpb $1, (%%rax,%%rdi)\n\t" // HANDLED
            "je ps_syscall_handle\n\t"
            "jb 2f\n\t" // else FORKS
            PS_CALL_ASIDE("call ps_call_forks\n\t") "\n"
            "2:\t" PS_JUMP_TO_NEXT ::PS_NEXT_OPERANDS(PS_NEXT_syscall));
}
