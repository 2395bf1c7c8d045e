// How a process ends, as its parent sees it, and what programs with handlers of their own make of their faults.
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>

#include "storm.h"

static int fd;
static unsigned char buffer[300000];

static void *idle(void *unused)
{
    pause();
    return unused;
}

static void *keep_reading(void *unused)
{
    for (long i = 0;; i++)
        pread(fd, buffer, 9000, i * 4099 % (4 << 20));
    return unused;
}

static void *crash(void *unused)
{
    pread(fd, buffer, 9000, 1 << 20);
    *(volatile int *)16 = 1;
    return unused;
}

// Ends a child in some way and says everything that wait tells of it.
static void ends(const char *label, void (*body)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit large = {RLIM_INFINITY, RLIM_INFINITY};
        if (getrlimit(RLIMIT_CORE, &large) == 0)
            large.rlim_cur = large.rlim_max;
        setrlimit(RLIMIT_CORE, &large);
        warm(fd);
        body();
        _exit(0);
    }
    siginfo_t info;
    int status;
    struct rusage usage;
    if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) != 0 || wait4(child, &status, 0, &usage) != child)
        die("wait");
    say("%s: signo %d code %d status %d; %d %d core %d", label, info.si_signo, info.si_code, info.si_status,
        WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
        WIFSIGNALED(status) && WCOREDUMP(status));
}

static unsigned char *beyond;

static void by_segv(void) { *(volatile int *)16 = 1; }
static void by_bus(void) { *(volatile unsigned char *)beyond = 1; }
static void by_kill(void) { kill(getpid(), SIGSEGV); pause(); }
static void by_queue(void) { sigqueue(getpid(), SIGBUS, (union sigval){.sival_int = 3}); pause(); }
static void by_abort(void) { abort(); }
static void by_trap(void) { __builtin_trap(); }
static void by_term(void) { raise(SIGTERM); }
static void by_kill9(void) { raise(SIGKILL); }
static void no_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    by_segv();
}
static void in_thread(void)
{
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, idle, NULL);
    pthread_create(&threads[1], NULL, keep_reading, NULL);
    pthread_create(&threads[2], NULL, crash, NULL);
    pthread_join(threads[2], NULL);
}
static void beside_reader(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, keep_reading, NULL);
    usleep(1000);
    raise(SIGSEGV);
}
static int deep(volatile int depth)
{
    char frame[4096];
    memset(frame, depth, sizeof frame);
    return depth < INT_MAX ? deep(depth + 1) + frame[17] : 0;
}
static void by_overflow(void) { deep(0); }

static void exhausted(int number)
{
    (void)number;
    _exit(42);
}
static void overflow_caught(void)
{
    stack_t other = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    sigaltstack(&other, NULL);
    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = exhausted, .sa_flags = SA_ONSTACK}, NULL);
    deep(0);
}
static void overflow_not_caught(void)
{
    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = exhausted}, NULL);
    deep(0);
}
static void reset_by_handler(int number)
{
    signal(number, SIG_DFL);
    raise(number);
}
static void handler_lets_die(void)
{
    signal(SIGSEGV, reset_by_handler);
    by_segv();
}
static void returns(int number) { (void)number; }
static void second_time(void)
{
    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = returns, .sa_flags = (int)SA_RESETHAND}, NULL);
    by_segv(); // the handler returns, the fault comes again
}
static void faults_in_handler(int number)
{
    (void)number;
    by_segv();
}
static void nested_blocked(void)
{
    signal(SIGSEGV, faults_in_handler);
    by_segv();
}
static void nested_other(void)
{
    signal(SIGBUS, faults_in_handler);
    by_bus();
}

static void as_the_parent_sees_it(void)
{
    fd = open_file("file", 1, O_RDWR);
    make_file("short", 2, 100);
    beyond = (unsigned char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, open("short", O_RDWR), 0) + 4096;
    ends("segv", by_segv);
    ends("bus", by_bus);
    ends("kill", by_kill);
    ends("queue", by_queue);
    ends("abort", by_abort);
    ends("trap", by_trap);
    ends("term", by_term);
    ends("kill -9", by_kill9);
    ends("no core", no_core);
    ends("in a thread", in_thread);
    ends("beside a reader", beside_reader);
    ends("overflow", by_overflow);
    ends("overflow caught", overflow_caught);
    ends("overflow not caught", overflow_not_caught);
    ends("handler lets die", handler_lets_die);
    ends("second time", second_time);
    ends("nested, blocked", nested_blocked);
    ends("nested, other", nested_other);
}

// ---- a program that lives by its faults: pages made accessible as they are touched ----------------------------
#define PAGES 512
static unsigned char *heap;
static volatile long made, unexpected;

static void make_accessible(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    unsigned char *page = (unsigned char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));
    if (page < heap || page >= heap + PAGES * PAGE || info->si_code != SEGV_ACCERR)
        unexpected++;
    // Served calls in the handler itself.
    int saved = errno;
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    if (pread(fd, page, PAGE, page - heap) != PAGE)
        unexpected++;
    errno = saved;
    made++;
}

static void paging_of_its_own(void)
{
    fd = open_file("file", 1, O_RDWR);
    heap = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = make_accessible, .sa_flags = SA_SIGINFO}, NULL);
    long wrong = 0;
    for (int round = 0; round < 4; round++) {
        mprotect(heap, PAGES * PAGE, PROT_NONE);
        made = 0;
        for (long i = 0; i < PAGES; i++) {
            long at = i * 37 % PAGES * PAGE + i;
            wrong += heap[at] != pattern(1, at);
        }
        say("%ld pages made, %ld wrong, %ld unexpected", made, wrong, unexpected);
        // Natively a system call never calls that handler: bad memory is EFAULT.
        mprotect(heap, PAGES * PAGE, PROT_NONE);
        CALL(pread(fd, heap + 5 * PAGE, 9000, 1 << 20));
        CALL(pwrite(fd, heap + 5 * PAGE, 9000, 1 << 20));
        mprotect(heap + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE);
        CALL(pread(fd, heap + 5 * PAGE, 9000, 1 << 20));
        CALL(lseek(fd, 1 << 20, SEEK_SET));
        CALL(read(fd, heap + 5 * PAGE, 9000));
        OFFSET(fd);
        CALL(pwrite(fd, heap + 5 * PAGE, 9000, 5 * PAGE));
    }
    truth("file");
}

// ---- null pointers as a language's exceptions -----------------------------------------------------------------
static sigjmp_buf back;
static void to_exception(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    siglongjmp(back, info->si_addr == NULL ? 1 : 2);
}

static void null_checks(void)
{
    fd = open_file("file", 1, O_RDWR);
    sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = to_exception, .sa_flags = SA_SIGINFO | SA_NODEFER}, NULL);
    volatile long caught = 0, wrong = 0;
    for (volatile long i = 0; i < 20000; i++) {
        if (sigsetjmp(back, 1) == 0)
            buffer[0] = *(volatile unsigned char *)NULL;
        else
            caught++;
        long at = i * 4099 % (4 << 20);
        wrong += pread(fd, buffer, 9000, at) != 9000 || buffer[8999] != pattern(1, at + 8999);
    }
    say("%ld caught, %ld wrong", caught, wrong);
}

// ---- calls in handlers, in the middle of calls and of malloc --------------------------------------------------
static volatile long handled, wrong_there;

static void works(int number)
{
    static volatile unsigned turn;
    unsigned char own[9000];
    int saved = errno;
    unsigned mine = turn++;
    long at = mine * 4099l % (4 << 20);
    switch ((mine + (unsigned)number) % 5) {
    case 0: wrong_there += pread(fd, own, 9000, at) != 9000; break;
    // The very bytes that the interrupted call may be writing, the same as they are.
    case 1: wrong_there += pwrite(fd, buffer, 70000, 1 << 20) != 70000; break;
    case 2: {
        int other = open("other", O_RDWR);
        wrong_there += other < 0 || pread(other, own, 5000, 4096) != 5000 || own[4999] != pattern(2, 4096 + 4999);
        wrong_there += write(other, own, 600) != 600 || fdatasync(other) != 0 || close(other) != 0;
        break;
    }
    case 3: {
        struct iovec parts[2] = {{own, 3000}, {own + 3000, 3000}};
        wrong_there += preadv(fd, parts, 2, at) != 6000;
        break;
    }
    default: wrong_there += lseek(fd, 0, SEEK_CUR) < 0;
    }
    handled++;
    errno = saved;
}

static void in_handlers(void)
{
    fd = open_file("file", 1, O_RDWR);
    make_file("other", 2, 1 << 20);
    for (long i = 0; i < 70000; i++)
        buffer[i] = 77;
    pwrite(fd, buffer, 70000, 1 << 20);
    struct sigaction action = {.sa_handler = works, .sa_flags = SA_RESTART | SA_NODEFER};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    timer_t first = storm_begin(SIGALRM, 300000), second = storm_begin(SIGUSR1, 470000);
    long wrong = 0;
    for (long i = 0; handled < 1000; i++) {
        // malloc is interrupted as well, and what its arenas hold must not be touched.
        void *parts[8];
        for (int k = 0; k < 8; k++)
            parts[k] = malloc((size_t)(i * 31 + k * 977) % 5000 + 1);
        for (int k = 0; k < 8; k++)
            free(parts[k]);
        wrong += pwrite(fd, buffer, 70000, 1 << 20) != 70000;
        long at = (2 << 20) + i * 4099 % (2 << 20);
        unsigned char bytes[9000];
        wrong += pread(fd, bytes, sizeof bytes, at) != sizeof bytes || bytes[8999] != pattern(1, at + 8999);
    }
    storm_end(first);
    storm_end(second);
    say("%ld wrong, %ld wrong in handlers", wrong, wrong_there);
    truth("file");
}

static void in_handlers_beside_a_thread(void)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGALRM);
    sigaddset(&both, SIGUSR1);
    sigprocmask(SIG_BLOCK, &both, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, idle, NULL);
    sigprocmask(SIG_UNBLOCK, &both, NULL);
    in_handlers();
}

PROGRAM({"as-the-parent-sees-it", as_the_parent_sees_it}, {"paging-of-its-own", paging_of_its_own},
        {"null-checks", null_checks}, {"in-handlers", in_handlers},
        {"in-handlers-beside-a-thread", in_handlers_beside_a_thread})
