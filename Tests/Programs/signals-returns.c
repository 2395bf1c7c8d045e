// Signal masks with SIGBUS and SIGSEGV in them that come back, or come from elsewhere, after a thread has begun to
// copy: the next call on a file that another process has cut is still a short read, and the mask is still what it was.
#include "transcript.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <ucontext.h>

static int fd;
static unsigned char buffer[1 << 16];
static sigset_t all;
static sigjmp_buf back;

static void block_all(void)
{
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

static void say_mask(const char *when)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    say("  %s: BUS %d SEGV %d USR1 %d", when, sigismember(&now, SIGBUS), sigismember(&now, SIGSEGV),
        sigismember(&now, SIGUSR1));
}

// Another process cuts the file: by the raw instruction in a child, which has no other threads and no shim to ask.
static void cut(long size)
{
    long child = raw(SYS_fork, 0, 0, 0, 0, 0, 0);
    if (child == 0) {
        raw(SYS_truncate, (long)"file", size, 0, 0, 0, 0);
        raw(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    }
    int status;
    while (raw(SYS_wait4, child, (long)&status, 0, 0, 0, 0) == -EINTR)
        continue;
}

static void read_beyond_a_cut(const char *who)
{
    for (int i = 0; i < 3; i++)
        pread(fd, buffer, 9000, 8192 * i);
    cut(70000);
    long beyond = pread(fd, buffer, 4096, 200000), across = pread(fd, buffer, 4096, 69000);
    say("  %s: beyond %ld, across %ld", who, beyond, across);
    char *bad = NULL;
    errno = 0;
    long nothing = pread(fd, bad + 8, 4096, 4096);
    say("  %s: into nothing %ld %s", who, nothing, strerrorname_np(errno));
    cut(FILE_SIZE);
    for (int i = 0; i < 3; i++)
        pread(fd, buffer, 9000, 8192 * i);
    say_mask(who);
}

static void prepare(void)
{
    make_file("file", 1, FILE_SIZE);
    fd = open("file", O_RDWR | O_CLOEXEC);
}

// ---- jumps ----

static void jump_back(void (*jump)(sigjmp_buf, int))
{
    prepare();
    block_all();
    volatile int turn = 0;
    if (sigsetjmp(back, 1) == 0)
        say_mask("before the first copy");
    else
        read_beyond_a_cut("after a jump");
    // Saved before this thread copied; jumped to again and again, with the two unblocked in between or not.
    if (turn++ < 4) {
        warm(fd);
        if (turn % 2)
            sigprocmask(SIG_UNBLOCK, &all, NULL);
        say_mask("before a jump");
        jump(back, 1);
    }
}

static void by_siglongjmp(void) { jump_back((void (*)(sigjmp_buf, int))siglongjmp); }
static void by_longjmp(void) { jump_back((void (*)(sigjmp_buf, int))longjmp); }

static void handler_that_jumps(int number)
{
    (void)number;
    warm(fd);
    siglongjmp(back, 1);
}

static void out_of_handlers(void)
{
    prepare();
    block_all();
    struct sigaction action = {.sa_handler = handler_that_jumps};
    sigaction(SIGUSR1, &action, NULL);
    volatile int turn = 0;
    if (sigsetjmp(back, 1))
        read_beyond_a_cut("out of a handler");
    if (turn++ < 3) {
        warm(fd);
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, SIGUSR1);
        raise(SIGUSR1);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
    }
}

// ---- contexts ----

static ucontext_t main_context, other_context, *stored;
static char stack[65536];

static void other(void)
{
    for (int i = 0; i < 2; i++) {
        read_beyond_a_cut("in the other context");
        swapcontext(&other_context, &main_context);
    }
    swapcontext(&other_context, &main_context);
}

static void by_contexts(void)
{
    prepare();
    block_all();
    getcontext(&other_context);
    other_context.uc_stack = (stack_t){.ss_sp = stack, .ss_size = sizeof stack};
    makecontext(&other_context, other, 0);
    warm(fd);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    for (int i = 0; i < 2; i++) {
        swapcontext(&main_context, &other_context);
        read_beyond_a_cut("back in main");
    }
}

// A context that was saved before the first copy, in memory that cannot be written any more.
static void by_stored_context(void)
{
    prepare();
    block_all();
    stored = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile int turn = 0;
    getcontext(stored);
    if (turn)
        read_beyond_a_cut("after setcontext");
    mprotect(stored, PAGE, PROT_READ);
    if (turn++ < 3) {
        warm(fd);
        if (turn % 2)
            sigprocmask(SIG_UNBLOCK, &all, NULL);
        setcontext(stored);
    }
}

// ---- handlers during waits, by number and by name ----

static void handler_that_reads(int number)
{
    (void)number;
    say("  a handler");
    read_beyond_a_cut("in the handler");
}

static void during_waits(bool by_number)
{
    prepare();
    struct sigaction action = {.sa_handler = handler_that_reads};
    sigaction(SIGUSR1, &action, NULL);
    warm(fd);
    sigset_t one, both;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    sigemptyset(&both);
    sigaddset(&both, SIGBUS);
    sigaddset(&both, SIGSEGV);
    int events = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event;
    const struct {
        const void *mask;
        size_t size;
    } given = {&both, 8};
    for (int blocked = 0; blocked < 2; blocked++) {
        sigprocmask(SIG_BLOCK, blocked ? &both : &one, NULL);
        for (int call = 0; call < 5; call++) {
            sigprocmask(SIG_BLOCK, &one, NULL);
            raise(SIGUSR1);
            errno = UNTOUCHED;
            long result = 0;
            switch (call * 2 + by_number) {
            case 0: result = sigsuspend(&both); break;
            case 1: result = syscall(SYS_rt_sigsuspend, &both, 8); break;
            case 2: result = ppoll(NULL, 0, NULL, &both); break;
            case 3: result = syscall(SYS_ppoll, NULL, 0, NULL, &both, 8); break;
            case 4: result = pselect(0, NULL, NULL, NULL, NULL, &both); break;
            case 5: result = syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, &given); break;
            case 6: result = epoll_pwait(events, &event, 1, -1, &both); break;
            case 7: result = syscall(SYS_epoll_pwait, events, &event, 1, -1, &both, 8); break;
            case 8: result = epoll_pwait2(events, &event, 1, NULL, &both); break;
            case 9: result = syscall(SYS_epoll_pwait2, events, &event, 1, NULL, &both, 8); break;
            }
            int error = errno;
            say_call("wait", result, error);
            say_mask("after the wait");
            read_beyond_a_cut("after the wait");
        }
    }
}

static void waits_by_name(void) { during_waits(false); }
static void waits_by_number(void) { during_waits(true); }

// One of the two is sent while it is blocked, and taken by number.
static void taken_by_number(void)
{
    prepare();
    warm(fd);
    uint64_t both = 1ull << (SIGBUS - 1) | 1ull << (SIGSEGV - 1), pending = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &both, NULL, 8);
    for (int i = 0; i < 2; i++) {
        raise(SIGBUS);
        kill(getpid(), SIGSEGV);
        long asked = syscall(SYS_rt_sigpending, &pending, 8);
        say("pending %ld %lx", asked, pending);
        siginfo_t details;
        const struct timespec at_once = {0};
        for (int k = 0; k < 3; k++) {
            long taken = syscall(SYS_rt_sigtimedwait, &both, &details, &at_once, 8);
            say("taken %ld code %d", taken, taken > 0 ? details.si_code : 0);
        }
        read_beyond_a_cut("afterwards");
    }
}

// ---- threads ----

static void *in_thread(void *unused)
{
    say_mask("in a thread");
    read_beyond_a_cut("in a thread");
    return unused;
}

static sem_t done;
static void by_timer(union sigval value)
{
    (void)value;
    read_beyond_a_cut("in a timer's thread");
    sem_post(&done);
}

static void threads(void)
{
    prepare();
    warm(fd);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    sigfillset(&all);
    pthread_attr_setsigmask_np(&attributes, &all);
    pthread_t thread;
    pthread_create(&thread, &attributes, in_thread, NULL);
    pthread_join(thread, NULL);
    block_all();
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    sem_init(&done, 0, 0);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = by_timer};
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &(struct itimerspec){.it_value.tv_nsec = 1000000}, NULL);
    while (sem_wait(&done) != 0)
        continue;
    read_beyond_a_cut("in main");
}

PROGRAM({"by-siglongjmp", by_siglongjmp}, {"by-longjmp", by_longjmp}, {"out-of-handlers", out_of_handlers},
        {"by-contexts", by_contexts}, {"by-stored-context", by_stored_context}, {"waits-by-name", waits_by_name},
        {"waits-by-number", waits_by_number}, {"taken-by-number", taken_by_number}, {"threads", threads})
