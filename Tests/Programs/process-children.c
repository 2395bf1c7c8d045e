// Children by every way there is to make one: each starts with what its parent has open, shares its offsets, and knows
// nothing that its own closes have made untrue.
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "process.h"

// ---- forks -----------------------------------------------------------------------------------------------------
static pid_t by_fork(void) { return fork(); }
static pid_t by__Fork(void) { return _Fork(); }
static pid_t by_syscall_fork(void) { return (pid_t)syscall(SYS_fork); }
static pid_t by_syscall_clone(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }
static pid_t by_syscall_clone3(void)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}
static pid_t by_raw_fork(void) { return (pid_t)raw(SYS_fork, 0, 0, 0, 0, 0, 0); }
static pid_t by_raw_clone(void) { return (pid_t)raw(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0); }
static pid_t by_raw_clone3(void)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD, .flags = CLONE_FS};
    return (pid_t)raw(SYS_clone3, (long)&arguments, sizeof arguments, 0, 0, 0, 0);
}

static const struct {
    const char *name;
    pid_t (*fork)(void);
} forks[] = {{"fork", by_fork},
             {"_Fork", by__Fork},
             {"syscall(SYS_fork)", by_syscall_fork},
             {"syscall(SYS_clone)", by_syscall_clone},
             {"syscall(SYS_clone3)", by_syscall_clone3},
             {"the bare fork", by_raw_fork},
             {"the bare clone", by_raw_clone},
             {"the bare clone3", by_raw_clone3}};

static void forked_by_every_way(void)
{
    for (size_t i = 0; i < sizeof forks / sizeof *forks; i++) {
        say("-- %s", forks[i].name);
        int one = open_file("one", 1, O_RDWR), two = open_file("two", 2, O_RDWR);
        step("parent", one);
        fflush(stdout);
        pid_t child = forks[i].fork();
        if (child == 0) {
            step("child", one);
            look("child, one", one);
            dup2(two, one);
            look("child, replaced", one);
            close(two);
            look("child, closed", two);
            int again = open("one", O_RDWR);
            say("  the same number: %d", again == two);
            look("child, opened again", again);
            step("child", one);
            end_child();
        }
        wait_for(child);
        step("parent", one);
        look("parent, one", one);
        step("parent", two);
        close(one);
        close(two);
        truth("one");
        truth("two");
    }
}

// Only children do data calls often; what they are served is theirs alone.
static void served_in_children(void)
{
    int fd = open_file("file", 1, O_RDWR);
    for (size_t i = 0; i < sizeof forks / sizeof *forks; i++) {
        fflush(stdout);
        pid_t child = forks[i].fork();
        if (child == 0) {
            bool good = true;
            for (long k = 0; k < 400; k++) {
                long at = k * 12345 % (4l << 20);
                good &= pread(fd, buffer, 8192, at) == 8192 && buffer[0] == pattern(1, at) &&
                        buffer[8191] == pattern(1, at + 8191);
                good &= pwrite(fd, buffer, 8192, at) == 8192;
            }
            say("%s: %s", forks[i].name, good ? "good" : "BAD");
            end_child();
        }
        wait_for(child);
    }
    truth("file");
}

static volatile sig_atomic_t handled;

static void counts(int number)
{
    (void)number;
    handled = handled + 1;
}

// A child that sets actions for the two signals that a served call needs: they are its own, and no fault of a served
// call ever comes to them.
static void signals_in_children(void)
{
    if (vfork() == 0) // from here on this thread's state may have been another process's
        _exit(0);
    wait(NULL);
    for (size_t i = 0; i < sizeof forks / sizeof *forks; i++) {
        say("-- %s", forks[i].name);
        int fd = open_file("file", 1, O_RDWR);
        fflush(stdout);
        pid_t child = forks[i].fork();
        if (child == 0) {
            struct sigaction action = {.sa_handler = counts}, old;
            pread(fd, buffer, 9000, 5l << 20);
            CALL(sigaction(SIGSEGV, &action, &old));
            say("  it was the default: %d", old.sa_handler == SIG_DFL);
            CALL(signal(SIGBUS, counts) == SIG_DFL);
            for (int k = 0; k < 4; k++)
                pread(fd, buffer, 9000, 5l << 20);
            truncate("file", 1 << 20);
            int cut = (int)raw(SYS_openat, AT_FDCWD, (long)"file", O_WRONLY, 0, 0, 0);
            for (int k = 0; k < 4; k++) {
                raw(SYS_ftruncate, cut, 6l << 20, 0, 0, 0, 0);
                fill(buffer, 2, 0, 1 << 20);
                for (long at = 1 << 20; at < 6l << 20; at += 1 << 20)
                    pwrite(fd, buffer, 1 << 20, at);
                CALL(pread(fd, buffer, 9000, 5l << 20));
                raw(SYS_ftruncate, cut, 1 << 20, 0, 0, 0, 0); // nobody of ours tells
                CALL(pread(fd, buffer, 9000, 5l << 20));
                CALL(pread(fd, (void *)8, 9000, 4096));
            }
            say("  handled: %d", handled);
            raw(SYS_kill, raw(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGSEGV, 0, 0, 0, 0);
            say("  handled: %d", handled);
            CALL(sigaction(SIGBUS, NULL, &old));
            say("  it is ours: %d", old.sa_handler == counts);
            end_child();
        }
        wait_for(child);
        struct sigaction mine;
        sigaction(SIGSEGV, NULL, &mine);
        say("the parent has its own: %d", mine.sa_handler == SIG_DFL);
        close(fd);
    }
}

static void generations(int fd, int depth)
{
    step("generation", fd);
    if (depth == 0)
        return;
    fflush(stdout);
    pid_t child = depth % 2 ? fork() : _Fork();
    if (child == 0) {
        generations(fd, depth - 1);
        end_child();
    }
    wait_for(child);
    step("generation", fd);
}

static void children_of_children(void)
{
    int fd = open_file("file", 1, O_RDWR);
    generations(fd, 8);
    truth("file");
}

// ---- forks out of something ------------------------------------------------------------------------------------
static int busy_fd;
static volatile bool stop;

static void *keeps_busy(void *unused)
{
    unsigned char bytes[65536];
    (void)unused;
    for (long i = 0; !stop; i++) {
        long at = i * 40000 % (5l << 20);
        if (pread(busy_fd, bytes, sizeof bytes, at) != sizeof bytes || pwrite(busy_fd, bytes, sizeof bytes, at) < 0)
            break;
        int other = open("file", O_RDWR | O_CLOEXEC);
        pread(other, bytes, sizeof bytes, at);
        close(other);
    }
    return NULL;
}

// While other threads copy, learn, map and retire: whatever they hold, a child never waits for it.
static void forked_beside_busy_threads(void)
{
    pthread_t threads[3];
    busy_fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, keeps_busy, NULL);
    int good = 0;
    for (int i = 0; i < 40; i++) {
        fflush(stdout);
        pid_t child = forks[(size_t)i % (sizeof forks / sizeof *forks)].fork();
        if (child == 0) {
            bool fine = true;
            for (int k = 0; k < 5; k++) {
                fine &= pread(busy_fd, buffer, 70000, 100000 * k) == 70000;
                for (long at = 0; at < 70000; at++)
                    fine &= buffer[at] == pattern(1, 100000 * k + at);
            }
            int other = open("file", O_RDWR);
            warm(other);
            fine &= close(other) == 0 && close(busy_fd) == 0 && pread(busy_fd, buffer, 9000, 0) < 0;
            raw(SYS_exit_group, fine ? 0 : 1, 0, 0, 0, 0, 0);
        }
        int status;
        waitpid(child, &status, __WALL);
        good += status == 0;
    }
    stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    say("%d of 40 children were right", good);
    truth("file");
}

static volatile sig_atomic_t is_child;
static pid_t born[400];
static volatile sig_atomic_t births;
static long room; // bytes the child maps before it returns from the handler

// The child returns into the call that the signal has interrupted.
static void forks_in_handler(int number)
{
    (void)number;
    int saved = errno;
    if (!is_child && births < 400) {
        pid_t child = _Fork();
        if (child == 0) {
            is_child = 1;
            // What the child maps must not come to lie where its parent had something.
            for (int i = 0; room > 0 && i < 8; i++) {
                char *taken = mmap(NULL, (size_t)room, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
                // 512 MiB for each child otherwise, of which a busy machine has many at once.
                madvise(taken, (size_t)room, MADV_NOHUGEPAGE);
                for (long at = 0; at < room; at += 2 << 20)
                    taken[at] = 'x';
            }
        } else if (child > 0) {
            born[births] = child;
            births = births + 1;
        }
    }
    errno = saved;
}

static void forking_in_handlers(bool writes)
{
    static unsigned char bytes[1 << 20], right[5][1 << 20];
    int fd = open_file("file", 1, O_RDWR);
    for (long i = 0; i < 5; i++)
        fill(right[i], 1, i * 700000, sizeof right[i]);
    struct sigaction action = {.sa_handler = forks_in_handler, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 1500}, {0, 1500}}, never = {0};
    sigaction(SIGALRM, &action, NULL);
    for (int i = 0; i < 20; i++)
        pread(fd, bytes, sizeof bytes, 0); // hot
    setitimer(ITIMER_REAL, &often, NULL);
    bool good = true;
    for (long i = 0; births < 100 && i < 200000; i++) {
        long at = i % 5 * 700000;
        if (writes) {
            good &= pwrite(fd, right[i % 5], sizeof bytes, at) == sizeof bytes;
        } else {
            good &= pread(fd, bytes, sizeof bytes, at) == sizeof bytes;
            good &= memcmp(bytes, right[i % 5], sizeof bytes) == 0;
        }
        if (is_child) { // once more, with what it knows now
            good &= pread(fd, bytes, sizeof bytes, at) == sizeof bytes;
            good &= memcmp(bytes, right[i % 5], sizeof bytes) == 0;
            raw(SYS_exit_group, good ? 0 : 1, 0, 0, 0, 0, 0);
        }
    }
    setitimer(ITIMER_REAL, &never, NULL);
    int bad = 0, died = 0;
    for (int i = 0; i < births; i++) {
        int status = 0;
        waitpid(born[i], &status, 0);
        died += WIFSIGNALED(status);
        bad += WIFEXITED(status) && WEXITSTATUS(status) != 0;
    }
    say("enough children: %d, the parent was %s, %d children died, %d were wrong", births >= 100,
        good ? "right" : "WRONG", died, bad);
    truth("file");
}

static void forked_in_a_handler_while_reading(void) { forking_in_handlers(false); }
static void forked_in_a_handler_while_writing(void) { forking_in_handlers(true); }
static void forked_in_a_handler_that_maps(void)
{
    room = 64l << 20;
    forking_in_handlers(false);
}

// ---- vfork -----------------------------------------------------------------------------------------------------
static int one, two;

static void vforked_child_that_works(void)
{
    one = open_file("one", 1, O_RDWR);
    two = open_file("two", 2, O_RDWR);
    for (int way = 0; way < 6; way++) {
        static const char *const names[] = {"closes",          "opens in its place",  "fails to exec",
                                            "execs a helper", "moves by F_DUPFD", "closes everything"};
        static volatile long results[4];
        say("-- a child that %s", names[way]);
        char *numbers[] = {text_of(one), text_of(two)};
        fflush(stdout);
        pid_t child = vfork();
        if (child == 0) {
            switch (way) {
            case 0:
                results[0] = close(one);
                results[1] = pread(one, buffer, 9000, 4096);
                break;
            case 1:
                close(one);
                results[0] = open("two", O_RDWR) == one;
                results[1] = pread(one, buffer, 9000, 4096);
                break;
            case 2:
                dup2(two, one);
                execl("/nonexistent", "nonexistent", NULL);
                results[0] = errno;
                execl(".", ".", NULL);
                results[1] = errno;
                results[2] = pread(one, buffer, 9000, 4096);
                break;
            case 3:
                fcntl(two, F_SETFD, 0);
                dup2(two, one);
                lseek(two, 12345, SEEK_SET);
                execve(helper(), (char *[]){(char *)helper(), "probe", numbers[0], numbers[1], NULL}, environ);
                break;
            case 4:
                close(one);
                results[0] = fcntl(two, F_DUPFD, one) == one;
                results[1] = pread(one, buffer, 9000, 4096);
                break;
            case 5:
                closefrom(3);
                results[0] = pread(one, buffer, 9000, 4096);
                results[1] = open("two", O_RDWR) == 3;
                break;
            }
            _exit(way);
        }
        wait_for(child);
        say("  results %ld %ld %ld", results[0], results[1], results[2]);
        if (results[1] == 9000)
            say_origin("the child read", buffer, 9000, 4096);
        look("parent, one", one);
        look("parent, two", two);
        step("parent", one);
        step("parent", two);
    }
    truth("one");
    truth("two");
}

// A limit that a child in our memory sets is its own.
static void vforked_child_and_limits(void)
{
    one = open_file("one", 1, O_RDWR);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit, before, none = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &before);
    say("may be raised again: %d", before.rlim_max == RLIM_INFINITY);
    limit = (struct rlimit){1 << 20, RLIM_INFINITY};
    CALL(setrlimit(RLIMIT_FSIZE, &limit));
    fill(buffer, 5, 0, 8192);
    for (int i = 0; i < 4; i++)
        CALL(pwrite(one, buffer, 8192, 2 << 20));
    fflush(stdout);
    pid_t child = vfork();
    if (child == 0) {
        setrlimit(RLIMIT_FSIZE, &none);
        _exit(0);
    }
    wait_for(child);
    for (int i = 0; i < 8; i++) {
        CALL(pwrite(one, buffer, 8192, 600000)); // so that the next is not the first of its tick
        CALL(pwrite(one, buffer, 8192, 2 << 20)); // still EFBIG
    }
    CALL(pwrite(one, buffer, 8192, (1 << 20) - 4096));
    fflush(stdout);
    child = vfork();
    if (child == 0) {
        limit.rlim_cur = 1 << 19;
        setrlimit(RLIMIT_FSIZE, &limit);
        for (int i = 0; i < 4; i++)
            if (pwrite(one, buffer, 8192, 600000) >= 0)
                _exit(1);
        _exit(0);
    }
    wait_for(child);
    CALL(pwrite(one, buffer, 8192, 600000));
    CALL(setrlimit(RLIMIT_FSIZE, &none));
    CALL(pwrite(one, buffer, 8192, 2 << 20));
    truth("one");
}

PROGRAM({"forked-by-every-way", forked_by_every_way}, {"served-in-children", served_in_children},
        {"children-of-children", children_of_children}, {"signals-in-children", signals_in_children},
        {"forked-beside-busy-threads", forked_beside_busy_threads},
        {"forked-in-a-handler-while-reading", forked_in_a_handler_while_reading},
        {"forked-in-a-handler-while-writing", forked_in_a_handler_while_writing},
        {"forked-in-a-handler-that-maps", forked_in_a_handler_that_maps},
        {"vforked-child-that-works", vforked_child_that_works}, {"vforked-child-and-limits", vforked_child_and_limits})
