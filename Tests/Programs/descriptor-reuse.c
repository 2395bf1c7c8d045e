// A number that meant file 1, which is served, comes to mean something else: by every way there is. Whatever is read
// and written under that number afterwards, never one byte is of the wrong file.
#include <dirent.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <utmp.h>

#include "transcript.h"

#define AT 40960l
#define WRITE_AT 81920l

static unsigned char page[2 * PAGE];

static void say_written(const char *path, int tag)
{
    long fd = raw(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0);
    raw(SYS_pread64, fd, (long)page, PAGE, WRITE_AT, 0, 0);
    bool untouched = true;
    for (long i = 0; i < PAGE; i++)
        untouched &= page[i] == pattern(tag, WRITE_AT + i);
    say("  %s is %s", path, untouched ? "untouched" : "written to");
    fill(page, tag, WRITE_AT, PAGE); // as it was, for the next
    raw(SYS_pwrite64, fd, (long)page, PAGE, WRITE_AT, 0, 0);
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

// What is under the number now.
static void probe(int number)
{
    struct pollfd readable = {number, POLLIN, 0};
    fill(page, 15, 0, PAGE);
    say_origin("pread", page, CALL(pread(number, page, 2 * PAGE, AT)), AT);
    if (raw(SYS_poll, (long)&readable, 1, 0, 0, 0, 0) == 1 && (readable.revents & POLLNVAL) == 0) {
        long offset = raw(SYS_lseek, number, 0, SEEK_CUR, 0, 0, 0);
        fcntl(number, F_SETFL, O_NONBLOCK); // pipes and sockets must not block here
        say_origin("read", page, CALL(read(number, page, PAGE)), offset);
    }
    fill(page, 14, WRITE_AT, PAGE);
    for (int i = 0; i < 2; i++)
        CALL(pwrite(number, page, PAGE, WRITE_AT));
    say_written("one", 1);
    say_written("two", 2);
}

static int served_one(void)
{
    int fd = open("one", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("one");
    warm(fd);
    return fd;
}

static int open_two(void)
{
    int fd = open("two", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("two");
    return fd;
}

static void make_both(void)
{
    make_file("one", 1, FILE_SIZE);
    make_file("two", 2, FILE_SIZE);
}

// ---- ways to take a number away --------------------------------------------------------------------------------
static void by_close(int fd) { close(fd); }
static void by_close_range(int fd) { close_range((unsigned)fd, (unsigned)fd, 0); }
static void by_closefrom(int fd) { closefrom(fd); }
static void by_fclose(int fd) { fclose(fdopen(fd, "r+")); }
static void by_syscall(int fd) { syscall(SYS_close, fd); }
static void by_syscall_range(int fd) { syscall(SYS_close_range, fd, fd, 0); }
static void by_mq_close(int fd) { mq_close(fd); }
static void by_dup2_and_close(int fd) { close(dup2(0, fd)); }
static void by_close_in_a_thread(int fd)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))close, (void *)(long)fd) != 0)
        die("pthread_create");
    pthread_join(thread, NULL);
}

static const struct {
    const char *name;
    void (*close)(int fd);
} closers[] = {
    {"close", by_close},       {"close_range", by_close_range},       {"closefrom", by_closefrom},
    {"fclose", by_fclose},     {"syscall(SYS_close)", by_syscall},    {"syscall(SYS_close_range)", by_syscall_range},
    {"mq_close", by_mq_close}, {"dup2 and close", by_dup2_and_close}, {"close in a thread", by_close_in_a_thread},
};

static void closed_and_opened_again(void)
{
    make_both();
    for (size_t i = 0; i < sizeof closers / sizeof *closers; i++) {
        say("-- %s", closers[i].name);
        int fd = served_one();
        closers[i].close(fd);
        probe(fd);
        say("-- %s, then open", closers[i].name);
        fd = served_one();
        closers[i].close(fd);
        int again = open_two();
        say("  the same number: %d", fd == again);
        probe(again);
        close(again);
    }
}

static void replaced(void)
{
    make_both();
    int two = open_two();
    for (int way = 0; way < 8; way++) {
        static const char *const names[] = {"dup2",    "dup3",           "syscall(SYS_dup2)",     "syscall(SYS_dup3)",
                                            "freopen", "dup2 of itself", "__dup2 of another one", "freopen64"};
        say("-- %s", names[way]);
        int fd = served_one();
        FILE *stream = NULL;
        switch (way) {
        case 0: dup2(two, fd); break;
        case 1: dup3(two, fd, O_CLOEXEC); break;
        case 2: syscall(SYS_dup2, two, fd); break;
        case 3: syscall(SYS_dup3, two, fd, O_CLOEXEC); break;
        case 4: stream = freopen("two", "r+", fdopen(fd, "r+")); break;
        case 5: dup2(fd, fd); break;
        case 6:
            dup2(two, fd);
            warm(fd);
            close(fd);
            fd = served_one();
            break;
        case 7: stream = freopen64("two", "r+", fdopen(fd, "r+")); break;
        }
        if (stream != NULL)
            fd = fileno(stream);
        probe(fd);
        raw(SYS_lseek, two, 0, SEEK_SET, 0, 0, 0);
        if (stream != NULL)
            fclose(stream);
        else
            close(fd);
        probe(fd);
    }
}

// ---- ways to get a number --------------------------------------------------------------------------------------
static int ends[2]; // of a pipe or a pair of sockets, where a way needs one
static int spare;   // a descriptor to close when done, or -1

static int by_open(void) { return open("two", O_RDWR); }
static int by_open64(void) { return open64("two", O_RDWR); }
static int by_openat(void) { return openat(AT_FDCWD, "two", O_RDWR); }
static int by_openat64(void) { return openat64(AT_FDCWD, "two", O_RDWR); }
static int by_creat(void) { return creat("three", 0600); }
static int by_open_syscall(void) { return (int)syscall(SYS_openat, AT_FDCWD, "two", O_RDWR, 0); }
static int by_tmpfile(void) { return fileno(tmpfile()); }
static int by_fopen(void) { return fileno(fopen("two", "r+")); }
static int by_fopen64(void) { return fileno(fopen64("two", "r+")); }
static int by_popen(void)
{
    int fd = fileno(popen("echo popen", "r"));
    siginfo_t ended; // so that what it says is there
    waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT);
    return fd;
}
static int by_opendir(void) { return dirfd(opendir(".")); }
static int by_mkstemp(void)
{
    char name[] = "madeXXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    return fd;
}
static int by_mkostemps(void)
{
    char name[] = "madeXXXXXX.c";
    int fd = mkostemps(name, 2, O_CLOEXEC);
    unlink(name);
    return fd;
}
static int by_shm_open(void)
{
    char name[64];
    snprintf(name, sizeof name, "/pmemshim-test-%d", getpid());
    int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
    shm_unlink(name);
    return fd;
}
static int by_memfd(void) { return memfd_create("memory", 0); }
static int by_pipe(void)
{
    if (pipe(ends) != 0)
        die("pipe");
    spare = ends[1];
    return ends[0];
}
static int by_pipe2(void)
{
    if (pipe2(ends, O_NONBLOCK) != 0)
        die("pipe2");
    spare = ends[1];
    return ends[0];
}
static int by_socket(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int by_socketpair(void)
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        die("socketpair");
    spare = ends[1];
    return ends[0];
}
static int by_eventfd(void) { return eventfd(3, EFD_NONBLOCK); }
static int by_timerfd(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK); }
static int by_signalfd(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return signalfd(-1, &set, SFD_NONBLOCK);
}
static int by_epoll(void) { return epoll_create(1); }
static int by_epoll1(void) { return epoll_create1(0); }
static int by_inotify(void) { return inotify_init(); }
static int by_inotify1(void) { return inotify_init1(IN_NONBLOCK); }
static int by_pidfd(void) { return pidfd_open(getpid(), 0); }
static int source; // a descriptor of file two, with a number out of the way
static int by_dup(void) { return dup(source); }
static int by_dupfd(void) { return fcntl(source, F_DUPFD, 0); }
static int by_dupfd_cloexec(void) { return fcntl(source, F_DUPFD_CLOEXEC, 0); }
static int by_pidfd_getfd(void)
{
    int pidfd = (int)raw(SYS_pidfd_open, getpid(), 0, 0, 0, 0, 0),
        high = (int)raw(SYS_fcntl, pidfd, F_DUPFD, 200, 0, 0, 0);
    raw(SYS_close, pidfd, 0, 0, 0, 0, 0);
    spare = high;
    return pidfd_getfd(high, source, 0);
}
static int by_ptsname(void) { return posix_openpt(O_RDWR | O_NOCTTY); }

static int message_ends[2];
static char control[CMSG_SPACE(sizeof(int))];

static int by_message(bool many)
{
    char byte = 'x';
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &source, sizeof source);
    if (sendmsg(message_ends[0], &message, 0) != 1)
        die("sendmsg");
    memset(control, 0, sizeof control);
    struct mmsghdr messages = {.msg_hdr = message};
    if ((many ? recvmmsg(message_ends[1], &messages, 1, 0, NULL) : recvmsg(message_ends[1], &message, 0)) != 1)
        die("recvmsg");
    int fd = -1;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}
static int by_recvmsg(void) { return by_message(false); }
static int by_recvmmsg(void) { return by_message(true); }

static int listener;
static struct sockaddr_un address = {AF_UNIX, "socket"};

static int by_accepting(int flags)
{
    int client = (int)raw(SYS_fcntl, spare = socket(AF_UNIX, SOCK_STREAM, 0), F_DUPFD, 200, 0, 0, 0);
    raw(SYS_close, spare, 0, 0, 0, 0, 0);
    spare = client;
    if (connect(client, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    return flags < 0 ? accept(listener, NULL, NULL) : accept4(listener, NULL, NULL, flags);
}
static int by_accept(void) { return by_accepting(-1); }
static int by_accept4(void) { return by_accepting(SOCK_NONBLOCK); }

#define WAY(function) {#function, function}
static const struct {
    const char *name;
    int (*open)(void);
} openers[] = {
    WAY(by_open),        WAY(by_open64),   WAY(by_openat),  WAY(by_openat64), WAY(by_creat),   WAY(by_open_syscall),
    WAY(by_tmpfile),     WAY(by_fopen),    WAY(by_fopen64), WAY(by_popen),    WAY(by_opendir), WAY(by_mkstemp),
    WAY(by_mkostemps),   WAY(by_shm_open), WAY(by_memfd),   WAY(by_pipe),     WAY(by_pipe2),   WAY(by_socket),
    WAY(by_socketpair),  WAY(by_eventfd),  WAY(by_timerfd), WAY(by_signalfd), WAY(by_epoll),   WAY(by_epoll1),
    WAY(by_inotify),     WAY(by_inotify1), WAY(by_pidfd),   WAY(by_dup),      WAY(by_dupfd),   WAY(by_dupfd_cloexec),
    WAY(by_pidfd_getfd), WAY(by_ptsname),  WAY(by_recvmsg), WAY(by_recvmmsg), WAY(by_accept),  WAY(by_accept4),
};

static int out_of_the_way(int fd)
{
    int high = (int)raw(SYS_fcntl, fd, F_DUPFD, 300, 0, 0, 0);
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    return high;
}

// `hidden`: the close is made with the bare instruction, so that only the call that returns the number tells the shim
// that it has changed its meaning. (Not asked of ways whose number libc gets by itself.)
static void reused_by_every_way(void)
{
    make_both();
    source = out_of_the_way(open("two", O_RDWR));
    listener = out_of_the_way(socket(AF_UNIX, SOCK_STREAM, 0));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, message_ends) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 5) != 0)
        die("socket");
    message_ends[0] = out_of_the_way(message_ends[0]);
    message_ends[1] = out_of_the_way(message_ends[1]);
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
        say("-- %s", openers[i].name);
        int fd = served_one();
        close(fd);
        spare = -1;
        int again = openers[i].open();
        say("  the same number: %d", fd == again);
        probe(again);
        close(again);
        if (spare >= 0)
            close(spare);
        raw(SYS_lseek, source, 0, SEEK_SET, 0, 0, 0);
        probe(fd);
    }
}

// The close is made past the preload; the call that returns the number again is not.
static void closed_in_hiding(void)
{
    make_both();
    source = out_of_the_way(open("two", O_RDWR));
    static int (*const ways[])(void) = {by_open,          by_openat, by_creat,      by_memfd,   by_dup,   by_dupfd,
                                        by_dupfd_cloexec, by_pipe,   by_socketpair, by_eventfd, by_fopen, by_mkstemp};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int fd = served_one();
        raw(SYS_close, fd, 0, 0, 0, 0, 0);
        spare = -1;
        int again = ways[i]();
        say("-- way %zu, the same number: %d", i, fd == again);
        probe(again);
        close(again);
        if (spare >= 0)
            close(spare);
        raw(SYS_lseek, source, 0, SEEK_SET, 0, 0, 0);
    }
}

// Standard streams change their meaning inside libc.
static void standard_streams(void)
{
    make_both();
    int one = served_one();
    say("-- fclose(stdin), open");
    IN_CHILD({
        dup2(one, 0);
        warm(0);
        fclose(stdin);
        probe(0);
        open("two", O_RDWR);
        probe(0);
    });
    say("-- freopen(stdin)");
    IN_CHILD({
        dup2(one, 0);
        warm(0);
        CALL(freopen("two", "r+", stdin) != NULL);
        probe(0);
    });
    say("-- daemon");
    IN_CHILD({
        int out = dup(1);
        dup2(one, 0);
        warm(0);
        int done[2];
        if (pipe(done) != 0)
            die("pipe");
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            daemon(1, 0);
            dup2(out, 1);
            warm(0);
            probe(0);
            fflush(stdout);
            _exit(0);
        }
        close(done[1]);
        waitpid(child, NULL, 0);
        char byte;
        read(done[0], &byte, 1); // the daemon has the other end until it is done
    });
    say("-- login_tty");
    IN_CHILD({
        int out = dup(1);
        int master;
        int slave;
        dup2(one, 0);
        warm(0);
        if (openpty(&master, &slave, NULL, NULL, NULL) == 0 && login_tty(slave) == 0) {
            dup2(out, 1);
            warm(0);
            CALL(pread(0, page, PAGE, AT));
            CALL(pwrite(0, page, PAGE, AT));
        }
        fflush(stdout);
    });
    say_written("one", 1);
    probe(one);
}

static void closedir_and_friends(void)
{
    make_both();
    DIR *directory = opendir(".");
    int number = dirfd(directory);
    closedir(directory);
    int one = served_one();
    say("the directory's number: %d", one == number);
    probe(one);
    close(one);
    directory = opendir(".");
    probe(dirfd(directory));
    closedir(directory);
    FILE *command = popen("echo popen; cat >/dev/null", "r");
    pclose(command);
    one = served_one();
    probe(one);
    CALL(fcloseall()); // closes streams only
    probe(one);
}

PROGRAM({"closed-and-opened-again", closed_and_opened_again}, {"replaced", replaced},
        {"reused-by-every-way", reused_by_every_way}, {"closed-in-hiding", closed_in_hiding},
        {"standard-streams", standard_streams}, {"closedir-and-friends", closedir_and_friends})
