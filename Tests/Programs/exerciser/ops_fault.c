// What can be taken away from a process, and given back: address space, memory that may be swapped, signals, the right
// to map, and the space of the file system.
#include "exerciser.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// No more address space than there is now, but for what small allocations need.
static void run_address_limit(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    struct rlimit limit;
    char text[128] = "";
    // Without stdio, which would need memory to give it back.
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (got <= 0 || getrlimit(RLIMIT_AS, &limit) != 0) {
        result->skipped = true;
        return;
    }
    rlim_t pages = strtoul(text, NULL, 10);
    limit.rlim_cur = place->value < 0 ? limit.rlim_max : pages * PAGE + (rlim_t)place->value;
    context.memory_limited = place->value >= 0;
    result_set(result, op->variant % 2 == 0 ? setrlimit(RLIMIT_AS, &limit) : prlimit(0, RLIMIT_AS, &limit, NULL));
}

static void run_lock_memory(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)op;
    context.memory_locked = place->value != 0;
    result_set(result, place->value == 0 ? munlockall() : mlockall(place->value));
    if (result->ret < 0) result->wrong = "mlockall failed";
}

static void run_block(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    if (!context_block(place->value, op->variant)) result->wrong = "the signal mask is not what was set";
}

enum refusal { REFUSES, KILLS };

// Shared mappings of files are refused from here on, or deadly; the exerciser's own report is not meant. In a process
// that others outlive, since it cannot be undone.
static void run_filter(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    uint32_t verdict = place->value == KILLS ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | ENOMEM;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[4])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, REPORT_FD, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, verdict),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (context.maps_refused || !actors_others()) {
        result->skipped = true;
        return;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) result->wrong = "no_new_privs failed";
    // All threads, or (by prctl) the one that asks, whose later threads inherit it.
    long set = op->variant % 2 == 0 || context_has_workers()
                   ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program)
                   : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
    if (set != 0) result->wrong = "seccomp failed";
    context.maps_refused = true;
    context.maps_kill = place->value == KILLS;
}

// All but so many pages of each side's file system are given to another file.
static void run_fill(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)op;
    char path[1024];
    struct statfs system;
    // Only where the sides do not share one, only a small one, and only where blocks can be compared.
    if (!side->alone || (place->value != 0 && (!side->holes || context_file_limited()))) {
        result->skipped = true;
        return;
    }
    snprintf(path, sizeof path, "%s/ballast", side->directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    result_set(result, fd < 0 ? -1 : ftruncate(fd, 0));
    context.space_limited = place->value != 0;
    int64_t left = place->value < 0 ? 0 : place->value;
    if (fd >= 0 && place->value != 0 && statfs(path, &system) == 0 && (int64_t)system.f_bfree > left)
        result_set(result, fallocate(fd, 0, 0, ((int64_t)system.f_bfree - left) * system.f_bsize));
    if (fd >= 0) close(fd);
    if (result->ret < 0) result->wrong = "the file system cannot be filled";
}

static const struct choice spaces[] = {
    {"none", -1, 1}, {"small", 1 << 20, 3}, {"one-window", 5 << 20, 1}, {NULL, 0, 0},
};

static const struct choice memory_locks[] = {
    {"none", 0, 1}, {"current", MCL_CURRENT, 2}, {"future", MCL_FUTURE, 1}, {"all", MCL_CURRENT | MCL_FUTURE, 2},
    {"on-fault", MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, 2}, {NULL, 0, 0},
};

static const struct choice masks[] = {
    {"none", 0, 1}, {"bus", 1, 2}, {"segv", 2, 2}, {"both", 3, 2}, {"all", 7, 3}, {NULL, 0, 0},
};

static const struct choice refusals[] = {{"refuses", REFUSES, 2}, {"kills", KILLS, 2}, {NULL, 0, 0}};

static const struct choice rests[] = {
    {"none", 0, 1}, {"full", -1, 1}, {"1", 1, 2}, {"3", 3, 3}, {"10", 10, 3}, {"40", 40, 2}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"address-limit", 4, VARIANT | CHOICE, ONCE | RESTRICTS, spaces, run_address_limit},
    {"lock-memory", 3, CHOICE, ONCE | RESTRICTS, memory_locks, run_lock_memory},
    {"block", 8, VARIANT | CHOICE, ONCE | RESTRICTS, masks, run_block},
    {"filter", 2, VARIANT | CHOICE, ONCE, refusals, run_filter},
    {"fill", 8, CHOICE, RESTRICTS, rests, run_fill},
};

const struct group fault_group = {"faults", kinds, sizeof kinds / sizeof *kinds};
