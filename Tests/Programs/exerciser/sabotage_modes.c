// Defects that one of the modes shows and nothing before it did: each is harmless in one thread of one undisturbed
// process that has its signals and its memory.
#include "exerciser.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static pid_t first_process(void)
{
    return running->report->actors.list[0].pid;
}

// An offset that a forked process keeps to itself.
static long private_offset_read(int variant, int fd, void *buffer, size_t count)
{
    long before = raw_calls.lseek(0, fd, 0, SEEK_CUR);
    long got = real->read(variant, fd, buffer, count);
    if (got > 0 && before >= 0 && getpid() != first_process()) raw_calls.lseek(0, fd, before, SEEK_SET);
    return got;
}

// A program started by exec takes a descriptor for a fresh one.
static long rewound_read(int variant, int fd, void *buffer, size_t count)
{
    static bool seen[1024];
    if (was_resumed && fd >= 0 && fd < 1024 && !seen[fd]) raw_calls.lseek(0, fd, 0, SEEK_SET);
    if (was_resumed && fd >= 0 && fd < 1024) seen[fd] = true;
    return real->read(variant, fd, buffer, count);
}

// A bad buffer is the kernel's to tell.
static bool readable(const void *buffer, size_t count)
{
    static int fd = -1;
    if (fd < 0) fd = (int)raw_calls.memfd_create("copy", 1 /* MFD_CLOEXEC */);
    return raw_calls.pwrite(0, fd, buffer, count, 0) == (long)count;
}

// The end of a long write goes first.
static long backward_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    struct stat status;
    long flags = raw_calls.fcntl(0, fd, 3 /* F_GETFL */, 0);
    bool inside = flags >= 0 && (flags & 02000) == 0 && count >= 2 * PAGE && count < (1 << 20) && offset >= 0 &&
                  fstat(fd, &status) == 0 && offset + (int64_t)count <= status.st_size && !context_file_limited() &&
                  readable(buffer, count);
    size_t half = count / 2;
    if (inside) raw_calls.pwrite(0, fd, (const char *)buffer + half, count - half, offset + (off_t)half);
    return real->pwrite(variant, fd, buffer, count, offset);
}

// What is written is the process's own until its next call: lost when it is killed.
static struct {
    int fd;
    off_t offset;
    unsigned char byte;
    _Bool held;
} late;

static long late_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    if (late.held) raw_calls.pwrite(0, late.fd, &late.byte, 1, late.offset);
    late.held = false;
    // Only in a child that will be killed: in the process that is compared the missing byte would show at once.
    bool doomed = getpid() != running->report->actors.list[actor_self].pid;
    unsigned char before;
    if (!doomed || count == 0 || raw_calls.pread(0, fd, &before, 1, offset + (off_t)count - 1) != 1)
        return real->pwrite(variant, fd, buffer, count, offset);
    late.fd = fd;
    late.offset = offset + (off_t)count - 1;
    late.byte = ((const unsigned char *)buffer)[count - 1];
    late.held = true;
    long put = real->pwrite(variant, fd, buffer, count, offset);
    raw_calls.pwrite(0, fd, &before, 1, late.offset);
    return put;
}

// The offset is asked for and moved in two steps.
static long unclaimed_read(int variant, int fd, void *buffer, size_t count)
{
    long offset = raw_calls.lseek(0, fd, 0, SEEK_CUR);
    if (offset < 0) return real->read(variant, fd, buffer, count);
    sched_yield();
    long got = real->pread(variant, fd, buffer, count, offset);
    if (got > 0) raw_calls.lseek(0, fd, offset + got, SEEK_SET);
    return got;
}

static long unclaimed_write(int variant, int fd, const void *buffer, size_t count)
{
    long offset = raw_calls.lseek(0, fd, 0, SEEK_CUR);
    long flags = raw_calls.fcntl(0, fd, 3 /* F_GETFL */, 0);
    if (offset < 0 || (flags & 02000) != 0) return real->write(variant, fd, buffer, count);
    sched_yield();
    long put = real->pwrite(variant, fd, buffer, count, offset);
    if (put > 0) raw_calls.lseek(0, fd, offset + put, SEEK_SET);
    return put;
}

// One buffer for all threads.
static long shared_buffer_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    static unsigned char between[64 << 10];
    // The buffer must be good: where it is not, the kernel says so.
    if (count > sizeof between || raw_calls.pread(0, fd, buffer, count, offset) != (long)count)
        return real->pread(variant, fd, buffer, count, offset);
    long got = real->pread(variant, fd, between, count, offset);
    sched_yield();
    if (got > 0) memcpy(buffer, between, (size_t)got);
    return got;
}

static __thread bool prepared = false;

// Only the thread that was there first is prepared for.
static long thread_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    if (context.worker == 0) prepared = true;
    long got = real->pread(variant, fd, buffer, count, offset);
    if (!prepared && got > 0) ((unsigned char *)buffer)[0] ^= 1;
    return got;
}

static long handler_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    long got = real->pread(variant, fd, buffer, count, offset);
    if (context.in_handler && got > 0) ((unsigned char *)buffer)[got - 1] ^= 1;
    return got;
}

// Through a mapping that nobody guards.
static long unguarded_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    struct stat status;
    // Where holes are compared they must not be filled so.
    bool inside = !running->served->holes && count > 0 && count <= (64 << 10) && offset >= 0 &&
                  fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && offset + (int64_t)count <= status.st_size;
    if (!inside || raw_calls.pread(0, fd, buffer, count, offset) != (long)count)
        return real->pread(variant, fd, buffer, count, offset);
    size_t length = (size_t)(offset + (int64_t)count);
    void *address = raw_calls.mmap(0, length, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) return real->pread(variant, fd, buffer, count, offset);
    const struct op *op = &running->sequence->ops[running->report->step];
    bool beside = running->report->step < running->sequence->count && (kind_of(op)->traits & BESIDE) != 0;
    for (int again = 0; again < (beside ? 300 : 1); again++) {
        memcpy(buffer, (char *)address + offset, count);
        if (again % 10 == 1) sched_yield();
    }
    raw_calls.munmap(address, length);
    return (long)count;
}

// A mapping that must succeed.
static long mapping_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    struct stat status;
    long flags = raw_calls.fcntl(0, fd, 3 /* F_GETFL */, 0);
    if (flags >= 0 && (flags & 3) != 1 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && count > 0) {
        void *address = raw_calls.mmap(0, 8 << 20, PROT_READ, MAP_SHARED, fd, 0);
        if (address == MAP_FAILED) return -1;
        raw_calls.munmap(address, 8 << 20);
    }
    return real->pread(variant, fd, buffer, count, offset);
}

static long locked_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    long got = real->pread(variant, fd, buffer, count, offset);
    if (context.memory_locked && got > 0) ((unsigned char *)buffer)[0] ^= 1;
    return got;
}

// A fault that must be caught, and is not while its signal is blocked.
static long blocked_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    sigset_t set;
    long got = real->pread(variant, fd, buffer, count, offset);
    if (got < 0 && errno == EFAULT && sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGSEGV) == 1) {
        kill(getpid(), SIGKILL);
    }
    return got;
}

// What does not fit is told to have been written.
static long boundless_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    long put = real->pwrite(variant, fd, buffer, count, offset);
    return put < 0 && errno == ENOSPC ? (long)count : put;
}

const struct defect mode_defects[] = {
    {"own-offset", "fork: a forked process's reads leave the shared offset behind", {.read = private_offset_read}},
    {"rewound", "exec: the first read after it begins at 0", {.read = rewound_read}},
    {"backward", "kill: the end of a long pwrite is written before its beginning", {.pwrite = backward_pwrite}},
    {"late-byte", "kill: the last byte of a pwrite is written with the next one", {.pwrite = late_pwrite}},
    {"two-steps", "threads: read and write move the offset in two steps",
     {.read = unclaimed_read, .write = unclaimed_write}},
    {"one-buffer", "threads: pread goes through one buffer for all", {.pread = shared_buffer_pread}},
    {"one-thread", "threads: pread is wrong in threads that came later", {.pread = thread_pread}},
    {"in-handler", "threads: pread is wrong in signal handlers", {.pread = handler_pread}},
    {"unguarded", "truncation: pread copies from a mapping, SIGBUS or not", {.pread = unguarded_pread}},
    {"needs-mapping", "faults: pread fails where it cannot map", {.pread = mapping_pread}},
    {"locked", "faults: pread is wrong after mlockall", {.pread = locked_pread}},
    {"blocked", "faults: a bad buffer with SIGSEGV blocked ends the process", {.pread = blocked_pread}},
    {"boundless", "faults: pwrite to a full file system reports success", {.pwrite = boundless_pwrite}},
};

const size_t mode_defect_count = sizeof mode_defects / sizeof *mode_defects;
