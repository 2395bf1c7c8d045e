// Calls on descriptors, processes, signals and threads; files' facts are in file_facts.c, mappings in address_space.c.
#include "ps_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

long ps_sys_open(const char *path, int flags, unsigned mode)
{
    return ps_sys_call4(SYS_openat, AT_FDCWD, (long)path, flags, mode);
}
long ps_sys_close(int fd) { return ps_sys_call1(SYS_close, fd); }
long ps_sys_read(int fd, void *buffer, size_t count) { return ps_sys_call3(SYS_read, fd, (long)buffer, (long)count); }
long ps_sys_write(int fd, const void *buffer, size_t count)
{
    return ps_sys_call3(SYS_write, fd, (long)buffer, (long)count);
}
long ps_sys_pread(int fd, void *buffer, size_t count, int64_t offset)
{
    return ps_sys_call4(SYS_pread64, fd, (long)buffer, (long)count, offset);
}
long ps_sys_pwrite(int fd, const void *buffer, size_t count, int64_t offset)
{
    return ps_sys_call4(SYS_pwrite64, fd, (long)buffer, (long)count, offset);
}
long ps_sys_preadv(int fd, const struct iovec *vector, int count, int64_t offset)
{
    return ps_sys_call6(SYS_preadv, fd, (long)vector, count, offset, 0, 0);
}
long ps_sys_pwritev(int fd, const struct iovec *vector, int count, int64_t offset, int flags)
{
    return ps_sys_call6(flags ? SYS_pwritev2 : SYS_pwritev, fd, (long)vector, count, offset, 0, flags);
}
long ps_sys_sync(int fd, bool data_only) { return ps_sys_call1(data_only ? SYS_fdatasync : SYS_fsync, fd); }
long ps_sys_seek_by(int fd, int64_t distance) { return ps_sys_call3(SYS_lseek, fd, distance, 1 /* SEEK_CUR */); }
long ps_sys_status_flags(int fd) { return ps_sys_call3(SYS_fcntl, fd, F_GETFL, 0); }
long ps_sys_truncate_descriptor(int fd, int64_t size) { return ps_sys_call2(SYS_ftruncate, fd, size); }
long ps_sys_make_directory(const char *path, unsigned mode) { return ps_sys_call2(SYS_mkdir, (long)path, mode); }

long ps_sys_process(void) { return ps_sys_call0(SYS_getpid); }
long ps_sys_thread(void) { return ps_sys_call0(SYS_gettid); }
bool ps_sys_process_exists(int pid) { return pid > 0 && ps_sys_call2(SYS_kill, pid, 0) != -ESRCH; }
bool ps_sys_thread_exists(int process, int thread)
{
    return process > 0 && thread > 0 && ps_sys_call3(SYS_tgkill, process, thread, 0) != -ESRCH;
}

bool ps_sys_is_zombie_of_ours(int pid)
{
    siginfo_t info;
    info.si_pid = 0;
    int options = WEXITED | WNOHANG | WNOWAIT | __WALL;
    return pid > 0 && ps_sys_call6(SYS_waitid, P_PID, pid, (long)&info, options, 0, 0) == 0 && info.si_pid == pid;
}

static bool limited(int resource)
{
    struct rlimit limit;
    long r = ps_sys_call4(SYS_prlimit64, 0, resource, 0, (long)&limit);
    return r < 0 || limit.rlim_cur != RLIM_INFINITY;
}

bool ps_sys_address_space_limited(void) { return limited(RLIMIT_AS); }
bool ps_sys_file_size_limited(void) { return limited(RLIMIT_FSIZE); }
void ps_sys_yield(void) { ps_sys_call0(SYS_sched_yield); }
void ps_sys_rest(unsigned microseconds)
{
    const struct timespec span = {.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000};
    ps_sys_call2(SYS_nanosleep, (long)&span, 0);
}

uint64_t ps_sys_block_signals(void)
{
    uint64_t all = ~0ull, before = 0;
    ps_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof all);
    return before;
}

uint64_t ps_sys_blocked_signals(void)
{
    uint64_t mask = 0;
    ps_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, 0, (long)&mask, sizeof mask);
    return mask;
}

bool ps_sys_readable(const void *address)
{
    // The set is copied in before the first argument is found to be wrong.
    return ps_sys_call4(SYS_rt_sigprocmask, -1, (long)address, 0, sizeof(uint64_t)) == -EINVAL;
}
void ps_sys_unblock_signals(uint64_t mask)
{
    ps_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof mask);
}

bool ps_sys_barrier_all_threads(void)
{
    if (ps_sys_call3(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return true;
    // Not yet registered in this process image (registration is inherited by fork, not by exec).
    return ps_sys_call3(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0
        && ps_sys_call3(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

uint64_t ps_sys_memory(void)
{
    struct sysinfo information;
    if (ps_sys_call1(SYS_sysinfo, (long)&information) != 0)
        return 0;
    return (uint64_t)information.totalram * information.mem_unit;
}
