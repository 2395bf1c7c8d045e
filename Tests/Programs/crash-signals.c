// Signals: the program's own handlers, masks and crashes are what they are without the shim, after windows exist.
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <ucontext.h>

#include "transcript.h"

// The old interfaces are deprecated, and still in libc.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#pragma GCC diagnostic ignored "-Wcast-function-type"

static unsigned char buffer[65536];
static int fd;
static volatile sig_atomic_t caught, code;
static void *volatile where;
static sigjmp_buf back;

static void start(void) { fd = open_file("file", 1, O_RDWR); }

static void served(void) { say_origin("pread", buffer, CALL(pread(fd, buffer, 9000, 1 << 20)), 1 << 20); }

// A pread whose buffer cannot be written: the copy faults, and the shim must survive it.
static void faulting(void) { CALL(pread(fd, (void *)4096, 9000, 1 << 20)); }

static void jump(int number)
{
    caught = number;
    siglongjmp(back, 1);
}

static void jump_with_info(int number, siginfo_t *info, void *context)
{
    (void)context;
    caught = number;
    code = info->si_code;
    where = info->si_addr;
    siglongjmp(back, 1);
}

static volatile unsigned char sink;

// Touches memory and says what came of it.
static void touch(const char *label, volatile unsigned char *address)
{
    caught = 0;
    code = 0;
    where = NULL;
    if (sigsetjmp(back, 1) == 0)
        sink = *address;
    say("%s: signal %s code %d at the address: %d", label, caught ? sigabbrev_np(caught) : "none", code,
        where == address);
}

static unsigned char *beyond_end(void)
{
    make_file("short", 2, 100);
    int other = open("short", O_RDWR);
    unsigned char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
    if (map == MAP_FAILED)
        die("mmap");
    return map + 4096;
}

static void say_action(const char *label, int number)
{
    struct sigaction action;
    CALL(sigaction(number, NULL, &action));
    say("%s: %s, flags %#x, mask %d %d %d", label,
        action.sa_handler == SIG_DFL            ? "SIG_DFL"
        : action.sa_handler == SIG_IGN          ? "SIG_IGN"
        : action.sa_handler == jump             ? "jump"
        : action.sa_sigaction == jump_with_info ? "jump_with_info"
                                                : "something else",
        (unsigned)action.sa_flags & ~0x04000000u, sigismember(&action.sa_mask, SIGUSR1),
        sigismember(&action.sa_mask, SIGSEGV), sigismember(&action.sa_mask, SIGBUS));
}

static void actions_are_as_set(void)
{
    start();
    served();
    static const int numbers[] = {SIGSEGV, SIGBUS};
    for (int i = 0; i < 2; i++) {
        int number = numbers[i];
        say_action("at first", number);
        struct sigaction action = {.sa_handler = jump}, old;
        sigaddset(&action.sa_mask, SIGUSR1);
        CALL(sigaction(number, &action, &old));
        say("old default: %d", old.sa_handler == SIG_DFL);
        say_action("jump", number);
        served();
        faulting();
        say_action("after a fault", number);
        action.sa_sigaction = jump_with_info;
        action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
        sigaddset(&action.sa_mask, SIGSEGV);
        sigaddset(&action.sa_mask, SIGBUS);
        CALL(sigaction(number, &action, &old));
        say("old jump: %d", old.sa_handler == jump);
        say_action("jump_with_info", number);
        CALL(signal(number, SIG_IGN) == (void (*)(int))jump_with_info);
        say_action("ignored", number);
        faulting();
        served();
        CALL(signal(number, SIG_DFL) == SIG_IGN);
        say_action("default", number);
        CALL(signal(number, jump) == SIG_DFL);
        say_action("by signal", number);
        CALL(sysv_signal(number, jump) == jump);
        say_action("by sysv_signal", number);
        CALL(ssignal(number, SIG_DFL) == jump);
        CALL(sigset(number, jump) == SIG_DFL);
        say_action("by sigset", number);
        CALL(siginterrupt(number, 1));
        signal(number, SIG_DFL);
    }
    CALL(sigaction(0, NULL, NULL));
    CALL(sigaction(999, NULL, NULL));
    CALL(sigaction(SIGKILL, &(struct sigaction){.sa_handler = jump}, NULL));
    CALL(signal(SIGKILL, jump) == SIG_ERR);
    say_action("others", SIGUSR1);
}

static void own_handlers_catch_own_faults(void)
{
    start();
    unsigned char *beyond = beyond_end(), *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_sigaction = jump_with_info, .sa_flags = SA_SIGINFO};
    CALL(sigaction(SIGSEGV, &action, NULL));
    served();
    CALL(sigaction(SIGBUS, &action, NULL));
    for (int i = 0; i < 3; i++) {
        touch("PROT_NONE", none);
        touch("NULL", NULL);
        touch("beyond the end", beyond);
        faulting();
        served();
        touch("good", buffer);
    }
    signal(SIGSEGV, jump);
    signal(SIGBUS, jump);
    touch("PROT_NONE", none);
    touch("beyond the end", beyond);
    action.sa_flags = SA_SIGINFO | SA_RESETHAND;
    CALL(sigaction(SIGSEGV, &action, NULL));
    touch("PROT_NONE", none);
    say_action("reset", SIGSEGV);
    IN_CHILD(touch("PROT_NONE", none));
    CALL(sigaction(SIGSEGV, &action, NULL));
    caught = 0;
    if (sigsetjmp(back, 1) == 0)
        raise(SIGSEGV);
    say("raised: %d code %d", caught == SIGSEGV, code);
    say_action("reset", SIGSEGV);
    faulting();
    served();
}

static void *volatile stack_seen;

static void note_stack(int number, siginfo_t *info, void *context)
{
    int local;
    stack_seen = &local;
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    say("handler: %s blocked USR1 %d USR2 %d, pc inside a context %d", sigabbrev_np(number),
        sigismember(&blocked, SIGUSR1), sigismember(&blocked, SIGUSR2),
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] != 0);
    jump_with_info(number, info, context);
}

static void alternate_stack_and_mask(void)
{
    start();
    char *stack = malloc(1 << 16);
    stack_t alternate = {.ss_sp = stack, .ss_size = 1 << 16};
    CALL(sigaltstack(&alternate, NULL));
    struct sigaction action = {.sa_sigaction = note_stack, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaddset(&action.sa_mask, SIGUSR2);
    CALL(sigaction(SIGSEGV, &action, NULL));
    served();
    faulting();
    for (int i = 0; i < 2; i++) {
        touch("NULL", NULL);
        say("on the alternate stack: %d", (char *)stack_seen >= stack && (char *)stack_seen < stack + (1 << 16));
        action.sa_flags = SA_SIGINFO;
        CALL(sigaction(SIGSEGV, &action, NULL));
    }
    sigset_t blocked;
    CALL(sigprocmask(SIG_BLOCK, NULL, &blocked));
    say("afterwards blocked: USR2 %d", sigismember(&blocked, SIGUSR2));
}

// What the program sees of its mask, and that a served call survives a fault under any mask.
static void masks_are_as_set(void)
{
    start();
    served();
    sigset_t all, none, old;
    sigfillset(&all);
    sigemptyset(&none);
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            CALL(sigprocmask(SIG_BLOCK, &all, &old));
        else
            CALL(pthread_sigmask(SIG_SETMASK, &all, &old));
        say("old: SEGV %d BUS %d USR1 %d", sigismember(&old, SIGSEGV), sigismember(&old, SIGBUS),
            sigismember(&old, SIGUSR1));
        CALL(sigprocmask(SIG_BLOCK, NULL, &old));
        say("now: SEGV %d BUS %d USR1 %d", sigismember(&old, SIGSEGV), sigismember(&old, SIGBUS),
            sigismember(&old, SIGUSR1));
        served();
        faulting();
        CALL(pwrite(fd, (void *)4096, 9000, 1 << 20));
        CALL(sigprocmask(SIG_UNBLOCK, &all, &old));
        say("old: SEGV %d BUS %d USR1 %d", sigismember(&old, SIGSEGV), sigismember(&old, SIGBUS),
            sigismember(&old, SIGUSR1));
        CALL(sigprocmask(SIG_SETMASK, NULL, &old));
        say("now: SEGV %d BUS %d USR1 %d", sigismember(&old, SIGSEGV), sigismember(&old, SIGBUS),
            sigismember(&old, SIGUSR1));
    }
    CALL(sigprocmask(77, &all, NULL));
    CALL(sighold(SIGSEGV));
    faulting();
    CALL(sigrelse(SIGSEGV));
    CALL(sigblock(1 << (SIGSEGV - 1)));
    faulting();
    CALL(sigsetmask(0) == 1 << (SIGSEGV - 1));
    struct timespec now = {0, 1000000};
    CALL(pselect(0, NULL, NULL, NULL, &now, &all));
    CALL(ppoll(NULL, 0, &now, &all));
    int epoll = epoll_create1(0);
    struct epoll_event event;
    CALL(epoll_pwait(epoll, &event, 1, 1, &all));
    faulting();
    served();
}

static volatile int nested;
static void reads_in_handler(int number)
{
    (void)number;
    unsigned char bytes[9000];
    int saved = errno;
    nested += pread(fd, bytes, sizeof bytes, 2 << 20) == (ssize_t)sizeof bytes && bytes[0] == pattern(1, 2 << 20);
    errno = saved;
}

static void reads_in_signal_handlers(void)
{
    start();
    signal(SIGALRM, reads_in_handler);
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    long wrong = 0;
    for (int i = 0; i < 30000 || nested < 50; i++) {
        long at = i * 4099l % (5 << 20);
        if (pread(fd, buffer, 9000, at) != 9000 || buffer[0] != pattern(1, at) || buffer[8999] != pattern(1, at + 8999))
            wrong++;
        if (i % 16 == 0 && pwrite(fd, buffer, 9000, at) != 9000)
            wrong++;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    say("%ld wrong", wrong);
    truth("file");
}

static void crashes(void)
{
    start();
    unsigned char *beyond = beyond_end();
    served();
    say("-- SIGSEGV");
    IN_CHILD(warm(fd); sink = *(volatile unsigned char *)16);
    say("-- SIGBUS");
    IN_CHILD(warm(fd); sink = *(volatile unsigned char *)beyond);
    say("-- kill SEGV");
    IN_CHILD(warm(fd); kill(getpid(), SIGSEGV));
    say("-- raise BUS");
    IN_CHILD(warm(fd); raise(SIGBUS));
    say("-- abort");
    IN_CHILD(warm(fd); abort());
    say("-- trap");
    IN_CHILD(warm(fd); __builtin_trap());
    say("-- blocked SEGV");
    IN_CHILD({
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        warm(fd);
        sink = *(volatile unsigned char *)16;
    });
    say("-- ignored SEGV, sent");
    IN_CHILD(warm(fd); signal(SIGSEGV, SIG_IGN); kill(getpid(), SIGSEGV); served());
    say("-- ignored SEGV, real");
    IN_CHILD(warm(fd); signal(SIGSEGV, SIG_IGN); sink = *(volatile unsigned char *)16);
    say("-- blocked SEGV, sent");
    IN_CHILD({
        sigset_t one;
        sigset_t pending;
        sigemptyset(&one);
        sigaddset(&one, SIGSEGV);
        warm(fd);
        CALL(sigprocmask(SIG_BLOCK, &one, NULL));
        kill(getpid(), SIGSEGV);
        sigpending(&pending);
        say("pending %d", sigismember(&pending, SIGSEGV));
        fflush(stdout);
        CALL(sigprocmask(SIG_UNBLOCK, &one, NULL));
        say("not reached");
    });
}

static void waited_for(void)
{
    start();
    served();
    sigset_t one;
    siginfo_t info;
    int number;
    struct timespec soon = {0, 1000000};
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    CALL(sigprocmask(SIG_BLOCK, &one, NULL));
    kill(getpid(), SIGUSR1);
    CALL(sigwait(&one, &number));
    kill(getpid(), SIGUSR1);
    CALL(sigwaitinfo(&one, &info) == SIGUSR1);
    CALL(sigtimedwait(&one, &info, &soon));
    int signals = signalfd(-1, &one, SFD_NONBLOCK);
    CALL(read(signals, buffer, sizeof(struct signalfd_siginfo)));
    kill(getpid(), SIGUSR1);
    CALL(read(signals, buffer, sizeof(struct signalfd_siginfo)));
    served();
}

static ucontext_t first, second;
static char second_stack[1 << 16];

static void say_blocked(const char *label)
{
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    say("%s: SEGV %d USR1 %d", label, sigismember(&blocked, SIGSEGV), sigismember(&blocked, SIGUSR1));
}

static void in_second(void)
{
    for (;;) {
        say_blocked("second");
        served();
        faulting();
        swapcontext(&second, &first);
    }
}

static void contexts(void)
{
    start();
    sigset_t all;
    sigfillset(&all);
    getcontext(&second);
    second.uc_stack = (stack_t){.ss_sp = second_stack, .ss_size = sizeof second_stack};
    second.uc_link = NULL;
    second.uc_sigmask = all;
    makecontext(&second, in_second, 0);
    for (int i = 0; i < 3; i++) {
        say_blocked("first");
        swapcontext(&first, &second);
        faulting();
        served();
    }
    say_blocked("first");
}

// The mask is inherited by exec: a program may begin with everything blocked.
static void begins_blocked(void)
{
    start();
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    char program[PATH_MAX + 32];
    snprintf(program, sizeof program, "%s/crash-signals", programs_directory);
    IN_CHILD(execl(program, program, "blocked-from-the-start", ".", NULL));
}

// SIGSEGV and SIGBUS are not: a program under the shim finds them unblocked (docs/limitations.md).
static void blocked_from_the_start(void)
{
    sigset_t blocked;
    start();
    CALL(sigprocmask(SIG_BLOCK, NULL, &blocked));
    say("USR1 %d TERM %d ALRM %d", sigismember(&blocked, SIGUSR1), sigismember(&blocked, SIGTERM),
        sigismember(&blocked, SIGALRM));
    served();
    faulting();
    served();
}

static void *reads_with_all_blocked(void *unused)
{
    (void)unused;
    sigset_t all, old;
    sigfillset(&all);
    CALL(pthread_sigmask(SIG_SETMASK, &all, NULL));
    served();
    faulting();
    CALL(pthread_sigmask(SIG_SETMASK, NULL, &old));
    say("SEGV %d", sigismember(&old, SIGSEGV));
    return NULL;
}

static void threads_and_masks(void)
{
    start();
    pthread_t thread;
    sigset_t all, attribute_mask;
    sigfillset(&all);
    pthread_create(&thread, NULL, reads_with_all_blocked, NULL);
    pthread_join(thread, NULL);
    CALL(pthread_sigmask(SIG_SETMASK, &all, NULL));
    pthread_create(&thread, NULL, reads_with_all_blocked, NULL);
    pthread_join(thread, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CALL(pthread_attr_setsigmask_np(&attributes, &all));
    CALL(pthread_attr_getsigmask_np(&attributes, &attribute_mask));
    pthread_create(&thread, &attributes, reads_with_all_blocked, NULL);
    pthread_join(thread, NULL);
}

PROGRAM({"actions-are-as-set", actions_are_as_set}, {"own-handlers-catch-own-faults", own_handlers_catch_own_faults},
        {"alternate-stack-and-mask", alternate_stack_and_mask}, {"masks-are-as-set", masks_are_as_set},
        {"reads-in-signal-handlers", reads_in_signal_handlers}, {"crashes", crashes}, {"waited-for", waited_for},
        {"contexts", contexts}, {"begins-blocked", begins_blocked}, {"blocked-from-the-start", blocked_from_the_start},
        {"threads-and-masks", threads_and_masks})
