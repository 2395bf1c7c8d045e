// SIGSEGV and SIGBUS blocked in every way there is: a fault inside a served call never kills, and masks are as set.
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <ucontext.h>

#include "storm.h"

static unsigned char buffer[9000];
static int fd, cut;
static sigset_t all, two, none;
static volatile int in_handler_wrong;

static void say_mask(const char *label)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    say("%s: SEGV %d BUS %d USR1 %d", label, sigismember(&now, SIGSEGV), sigismember(&now, SIGBUS),
        sigismember(&now, SIGUSR1));
}

// Faults on the application's side (SIGSEGV) and on the file's (SIGBUS), inside calls that would have been served.
static int faults_survived(void)
{
    int wrong = 0;
    errno = 0;
    wrong += pread(fd, (void *)4096, sizeof buffer, 1 << 20) != -1 || errno != EFAULT;
    wrong += pwrite(fd, (void *)4096, sizeof buffer, 1 << 20) != -1 || errno != EFAULT;
    // Cut short past the shim's sight: what it knows of the size is wrong, and the page is gone.
    raw(SYS_ftruncate, cut, 1 << 20, 0, 0, 0, 0);
    wrong += pread(cut, buffer, sizeof buffer, 4 << 20) != 0;
    raw(SYS_ftruncate, cut, FILE_SIZE, 0, 0, 0, 0);
    wrong += pread(cut, buffer, sizeof buffer, 4 << 20) != sizeof buffer || buffer[0] != 0;
    warm(cut);
    wrong += pread(fd, buffer, sizeof buffer, 1 << 20) != sizeof buffer || buffer[7] != pattern(1, (1 << 20) + 7);
    return wrong;
}

static void check(const char *label)
{
    say_mask(label);
    say("  %d wrong", faults_survived());
}

static void checks_in_handler(int number)
{
    (void)number;
    in_handler_wrong += faults_survived();
}

static void start(void)
{
    fd = open_file("file", 1, O_RDWR);
    cut = open_file("cut", 2, O_RDWR);
    sigfillset(&all);
    sigemptyset(&none);
    sigemptyset(&two);
    sigaddset(&two, SIGSEGV);
    sigaddset(&two, SIGBUS);
}

static void catch_with(int number, const sigset_t *mask)
{
    struct sigaction action = {.sa_handler = checks_in_handler, .sa_mask = *mask};
    if (sigaction(number, &action, NULL) != 0)
        die("sigaction");
}

static void by_every_call(void)
{
    start();
    check("at first");
    sigprocmask(SIG_SETMASK, &all, NULL);
    check("sigprocmask");
    sigprocmask(SIG_SETMASK, &none, NULL);
    pthread_sigmask(SIG_BLOCK, &two, NULL);
    check("pthread_sigmask");
    pthread_sigmask(SIG_UNBLOCK, &two, NULL);
    uint64_t bits = ~0ull;
    CALL(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &bits, NULL, 8));
    check("syscall");
    bits = 0;
    CALL(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &bits, NULL, 8));
    check("none");
    // Handlers, called in the middle of waits with everything blocked, themselves with everything blocked.
    catch_with(SIGUSR1, &all);
    raise(SIGUSR1);
    sigset_t but_one = all;
    sigdelset(&but_one, SIGUSR1);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    struct timespec long_enough = {5, 0};
    int epoll = epoll_create1(0);
    struct epoll_event event;
    sigprocmask(SIG_BLOCK, &one, NULL);
    raise(SIGUSR1);
    CALL(sigsuspend(&but_one));
    check("sigsuspend");
    raise(SIGUSR1);
    CALL(pselect(0, NULL, NULL, NULL, &long_enough, &but_one));
    check("pselect");
    raise(SIGUSR1);
    CALL(ppoll(NULL, 0, &long_enough, &but_one));
    check("ppoll");
    raise(SIGUSR1);
    CALL(epoll_pwait(epoll, &event, 1, 5000, &but_one));
    check("epoll_pwait");
    int number;
    raise(SIGUSR1);
    CALL(sigwait(&one, &number));
    check("sigwait");
    sigprocmask(SIG_BLOCK, &two, NULL);
    int signals = signalfd(-1, &all, SFD_NONBLOCK);
    struct signalfd_siginfo info;
    raise(SIGUSR1);
    CALL(read(signals, &info, sizeof info));
    check("signalfd");
    sigprocmask(SIG_SETMASK, &none, NULL);
    check("at last");
    say("%d wrong in handlers", in_handler_wrong);
}

static ucontext_t here, there;
static char stack[1 << 16];

static void in_context(void)
{
    check("in the context");
    swapcontext(&there, &here);
    check("in the context again");
}

static void by_contexts(void)
{
    start();
    getcontext(&there);
    there.uc_stack = (stack_t){.ss_sp = stack, .ss_size = sizeof stack};
    there.uc_link = NULL;
    there.uc_sigmask = all;
    makecontext(&there, in_context, 0);
    swapcontext(&here, &there);
    check("back");
    sigprocmask(SIG_SETMASK, &two, NULL);
    check("blocked");
}

// A thread whose first data call is made by a handler: the mask that comes back when it returns is the kernel's own.
static void *first_call_in_handler(void *argument)
{
    pthread_sigmask(SIG_BLOCK, argument, NULL);
    raise(SIGUSR1);
    say_mask("after the handler");
    int wrong = faults_survived();
    raise(SIGUSR1);
    say("  %d wrong", wrong + faults_survived());
    return NULL;
}

static void *born_blocked(void *unused)
{
    (void)unused;
    check("born");
    return NULL;
}

static void in_threads(void)
{
    start();
    pthread_t thread;
    catch_with(SIGUSR1, &none);
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &two, &before);
    pthread_create(&thread, NULL, born_blocked, NULL);
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_create(&thread, NULL, first_call_in_handler, &two);
    pthread_join(thread, NULL);
    say("%d wrong in handlers", in_handler_wrong);
}

// The same with a handler on a stack of its own.
static void *first_call_on_other_stack(void *argument)
{
    stack_t other = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    sigaltstack(&other, NULL);
    first_call_in_handler(argument);
    return NULL;
}

static void in_threads_with_stacks(void)
{
    start();
    struct sigaction action = {.sa_handler = checks_in_handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, first_call_on_other_stack, &two);
    pthread_join(thread, NULL);
    say("%d wrong in handlers", in_handler_wrong);
}

PROGRAM({"by-every-call", by_every_call}, {"by-contexts", by_contexts}, {"in-threads", in_threads},
        {"in-threads-with-stacks", in_threads_with_stacks})
