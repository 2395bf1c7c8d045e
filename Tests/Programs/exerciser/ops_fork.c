// Several processes with the same open file descriptions: made by every kind of fork, taking turns, ending in every
// way, passing descriptors to one another; and the vfork child, which has the parent's memory but not its descriptors.
#include "exerciser.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern pid_t _Fork(void);

enum way { BY_FORK, BY__FORK, BY_SYSCALL, BY_INSTRUCTION };

// The instruction itself: no libc, no preload, no pthread_atfork handler learns of this child.
static pid_t clone_by_instruction(void)
{
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    long value;
    __asm__ volatile("syscall"
                     : "=a"(value)
                     : "a"((long)SYS_clone), "D"((long)SIGCHLD), "S"(0l), "d"(0l), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return (pid_t)value;
}

static pid_t fork_by(enum way way)
{
    switch (way) {
    case BY__FORK: return _Fork();
    case BY_SYSCALL: return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
    case BY_INSTRUCTION: return clone_by_instruction();
    default: return fork();
    }
}

// Holes that one process makes are not seen by the shim in another (docs/limitations.md).
static void note_others(void)
{
    running->unseen = true;
    running->served->holes = running->served->seeks = false;
    running->reference->holes = running->reference->seeks = false;
}

static void run_fork(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    struct actors *actors = &running->report->actors;
    int index = actors_free();
    if (index < 0) {
        result->skipped = true;
        return;
    }
    bool child_first = op->variant % 2 == 0, in_worker = context.worker != 0;
    note_others();
    actors->list[index].pid = 0;
    actors->list[index].ended = 0;
    if (child_first) actors->holder = (uint32_t)index;
    pid_t pid = fork_by((enum way)place->value);
    if (pid == 0) {
        context_forked();
        actors_enter((unsigned)index);
        actors_give(actors->holder); // to tell that it is there
        actors_wait();
        // The thread of the loop was not taken along: this one is the loop from here on.
        if (in_worker) _exit(run_on(running));
        return;
    }
    if (pid < 0) {
        actors->holder = actor_self;
        result->skipped = true;
        return;
    }
    while (actors->list[index].pid == 0) sched_yield();
    actors_wait();
}

static void run_switch(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)place;
    int other = actors_pick(op->variant);
    if (other < 0) {
        result->skipped = true;
        return;
    }
    actors_give((unsigned)other);
    actors_wait();
}

enum ending { BY__EXIT, BY_EXIT, BY_QUICK_EXIT, BY_SIGNAL };

static void run_exit(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    int other = actors_pick(op->variant);
    if (other < 0) {
        result->skipped = true;
        return;
    }
    running->report->actors.leaving = getpid();
    actors_expect_end(actor_self);
    actors_give((unsigned)other);
    switch ((enum ending)place->value) {
    case BY_EXIT: exit(STATUS_EQUAL);
    case BY_QUICK_EXIT: quick_exit(STATUS_EQUAL);
    case BY_SIGNAL: kill(getpid(), SIGKILL); // fall through
    default: _exit(STATUS_EQUAL);
    }
}

// ---- descriptors in messages

// Made by the first process and inherited by all.
bool letters_make(struct side *side)
{
    return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, side->letters) == 0;
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void run_send(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    int fd = side_fd(side, op->slot);
    union control control = {.bytes = {0}};
    char byte = 's';
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control.bytes};
    control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                      .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    result_set(result, sendmsg(side->letters[0], &message, 0));
}

static void run_receive(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    int fd = -1;
    union control control = {.bytes = {0}};
    char byte;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control.bytes};
    if (op->slot >= SLOTS ) {
        result->skipped = true;
        return;
    }
    // Closed first, so that as a rule the number is the same.
    if (side->fd[op->slot] >= 0) side->calls->close(op->variant, side->fd[op->slot]);
    side->fd[op->slot] = -1;
    result_set(result, recvmsg(side->letters[1], &message, op->variant % 2 == 0 ? 0 : MSG_CMSG_CLOEXEC));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (result->ret < 0 || header == NULL || header->cmsg_type != SCM_RIGHTS) return;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    side->fd[op->slot] = fd;
}

// ---- vfork

enum vforked { CLOSES, READS, DUPLICATES, FAILS_TO_EXEC, CLOSES_ALL };

// What the child does to its own descriptors must not be believed of the parent's, though both share the cache.
static void run_vfork(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    int fd = side_fd(side, op->slot), other = side_fd(side, op->other);
    static volatile long got;
    static char bytes[PAGE];
    static char *const arguments[] = {"nothing", NULL};
    got = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        switch ((enum vforked)place->value) {
        case CLOSES: got = side->calls->close(op->variant, fd); break;
        case READS: got = side->calls->read(op->variant, fd, bytes, sizeof bytes); break;
        case DUPLICATES:
            got = side->calls->dup2(fd, other);
            if (got >= 0) got = side->calls->pread(op->variant, other, bytes, sizeof bytes, 0);
            break;
        case FAILS_TO_EXEC:
            side->calls->dup2(fd, other);
            got = execv("/nonexistent/program", arguments);
            break;
        case CLOSES_ALL: got = close_range(3, ~0u, 0); break;
        }
        _exit(0);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    result->ret = got;
    result->extra = pid > 0 ? status : -1;
    if (got > 0 && (place->value == READS || place->value == DUPLICATES)) {
        result->bytes = (unsigned char *)bytes;
        result->bytes_length = 0;
        for (long index = 0; index < got; index++) result->hash = result->hash * 31 + (unsigned char)bytes[index];
    }
    if (place->value == DUPLICATES && got >= 0 && fd == other) result->ret = 0;
}

static const struct choice ways[] = {
    {"fork", BY_FORK, 4}, {"_Fork", BY__FORK, 1}, {"syscall", BY_SYSCALL, 1}, {"instruction", BY_INSTRUCTION, 1},
    {NULL, 0, 0},
};

static const struct choice endings[] = {
    {"_exit", BY__EXIT, 3}, {"exit", BY_EXIT, 2}, {"quick_exit", BY_QUICK_EXIT, 1}, {"kill", BY_SIGNAL, 1},
    {NULL, 0, 0},
};

static const struct choice vforks[] = {
    {"close", CLOSES, 2}, {"read", READS, 2}, {"dup2", DUPLICATES, 2}, {"failed-exec", FAILS_TO_EXEC, 1},
    {"close-all", CLOSES_ALL, 1}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"fork", 10, VARIANT | CHOICE, ONCE | CONTROL, ways, run_fork},
    {"switch", 40, VARIANT, ONCE | CONTROL, NULL, run_switch},
    {"exit", 5, VARIANT | CHOICE, ONCE | CONTROL, endings, run_exit},
    {"send", 6, SLOT, 0, NULL, run_send},
    {"receive", 6, SLOT | VARIANT, 0, NULL, run_receive},
    {"vfork", 5, SLOT | OTHER | VARIANT | CHOICE, UNTIMED, vforks, run_vfork},
};

const struct group fork_group = {"fork", kinds, sizeof kinds / sizeof *kinds};
