// System calls by number: those of the table do here what their libc entry does, around libc's syscall().
//
// All others jump to libc's syscall with registers and stack as they came: clone with a new stack must not return
// through a frame of ours, and a caller that gave fewer than six arguments has something else where the sixth would be.
#include "face.h"

#include "copies.h"
#include "descriptors.h"
#include "mappings.h"
#include "syscall_signals.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

PS_ENTRY entry ps_entry_syscall __asm__("syscall");
__attribute__((visibility("hidden"))) entry ps_syscall_handle;

enum { HANDLED = 1, FORKS = 2 };
enum {
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

extern const uint8_t ps_syscall_numbers[512] __attribute__((visibility("hidden")));
const uint8_t ps_syscall_numbers[512] = {
#define FAMILY(family, about)
#define ENTRY(name, treatment, owes)
#define ENTRY_SINCE(major, minor, name, treatment, owes)
#define SYSTEM_CALL(name, treatment, owes) [SYS_##name] = KIND_##treatment,
#include "entry-points.def"
};

static int64_t serve(long number, long a, long b, long c, long d, long e)
{
    int fd = (int)a;
    const struct iovec *vector = (const void *)b;
    // Offsets of the vector forms come in two halves, of which x86-64 uses the first.
    switch (number) {
    case SYS_read: return ps_engine_read(fd, (void *)b, (size_t)c);
    case SYS_pread64: return ps_engine_slow_pread(fd, (void *)b, (size_t)c, d);
    case SYS_readv: return ps_engine_readv(fd, vector, (int)c, -1, 0, false);
    case SYS_preadv: return d < 0 ? ps_pass_on() : ps_engine_readv(fd, vector, (int)c, d, 0, true);
    case SYS_preadv2: return ps_engine_readv(fd, vector, (int)c, d, (int)e, d != -1);
    case SYS_write: return ps_engine_write(fd, (const void *)b, (size_t)c);
    case SYS_pwrite64: return ps_engine_pwrite(fd, (const void *)b, (size_t)c, d);
    case SYS_writev: return ps_engine_writev(fd, vector, (int)c, -1, 0, false);
    case SYS_pwritev: return d < 0 ? ps_pass_on() : ps_engine_writev(fd, vector, (int)c, d, 0, true);
    case SYS_pwritev2: return ps_engine_writev(fd, vector, (int)c, d, (int)e, d != -1);
    case SYS_fsync: return ps_engine_sync(fd, PS_FAMILY_FSYNC);
    case SYS_fdatasync: return ps_engine_sync(fd, PS_FAMILY_FDATASYNC);
    default: return PS_PASS_ON;
    }
}

static int family_of(long number, long offset)
{
    switch (number) {
    case SYS_read: return PS_FAMILY_READ;
    case SYS_pread64: return PS_FAMILY_PREAD;
    case SYS_readv: return PS_FAMILY_READV;
    case SYS_preadv: return PS_FAMILY_PREADV;
    case SYS_preadv2: return offset == -1 ? PS_FAMILY_READV : PS_FAMILY_PREADV;
    case SYS_write: return PS_FAMILY_WRITE;
    case SYS_pwrite64: return PS_FAMILY_PWRITE;
    case SYS_writev: return PS_FAMILY_WRITEV;
    case SYS_pwritev: return PS_FAMILY_PWRITEV;
    case SYS_pwritev2: return offset == -1 ? PS_FAMILY_WRITEV : PS_FAMILY_PWRITEV;
    case SYS_fsync: return PS_FAMILY_FSYNC;
    case SYS_fdatasync: return PS_FAMILY_FDATASYNC;
    case SYS_sync_file_range: return PS_FAMILY_SYNC_FILE_RANGE;
    default: return -1;
    }
}

static void before(long number, long a, long b, long c)
{
    switch (number) {
    case SYS_close: return ps_engine_evict((int)a);
    case SYS_close_range: return ps_before_close_range((unsigned)a, (unsigned)b, (int)c);
    case SYS_dup2:
    case SYS_dup3:
        if ((int)a != (int)b)
            ps_engine_bar((int)b);
        return;
    case SYS_mmap: // counted afterwards: the descriptor is the fifth argument
    case SYS_munmap:
    case SYS_mremap: return ps_mapping_forget((const void *)a, (size_t)b);
    case SYS_mlockall: return ps_before_mlockall();
    case SYS_prctl: return ps_before_prctl((int)a, (unsigned long)b);
    case SYS_seccomp: return ps_before_seccomp((unsigned)a);
    case SYS_unshare: return ps_before_unshare((int)a);
    }
}

static void after(long number, long result, const long argument[6], bool changes_flags)
{
    const long a = argument[0], b = argument[1], c = argument[2], d = argument[3];
    switch (number) {
    case SYS_close: return ps_engine_evict((int)a);
    case SYS_close_range:
        if (!((unsigned)c & (1u << 2))) // CLOSE_RANGE_CLOEXEC closes nothing
            ps_engine_evict_range((unsigned)a, (unsigned)b);
        return;
    case SYS_dup2:
    case SYS_dup3:
        if ((int)a != (int)b)
            ps_engine_evict((int)b);
        return;
    case SYS_fcntl:
        if (changes_flags)
            ps_engine_evict_all();
        else if ((int)b == F_DUPFD || (int)b == F_DUPFD_CLOEXEC)
            ps_fresh((int)result);
        return;
    case SYS_open:
    case SYS_openat:
        ps_fresh((int)result);
        if (result >= 0 && ((number == SYS_open ? b : c) & O_TRUNC))
            ps_engine_emptied((int)result, 0, INT64_MAX);
        return;
    case SYS_creat:
        ps_fresh((int)result);
        if (result >= 0)
            ps_engine_emptied((int)result, 0, INT64_MAX);
        return;
    case SYS_pipe:
    case SYS_pipe2: ps_fresh_pair((int)result, (const int *)a); return;
    case SYS_socketpair: ps_fresh_pair((int)result, (const int *)d); return;
    case SYS_recvmsg: return ps_received(result, (const struct msghdr *)b);
    case SYS_recvmmsg: return ps_received_many(result, (const struct mmsghdr *)b);
    case SYS_ftruncate:
    case SYS_fallocate: {
        struct ps_range emptied =
            number == SYS_ftruncate ? ps_emptied_by_truncate(b) : ps_emptied_by_fallocate((int)b, c, d);
        ps_engine_count((int)a, PS_FAMILY_RESIZE);
        return ps_engine_emptied((int)a, emptied.from, emptied.to);
    }
    case SYS_truncate:
        if (result == 0)
            ps_engine_resized_path((const char *)a);
        return;
    case SYS_mmap:
        if ((int)argument[4] >= 0 && !(d & MAP_ANONYMOUS))
            ps_engine_count((int)argument[4], PS_FAMILY_MMAP);
        return;
    case SYS_munmap:
    case SYS_mremap: return;
    case SYS_mlockall: return ps_after_mlockall(result);
    case SYS_munlockall: return ps_after_munlockall(result);
    case SYS_setrlimit: return ps_after_limit(0, (int)a, (const void *)b);
    case SYS_prlimit64: return ps_after_limit((int)a, (int)b, (const void *)c);
    case SYS_prctl:
    case SYS_seccomp:
    case SYS_unshare: return;
    case SYS_io_uring_setup:
        // A ring closes and opens numbers in this process, and no call of ours tells which.
        if (ps_fresh((int)result) >= 0)
            ps_engine_give_way(PS_GIVE_WAY_UNSHARE_FILES);
        return;
    default: ps_fresh((int)result); // NEW: the number returned
    }
}

long ps_syscall_handle(long number, long a, long b, long c, long d, long e, long f)
{
    entry *next = (entry *)NEXT(syscall);
    if (ps_signals_may_concern(number))
        return ps_syscall_signals(next, number, (const long[]){a, b, c, d, e, f});
    if (number == SYS_copy_file_range)
        return ps_copy_inside(&(struct ps_copy_call){PS_COPY_RANGE, (int)a, (int)c, (off64_t *)b, (off64_t *)d,
                                                     (size_t)e, (unsigned)f});
    if (number == SYS_sendfile)
        return ps_copy_inside(&(struct ps_copy_call){PS_COPY_SENDFILE, (int)b, (int)a, (off64_t *)c, NULL,
                                                     (size_t)d, 0});
    if (number == SYS_splice)
        return ps_copy_inside(&(struct ps_copy_call){PS_COPY_SPLICE, (int)a, (int)c, (off64_t *)b, (off64_t *)d,
                                                     (size_t)e, (unsigned)f});
    int family = family_of(number, d);
    if (family >= 0) {
        ps_pass_on(); // what some of these never ask the engine for
        int64_t served = serve(number, a, b, c, d, e);
        if (served == PS_PASS_ON_SETTLED) { // SYS_write only
            long result = next(number, a, b, c, d, e, f);
            if (result != c) {
                int saved = errno;
                ps_engine_fell_short((int)a, (size_t)c, result < 0 ? -saved : result);
                errno = saved;
            }
            return result;
        }
        if (served != PS_PASS_ON)
            return ps_result(served);
        return ps_passed_on((int)a, (enum ps_family)family, next(number, a, b, c, d, e, f));
    }
    bool changes_flags = number == SYS_fcntl && ps_changes_flags((int)a, (int)b, c);
    before(number, a, b, c);
    long result = next(number, a, b, c, d, e, f);
    int saved = errno;
    after(number, result, (const long[]){a, b, c, d, e, f}, changes_flags);
    errno = saved;
    return result;
}

// What a child made by number will share with us. In the arguments of clone3 the flags come first; if they cannot be
// read, the kernel makes no child.
__attribute__((visibility("hidden"))) void ps_syscall_forks(unsigned number, unsigned long a)
{
    uint64_t flags;
    if (number == SYS_vfork)
        ps_before_clone(CLONE_VM | CLONE_VFORK);
    else if (number == SYS_clone)
        ps_before_clone(a);
    else if (ps_fetch(&flags, (const void *)a, sizeof flags))
        ps_before_clone(flags);
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
            PS_CALL_ASIDE("call ps_syscall_forks\n\t") "\n"
            "2:\t" PS_JUMP_TO_NEXT ::PS_NEXT_OPERANDS(PS_NEXT_syscall));
}
