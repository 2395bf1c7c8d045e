// Descriptors that come and go between processes, with and without the shim: one offset, whoever moves it; and the same
// files opened again through /proc.
#include <sys/pidfd.h>

#include "process.h"

static int pair[2];

static void make_pair(void)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        die("socketpair");
}

// One step by the process at the other end, done when this returns.
static void other_steps(void)
{
    char byte = 0;
    fflush(stdout);
    if (write(pair[0], "s", 1) != 1 || read(pair[0], &byte, 1) != 1 || byte != 'd')
        die("the other end is gone");
}

static pid_t started(int shim, char *action, char *first_generation, char *file)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fcntl(pair[1], F_SETFD, 0);
        EXEC_HELPER(shim, action, text_of(pair[1]), first_generation, file);
    }
    return child;
}

static void ended(pid_t child)
{
    write(pair[0], "e", 1);
    wait_for(child);
    close(pair[0]);
    close(pair[1]);
}

static void sent(void)
{
    for (int shim = 0; shim < 2; shim++) {
        say("-- to a program %s", shim_names[shim]);
        make_pair();
        int fd = open_file("file", 1, O_RDWR);
        step("sender", fd);
        pid_t child = started(shim, "receive", "100", NULL);
        send_descriptors(pair[0], &fd, 1);
        for (int i = 0; i < 6; i++) {
            other_steps();
            step("sender", fd);
            if (i == 3)
                CALL(lseek(fd, 3000000, SEEK_SET));
        }
        close(fd);
        other_steps();
        int again = open("file", O_RDWR);
        say("  the same number: %d", again == fd);
        step("opened again", again);
        other_steps();
        close(again);
        ended(child);
        truth("file");
    }
}

static void received(void)
{
    for (int shim = 0; shim < 2; shim++) {
        say("-- from a program %s", shim_names[shim]);
        make_pair();
        make_file("file", 1, FILE_SIZE);
        pid_t child = started(shim, "send", "100", "file");
        int fd = -1;
        if (receive_descriptors(pair[0], &fd, 1, 0) != 1)
            die("nothing received");
        warm(fd);
        for (int i = 0; i < 6; i++) {
            step("receiver", fd);
            other_steps();
            if (i == 3)
                CALL(lseek(fd, 3000000, SEEK_SET));
        }
        ended(child);
        step("receiver, alone", fd);
        close(fd);
        truth("file");
    }
}

// Both ends read at once, to the end: every byte once.
static void drained_together(void)
{
    for (int shim = 0; shim < 2; shim++) {
        int fd = numbered(open_file("file", 1, O_RDWR), 7), ends[2];
        fcntl(fd, F_SETFD, 0);
        if (pipe(ends) != 0)
            die("pipe");
        say("-- with a program %s", shim_names[shim]);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            EXEC_HELPER(shim, "drain", "7", text_of(ends[1]));
        uint64_t sums[2] = {0, 0}, others[2];
        long count;
        while ((count = read(fd, buffer, 3000)) > 0) {
            sums[0] += hash_of(buffer, (size_t)count);
            sums[1] += (uint64_t)count;
        }
        read(ends[0], others, sizeof others);
        wait_for(child);
        say("%lu bytes, sum of chunks %016lx", sums[1] + others[1], sums[0] + others[0]);
        OFFSET(fd);
    }
}

static void many_at_once(void)
{
    make_pair();
    int fds[8], got[8];
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "file%d", i);
        fds[i] = open_file(name, i, O_RDWR);
    }
    for (int round = 0; round < 3; round++) {
        say("-- peeked at, and taken");
        send_descriptors(pair[0], fds, 8);
        int count = receive_descriptors(pair[1], got, 8, MSG_PEEK);
        for (int i = 0; i < count; i++)
            look("peeked", got[i]);
        for (int i = 0; i < count; i++)
            raw(SYS_close, got[i], 0, 0, 0, 0, 0); // in hiding: only the message tells of the next ones
        count = receive_descriptors(pair[1], got, 8, 0);
        for (int i = 0; i < count; i++) {
            look("taken", got[i]);
            close(got[i]);
        }
        say("-- other files under the same numbers");
        int turned[8];
        for (int i = 0; i < 8; i++)
            turned[i] = fds[(i + 3) % 8];
        send_descriptors(pair[0], turned, 8);
        count = receive_descriptors(pair[1], got, 8, 0);
        for (int i = 0; i < count; i++)
            look("turned", got[i]);
        for (int i = 0; i < count; i++)
            raw(SYS_close, got[i], 0, 0, 0, 0, 0);
        say("-- cut off");
        send_descriptors(pair[0], fds, 8);
        count = receive_descriptors(pair[1], got, 3, 0);
        say("%d of 8", count);
        for (int i = 0; i < count; i++) {
            look("not cut off", got[i]);
            close(got[i]);
        }
    }
    say("-- in flight, with nothing else open");
    send_descriptors(pair[0], fds, 4);
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "file%d", i);
        close(fds[i]);
        unlink(name);
    }
    int count = receive_descriptors(pair[1], got, 8, 0);
    for (int i = 0; i < count; i++) {
        step("landed", got[i]);
        look("landed", got[i]);
    }
}

// pidfd_getfd: a descriptor taken out of another process, or by it out of us.
static void taken(void)
{
    int one = open_file("one", 1, O_RDWR), two = open_file("two", 2, O_RDWR), ends[2];
    if (pipe(ends) != 0)
        die("pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        dup2(two, one);
        warm(one);
        read(ends[0], &byte, 1);
        _exit(0);
    }
    int pidfd = pidfd_open(child, 0), fd = -1;
    for (int i = 0; i < 2000; i++) { // until the child has replaced it
        struct stat mine, its;
        if (fd >= 0)
            close(fd);
        fd = pidfd_getfd(pidfd, one, 0);
        if (fd < 0) {
            say("pidfd_getfd is refused: %s", strerrorname_np(errno));
            return;
        }
        fstat(two, &mine);
        fstat(fd, &its);
        if (mine.st_ino == its.st_ino)
            break;
        usleep(1000);
    }
    warm(fd);
    for (int i = 0; i < 4; i++) {
        look("taken", fd);
        step("taken", fd);
        step("two", two);
        look("one", one);
    }
    close(ends[1]);
    wait_for(child);
    step("taken, its process is gone", fd);
    pid_t taker = fork();
    if (taker == 0) {
        int ours = pidfd_getfd(pidfd_open(getppid(), 0), one, 0);
        warm(ours);
        step("taken out of the parent", ours);
        end_child();
    }
    wait_for(taker);
    step("one", one);
    truth("one");
    truth("two");
}

// ---- /proc -------------------------------------------------------------------------------------------------------
static int reopened(const char *directory, int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%d", directory, fd);
    int result = open(path, flags);
    say("open of %s of it = %s", directory, result >= 0 ? "a descriptor" : strerrorname_np(errno));
    return result;
}

static void opened_through_proc(void)
{
    static const char *const directories[] = {"/proc/self/fd", "/dev/fd", "/proc/thread-self/fd"};
    for (int i = 0; i < 3; i++) {
        int fd = open_file("file", 1, O_RDWR);
        step("first", fd);
        int again = reopened(directories[i], fd, O_RDWR), reader = reopened(directories[i], fd, O_RDONLY),
            appender = reopened(directories[i], fd, O_RDWR | O_APPEND),
            path = reopened(directories[i], fd, O_PATH), writer = reopened(directories[i], path, O_WRONLY);
        warm(again);
        warm(reader);
        for (int k = 0; k < 2; k++) {
            step("again", again);
            step("first", fd);
            step("reader", reader);
            step("appender", appender);
            step("by path", path);
            step("writer", writer);
        }
        say("-- the first closed, its number reused by a reopening");
        int number = fd;
        close(fd);
        fd = reopened(directories[i], reader, O_RDWR);
        say("  the same number: %d", number == fd);
        step("first again", fd);
        say("-- unlinked");
        CALL(unlink("file"));
        int third = reopened(directories[i], again, O_RDWR);
        step("third", third);
        step("again", again);
        say("-- cut short through /proc");
        int cut = reopened(directories[i], again, O_RDWR | O_TRUNC);
        step("cut", cut);
        step("again", again);
        look("again", again);
        for (int k = 3; k < 64; k++)
            close(k);
    }
}

static void opened_by_a_child(void)
{
    int fd = open_file("file", 1, O_RDWR);
    step("parent", fd);
    IN_CHILD({
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/fd/%d", getppid(), fd);
        int its = open(path, O_RDWR);
        warm(its);
        step("child, its own", its);
        step("child, shared", fd);
    });
    step("parent", fd);
    say("-- a pipe of a program's output, and files by /dev/stdin");
    char command[256];
    snprintf(command, sizeof command, "cksum </dev/fd/%d; cat /proc/self/fd/%d | cksum", fd, fd);
    fcntl(fd, F_SETFD, 0);
    fflush(stdout);
    CALL(system(command));
    step("parent", fd);
    truth("file");
}

PROGRAM({"sent", sent}, {"received", received}, {"drained-together", drained_together}, {"many-at-once", many_at_once},
        {"taken", taken}, {"opened-through-proc", opened_through_proc}, {"opened-by-a-child", opened_by_a_child})
