// Pointers that are bad, in every call that the shim looks into: natively the kernel gives EFAULT, or libc faults.
#include "transcript.h"

#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <ucontext.h>

static int fd, sockets[2], events;
static unsigned char buffer[1 << 16];

static struct timespec none;
// The kernel's own layouts: handler, flags, restorer, mask.
static uint64_t act[4] = {(uint64_t)SIG_IGN, 0x04000000, 0, 1 << 11}, was[4];
static uint64_t mask = 1 << 9;
static struct sigaction action = {.sa_handler = SIG_IGN}, old;
static sigset_t set, old_set;
static struct epoll_event event;
static struct {
    const void *mask;
    size_t size;
} given;

static void faulted(int number)
{
    static const char segv[] = "  a handler was told of SEGV\n", bus[] = "  a handler was told of BUS\n";
    (void)!write(1, number == SIGBUS ? bus : segv, number == SIGBUS ? sizeof bus - 1 : sizeof segv - 1);
    _exit(7);
}

// Each a call with a bad pointer `p`: its text, and made where `go` says so. NULL: there is no call of that number.
typedef long calls(int number, void *p, bool go, const char **text);
#define C(call)                                                                                                        \
    case __COUNTER__ - BASE: *text = #call; return go ? (long)(call) : 0;

// The same of a call that waits for ever where `p` can be read.
#define W(call) C(is_readable ? 0 : (call))
static bool is_readable;

static long signals_by_number(int number, void *p, bool go, const char **text)
{
    enum { BASE = __COUNTER__ + 1 };
    switch (number) {
        C(syscall(SYS_rt_sigaction, SIGUSR1, p, 0, 8))
        C(syscall(SYS_rt_sigaction, SIGUSR1, p, was, 8))
        C(syscall(SYS_rt_sigaction, SIGUSR1, 0, p, 8))
        C(syscall(SYS_rt_sigaction, SIGUSR1, act, p, 8))
        C(syscall(SYS_rt_sigaction, SIGBUS, p, 0, 8))
        C(syscall(SYS_rt_sigaction, SIGBUS, p, p, 8))
        C(syscall(SYS_rt_sigaction, SIGBUS, 0, p, 8))
        C(syscall(SYS_rt_sigaction, SIGBUS, act, p, 8))
        C(syscall(SYS_rt_sigaction, SIGSEGV, 0, p, 8))
        C(syscall(SYS_rt_sigaction, SIGBUS, p, 0, 4))
        C(syscall(SYS_rt_sigaction, SIGBUS, act, 0, 16))
        C(syscall(SYS_rt_sigaction, SIGKILL, p, 0, 8))
        C(syscall(SYS_rt_sigaction, SIGKILL, act, 0, 8))
        C(syscall(SYS_rt_sigaction, SIGSTOP, 0, p, 8))
        C(syscall(SYS_rt_sigaction, 0, p, 0, 8))
        C(syscall(SYS_rt_sigaction, 65, p, p, 8))
        C(syscall(SYS_rt_sigaction, 65, act, p, 8))
        C(syscall(SYS_rt_sigaction, -1, 0, p, 8))
        C(syscall(SYS_rt_sigaction, 64, act, p, 8))
        C(syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, 0, 8))
        C(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, p, 8))
        C(syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, p, 8))
        C(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, p, 8))
        C(syscall(SYS_rt_sigprocmask, 99, p, 0, 8))
        C(syscall(SYS_rt_sigprocmask, 99, 0, p, 8))
        C(syscall(SYS_rt_sigprocmask, 99, &mask, p, 8))
        C(syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, 0, 4))
        C(syscall(SYS_rt_sigpending, p, 8))
        C(syscall(SYS_rt_sigpending, p, 99))
        W(syscall(SYS_rt_sigsuspend, p, 8))
        C(syscall(SYS_rt_sigsuspend, p, 7))
        C(syscall(SYS_rt_sigtimedwait, p, 0, &none, 8))
        C(syscall(SYS_rt_sigtimedwait, &mask, p, &none, 8))
        C(syscall(SYS_rt_sigtimedwait, &mask, 0, p, 8))
        C(syscall(SYS_ppoll, 0, 0, &none, p, 8))
        C(syscall(SYS_ppoll, 0, 0, p, &mask, 8))
        C(syscall(SYS_ppoll, p, 1, &none, &mask, 8))
        C(syscall(SYS_pselect6, 0, 0, 0, 0, &none, p))
        C((given.mask = p, given.size = 8, syscall(SYS_pselect6, 0, 0, 0, 0, &none, &given)))
        C((given.mask = p, given.size = 7, syscall(SYS_pselect6, 0, 0, 0, 0, &none, &given)))
        C(syscall(SYS_epoll_pwait, events, &event, 1, 0, p, 8))
        C(syscall(SYS_epoll_pwait2, events, &event, 1, &none, p, 8))
        C(syscall(SYS_epoll_pwait2, events, &event, 1, p, &mask, 8))
        C(syscall(SYS_sigaltstack, p, 0))
        C(syscall(SYS_sigaltstack, 0, p))
        C(syscall(SYS_signalfd4, -1, p, 8, 0))
    default: *text = NULL; return 0;
    }
}

static long signals_through_libc(int number, void *p, bool go, const char **text)
{
    enum { BASE = __COUNTER__ + 1 };
    switch (number) {
        C(sigaction(SIGUSR1, p, NULL))
        C(sigaction(SIGUSR1, NULL, p))
        C(sigaction(SIGUSR1, &action, p))
        C(sigaction(SIGBUS, p, NULL))
        C(sigaction(SIGBUS, NULL, p))
        C(sigaction(SIGBUS, &action, p))
        C(sigaction(SIGSEGV, &action, p))
        C(sigaction(0, p, &old))
        C(sigaction(65, p, NULL))
        C(sigaction(32, p, NULL))
        C(sigaction(SIGKILL, p, NULL))
        C(sigaction(SIGKILL, &action, p))
        C(sigprocmask(SIG_BLOCK, p, NULL))
        C(sigprocmask(SIG_BLOCK, NULL, p))
        C(sigprocmask(SIG_BLOCK, &set, p))
        C(sigprocmask(99, &set, p))
        C(sigprocmask(99, NULL, p))
        C(pthread_sigmask(SIG_BLOCK, p, NULL))
        C(pthread_sigmask(SIG_BLOCK, NULL, p))
        C(pthread_sigmask(SIG_SETMASK, &set, p))
        C(sigpending(p))
        W(sigsuspend(p))
        C(sigtimedwait(p, NULL, &none))
        C(sigtimedwait(&set, NULL, p))
        W(sigwaitinfo(p, NULL))
        W(sigwait(p, &(int){0}))
        C(pselect(0, NULL, NULL, NULL, &none, p))
        C(pselect(0, NULL, NULL, NULL, p, NULL))
        C(pselect(1, p, NULL, NULL, &none, &set))
        C(ppoll(NULL, 0, &none, p))
        C(ppoll(NULL, 0, p, &set))
        C(ppoll(p, 1, &none, &set))
        C(epoll_pwait(events, &event, 1, 0, p))
        C(epoll_pwait(events, p, 1, 0, &set))
        C(epoll_pwait2(events, &event, 1, &none, p))
        C(signalfd(-1, p, 0))
        C(sigaltstack(p, NULL))
        C(sigaltstack(NULL, p))
        C(setcontext(p))
        C(swapcontext(&(ucontext_t){0}, p))
        C(swapcontext(p, &(ucontext_t){0}))
        C((siglongjmp(p, 1), 0))
    default: *text = NULL; return 0;
    }
}

static struct msghdr message_to(void *name, void *vector, void *control)
{
    static char byte;
    static struct iovec one = {&byte, 1};
    return (struct msghdr){name, name ? 16 : 0, vector ? vector : &one, 1, control, control ? 64 : 0, 0};
}

static long descriptors(int number, void *p, bool go, const char **text)
{
    struct msghdr message;
    struct mmsghdr messages = {0};
    enum { BASE = __COUNTER__ + 1 };
    switch (number) {
        C(pipe(p))
        C(pipe2(p, O_CLOEXEC))
        C(syscall(SYS_pipe, p))
        C(syscall(SYS_pipe2, p, 0))
        C(socketpair(AF_UNIX, SOCK_STREAM, 0, p))
        C(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, p))
        C(recvmsg(sockets[0], p, MSG_DONTWAIT))
        C(syscall(SYS_recvmsg, sockets[0], p, MSG_DONTWAIT))
        C((message = message_to(p, NULL, NULL), recvmsg(sockets[0], &message, MSG_DONTWAIT)))
        C((message = message_to(NULL, p, NULL), recvmsg(sockets[0], &message, MSG_DONTWAIT)))
        C((message = message_to(NULL, NULL, p), recvmsg(sockets[0], &message, MSG_DONTWAIT)))
        C(recvmmsg(sockets[0], p, 1, MSG_DONTWAIT, NULL))
        C((messages.msg_hdr = message_to(NULL, NULL, p), recvmmsg(sockets[0], &messages, 1, MSG_DONTWAIT, NULL)))
        C(accept(sockets[0], p, p))
        C(open(p, O_RDONLY))
        C(openat(AT_FDCWD, p, O_RDONLY | O_CREAT, 0600))
        C(syscall(SYS_openat2, AT_FDCWD, "file", p, 24))
        C(syscall(SYS_openat2, AT_FDCWD, p, p, 24))
        C(creat(p, 0600))
        C(memfd_create(p, 0))
        C(truncate(p, 0))
        C(syscall(SYS_truncate, p, 0))
        C(fcntl(fd, F_GETLK, p))
        C(fcntl(fd, F_SETLK, p))
        C(copy_file_range(fd, p, fd, NULL, 10, 0))
        C(sendfile(fd, fd, p, 10))
        C(setrlimit(RLIMIT_FSIZE, p))
        C(syscall(SYS_setrlimit, RLIMIT_AS, p))
        C(prlimit(0, RLIMIT_FSIZE, p, NULL))
        C(prlimit(0, RLIMIT_FSIZE, NULL, p))
        C(syscall(SYS_prlimit64, 0, RLIMIT_AS, p, 0))
        W(syscall(SYS_clone3, p, 88)) // zeros would make a child, which goes on here
        C(syscall(SYS_io_uring_setup, 4, p))
        C(syscall(SYS_bpf, 0, p, 72))
        C(syscall(SYS_perf_event_open, p, 0, -1, -1, 0))
        C(syscall(SYS_mq_open, p, O_RDONLY, 0, p))
        C(syscall(SYS_seccomp, 1, 0, p))
        C(readv(fd, p, 3))
        C(preadv(fd, p, 3, 4096))
        C(preadv2(fd, p, 1, -1, 0))
        C(writev(fd, p, 3))
        C(pwritev(fd, p, 3, 4096))
        C(syscall(SYS_preadv, fd, p, 1, 0, 0))
        C(read(fd, p, 4096))
        C(pread(fd, p, 4096, 8192))
        C(pwrite(fd, p, 4096, 8192))
        C(write(fd, p, 600))
    default: *text = NULL; return 0;
    }
}

// Actions and masks as they are afterwards.
static void state(void)
{
    uint64_t seen[4] = {0};
    raw(SYS_rt_sigaction, SIGUSR1, 0, (long)seen, 8, 0, 0);
    say("  USR1: ignored %d, mask %lx", seen[0] == 1, seen[3]);
    sigaction(SIGBUS, NULL, &old);
    say("  BUS: ignored %d, mask %lx, flags %x", old.sa_handler == SIG_IGN, old.sa_mask.__val[0], old.sa_flags);
    sigprocmask(SIG_BLOCK, NULL, &old_set);
    say("  mask %lx", old_set.__val[0]);
}

static void make(calls *table, int number, void *pointer)
{
    const char *text;
    alarm(10);
    errno = UNTOUCHED;
    long result = table(number, pointer, true, &text);
    int error = errno;
    // Results of pthread_sigmask are errors; other calls here return -1 or a number that does not matter.
    say_call("  it", result < 0 ? -1 : result == EFAULT ? EFAULT : 0, result < 0 ? error : UNTOUCHED);
    state();
    // Reads are still served, and bad buffers survived.
    say_bytes("pread", buffer, pread(fd, buffer, 9000, 4096));
    errno = UNTOUCHED;
    say_call("  pread into nothing", pread(fd, (void *)8, 4096, 0), errno);
}

struct order {
    calls *table;
    int number;
    void *pointer;
};

static void *in_thread(void *argument)
{
    const struct order *order = argument;
    make(order->table, order->number, order->pointer);
    return NULL;
}

enum { PLAINLY, WITH_HANDLERS, WITH_BOTH_BLOCKED, IN_A_FRESH_THREAD };

static void in_child(struct order *order, int way)
{
    warm(fd);
    if (way == WITH_HANDLERS) {
        signal(SIGSEGV, faulted);
        signal(SIGBUS, faulted);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    sigaddset(&set, SIGSEGV);
    if (way == WITH_BOTH_BLOCKED)
        sigprocmask(SIG_BLOCK, &set, NULL);
    sigaddset(&set, SIGUSR2);
    pthread_t thread;
    if (way != IN_A_FRESH_THREAD)
        make(order->table, order->number, order->pointer);
    else if (pthread_create(&thread, NULL, in_thread, order) == 0)
        pthread_join(thread, NULL);
}

static void run(calls *table, void *pointer, const char *kind, int way)
{
    is_readable = strcmp(kind, "is read-only") == 0;
    const char *text;
    for (int number = 0; table(number, NULL, false, &text), text; number++) {
        say("%s, p %s", text, kind);
        struct order order = {table, number, pointer};
        IN_CHILD(in_child(&order, way));
    }
}

static void run_all(calls *table, int way)
{
    fd = open_file("file", 1, O_RDWR);
    events = epoll_create1(EPOLL_CLOEXEC);
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets) != 0 || write(sockets[1], "x", 1) != 1)
        die("socketpair");
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages, PAGE, PROT_READ);
    munmap(pages + 2 * PAGE, PAGE);
    run(table, (void *)-1, "is -1", way);
    run(table, pages + 2 * PAGE, "is not there", way);
    run(table, pages + 2 * PAGE - 4, "ends after four bytes", way);
    run(table, pages, "is read-only", way);
}

static void signal_calls(void) { run_all(signals_by_number, PLAINLY); }
static void signal_calls_with_handlers(void) { run_all(signals_by_number, WITH_HANDLERS); }
static void signal_calls_in_threads(void) { run_all(signals_by_number, IN_A_FRESH_THREAD); }
static void signal_calls_blocked(void) { run_all(signals_by_number, WITH_BOTH_BLOCKED); }
static void libc_calls(void) { run_all(signals_through_libc, PLAINLY); }
static void libc_calls_with_handlers(void) { run_all(signals_through_libc, WITH_HANDLERS); }
static void libc_calls_in_threads(void) { run_all(signals_through_libc, IN_A_FRESH_THREAD); }
static void descriptor_calls(void) { run_all(descriptors, PLAINLY); }
static void descriptor_calls_in_threads(void) { run_all(descriptors, IN_A_FRESH_THREAD); }

// ---- memory that goes while the call waits ----

static void *volatile hidden;
static void *hides(void *pages)
{
    usleep(20000);
    munmap(pages, 4 * PAGE);
    hidden = pages;
    (void)!write(sockets[1], "x", 1);
    return NULL;
}

// The kernel has read the header before it waits; then header and control data are unmapped, and a message comes.
static void receives(bool many, bool warmed)
{
    if (warmed)
        warm(fd);
    char *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char byte;
    struct iovec one = {&byte, 1};
    struct mmsghdr *header = (void *)pages;
    header->msg_hdr =
        (struct msghdr){.msg_iov = &one, .msg_iovlen = 1, .msg_control = pages + PAGE, .msg_controllen = 512};
    pthread_t thread;
    pthread_create(&thread, NULL, hides, pages);
    errno = UNTOUCHED;
    long result = many ? recvmmsg(sockets[0], header, 1, 0, NULL) : recvmsg(sockets[0], &header->msg_hdr, 0);
    int error = errno;
    say_call("received", result, error);
    pthread_join(thread, NULL);
    say_bytes("pread", buffer, pread(fd, buffer, 9000, 4096));
}

static void headers_that_go(void)
{
    fd = open_file("file", 1, O_RDWR);
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets) != 0)
        die("socketpair");
    IN_CHILD(receives(false, false));
    IN_CHILD(receives(false, true));
    IN_CHILD(receives(true, false));
    IN_CHILD(receives(true, true));
}

// Control data is overwritten by another thread as soon as it is there: lengths of all kinds.
static volatile bool stop;
static char *volatile scribbled;
static void *scribbles(void *unused)
{
    (void)unused;
    for (unsigned long turn = 1; !stop; turn = turn * 6364136223846793005ul + 1442695040888963407ul) {
        static const size_t lengths[] = {0, 1, 15, 16, 17, 20, 24, 4096, (size_t)-1, (size_t)-16, 1ul << 40, 1ul << 63};
        *(volatile size_t *)scribbled = lengths[turn >> 33 & 7 ? turn >> 40 & 7 : 8 + (turn >> 40 & 3)];
    }
    return NULL;
}

static void headers_that_change(void)
{
    fd = open_file("file", 1, O_RDWR);
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets) != 0)
        die("socketpair");
    static char control[256] __attribute__((aligned(16)));
    scribbled = control;
    pthread_t thread;
    pthread_create(&thread, NULL, scribbles, NULL);
    long received = 0;
    for (int i = 0; i < 20000; i++) {
        char byte = 'x', room[CMSG_SPACE(sizeof(int))] = {0};
        struct iovec one = {&byte, 1};
        struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        *part = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(part), &fd, sizeof fd);
        if (sendmsg(sockets[1], &message, 0) != 1)
            die("sendmsg");
        message = (struct msghdr){.msg_iov = &one, .msg_iovlen = 1, .msg_control = control,
                                  .msg_controllen = sizeof control};
        received += recvmsg(sockets[0], &message, 0);
        int number;
        memcpy(&number, control + CMSG_LEN(0), sizeof number);
        close(number);
    }
    stop = true;
    pthread_join(thread, NULL);
    say("received %ld", received);
    say_bytes("pread", buffer, pread(fd, buffer, 9000, 4096));
}

PROGRAM({"signal-calls", signal_calls}, {"signal-calls-with-handlers", signal_calls_with_handlers},
        {"signal-calls-in-threads", signal_calls_in_threads}, {"signal-calls-blocked", signal_calls_blocked},
        {"libc-calls", libc_calls}, {"libc-calls-with-handlers", libc_calls_with_handlers},
        {"libc-calls-in-threads", libc_calls_in_threads}, {"descriptor-calls", descriptor_calls},
        {"descriptor-calls-in-threads", descriptor_calls_in_threads}, {"headers-that-go", headers_that_go},
        {"headers-that-change", headers_that_change})
