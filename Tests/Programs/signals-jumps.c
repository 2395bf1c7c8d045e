// Handlers that never return: they jump out of whatever call they interrupted. Afterwards all goes on as before.
#include <pthread.h>
#include <setjmp.h>
#include <ucontext.h>

#include "storm.h"

#define JUMPS 300

static unsigned char buffer[1 << 20];
static int fd;
static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t armed;
static __thread volatile long jumps;

static void jump(int number)
{
    (void)number;
    if (!armed)
        return;
    armed = 0;
    jumps++;
    siglongjmp(back, 1);
}

static void catch_by(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    if (sigaction(SIGALRM, &action, NULL) != 0)
        die("sigaction");
}

enum what { PREAD, READ, PWRITE, WRITE, WRITEV, OPEN_CLOSE, KINDS };

static void call(enum what what, long i)
{
    long at = i * 4099 % (4 << 20), count = i % 8 == 0 ? 300000 : 9000;
    struct iovec parts[2] = {{buffer, 1000}, {buffer + 1000, (size_t)count - 1000}};
    switch (what) {
    case PREAD: pread(fd, buffer, (size_t)count, at); break;
    case READ: read(fd, buffer, (size_t)count); break;
    case PWRITE: pwrite(fd, buffer, (size_t)count, at); break;
    case WRITE: write(fd, buffer, (size_t)count); break;
    case WRITEV: pwritev(fd, parts, 2, at); break;
    default:
        lseek(fd, at, SEEK_SET);
        ftruncate(fd, FILE_SIZE);
        break;
    }
}

static void jump_out_of(enum what what)
{
    timer_t timer = storm_begin(SIGALRM, 23000);
    volatile long i = 0;
    for (jumps = 0; jumps < JUMPS;) {
        sigsetjmp(back, 1);
        armed = 1;
        for (;; i++) {
            if (jumps >= JUMPS)
                break;
            if (what == READ || what == WRITE)
                lseek(fd, i * 4099 % (4 << 20), SEEK_SET);
            call(what, i);
        }
        armed = 0;
    }
    armed = 0;
    storm_end(timer);
}

// What was left undone is done again, and is then as it should be.
static void rewrite_and_check(void)
{
    long failed = 0;
    for (long at = 0; at < FILE_SIZE; at += PAGE * 2) {
        long count = FILE_SIZE - at < PAGE * 2 ? FILE_SIZE - at : PAGE * 2;
        fill(buffer, 1, at, count);
        failed += pwrite(fd, buffer, (size_t)count, at) != count;
    }
    for (long at = 0; at < FILE_SIZE; at += PAGE * 2) {
        long count = FILE_SIZE - at < PAGE * 2 ? FILE_SIZE - at : PAGE * 2;
        failed += pread(fd, buffer, (size_t)count, at) != count || buffer[17] != pattern(1, at + 17);
    }
    say("%ld failed", failed);
    truth("file");
}

static void *idle(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

// With a second thread the shim can take no short cuts.
static void second_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, idle, NULL) != 0)
        die("pthread_create");
}

static void block_alarms(int how)
{
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(how, &alarms, NULL);
}

static void jumps_out_of_calls(void)
{
    for (int i = PREAD; i < KINDS; i++) {
        jump_out_of((enum what)i);
        rewrite_and_check();
        say("comes and goes: %d", comes_and_goes("other", 300));
    }
}

static void alone(void)
{
    fd = open_file("file", 1, O_RDWR);
    make_file("other", 2, 1 << 20);
    catch_by(jump, 0);
    jumps_out_of_calls();
}

static void beside_a_thread(void)
{
    fd = open_file("file", 1, O_RDWR);
    make_file("other", 2, 1 << 20);
    catch_by(jump, 0);
    block_alarms(SIG_BLOCK);
    second_thread();
    block_alarms(SIG_UNBLOCK);
    jumps_out_of_calls();
}

static void from_another_stack(void)
{
    fd = open_file("file", 1, O_RDWR);
    make_file("other", 2, 1 << 20);
    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    sigaltstack(&stack, NULL);
    catch_by(jump, SA_ONSTACK);
    block_alarms(SIG_BLOCK);
    second_thread();
    block_alarms(SIG_UNBLOCK);
    jumps_out_of_calls();
}

// ---- one thread after the other is jumped out of, and ends ----------------------------------------------------
static void *jumper(void *unused)
{
    (void)unused;
    for (int i = 0; i < 4; i++) {
        if (sigsetjmp(back, 1) == 0) {
            timer_t timer = storm_begin(SIGALRM, 20000);
            for (long k = 0; k < 100000; k++) {
                armed = 1;
                pwrite(fd, buffer, 100000, k * 4099 % (4 << 20));
                armed = 0;
            }
            storm_end(timer);
        }
    }
    return NULL;
}

static void threads_that_end(void)
{
    fd = open_file("file", 1, O_RDWR);
    make_file("other", 2, 1 << 20);
    catch_by(jump, 0);
    for (int i = 0; i < 30; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, jumper, NULL);
        pthread_join(thread, NULL);
    }
    block_alarms(SIG_BLOCK);
    rewrite_and_check();
    say("comes and goes: %d", comes_and_goes("other", 300));
}

// ---- two contexts that a timer switches between, each in the middle of its calls ------------------------------
#define SWITCHES 1000

static ucontext_t contexts[2];
static volatile int running, ended;
static volatile long switches, wrong;
static char stacks[2][1 << 17];

static void switch_over(int number)
{
    (void)number;
    if (switches == SWITCHES)
        return;
    int from = running;
    running = !from;
    switches++;
    swapcontext(&contexts[from], &contexts[!from]);
}

static void in_context(void)
{
    unsigned char bytes[9000];
    // Not before: a signal in the middle of the switch to a context that does not block it would save that switch as
    // the context's state, on a stack that goes on without it.
    block_alarms(SIG_UNBLOCK);
    for (long i = 0; switches < SWITCHES; i++) {
        long at = i * 4099 % (4 << 20);
        memset(bytes, 0, sizeof bytes);
        if (pread(fd, bytes, sizeof bytes, at) != sizeof bytes || bytes[0] != pattern(1, at)
            || bytes[8999] != pattern(1, at + 8999))
            wrong++;
        if (i % 4 == 0 && pwrite(fd, bytes, sizeof bytes, at) != sizeof bytes)
            wrong++;
        if (i % 64 == 0) {
            int other = open("other", O_RDWR);
            if (pread(other, bytes, PAGE, PAGE) != PAGE || bytes[1] != pattern(2, PAGE + 1))
                wrong++;
            close(other);
        }
    }
    ended++;
}

static void switched_by_a_timer(void)
{
    fd = open_file("file", 1, O_RDWR);
    make_file("other", 2, 1 << 20);
    catch_by(switch_over, 0);
    ucontext_t here;
    block_alarms(SIG_BLOCK);
    for (int i = 0; i < 2; i++) {
        getcontext(&contexts[i]);
        contexts[i].uc_stack = (stack_t){.ss_sp = stacks[i], .ss_size = sizeof stacks[i]};
        contexts[i].uc_link = &here;
        makecontext(&contexts[i], in_context, 0);
    }
    volatile bool started = false;
    getcontext(&here);
    if (!started) {
        started = true;
        storm_begin(SIGALRM, 100000);
        setcontext(&contexts[0]);
    }
    // The other one, too, comes to its end: left in the middle of a call it would keep what that call uses.
    if (ended == 1)
        setcontext(&contexts[!running]);
    block_alarms(SIG_BLOCK);
    say("%ld wrong", wrong);
    truth("file");
    say("comes and goes: %d", comes_and_goes("other", 300));
}

PROGRAM({"alone", alone}, {"beside-a-thread", beside_a_thread}, {"from-another-stack", from_another_stack},
        {"threads-that-end", threads_that_end}, {"switched-by-a-timer", switched_by_a_timer})
