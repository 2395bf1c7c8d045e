// Those who watch: inotify, fanotify, tail -f.
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>

#include "transcript.h"

static unsigned char bytes[8192];
static int fd, watcher;
static bool is_fanotify;

static void tick(void) { usleep(12000); }

static const struct {
    uint32_t mask;
    const char *name;
} events[] = {{IN_MODIFY, "MODIFY"},           {IN_ATTRIB, "ATTRIB"}, {IN_CLOSE_WRITE, "CLOSE_WRITE"},
              {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"}, {IN_OPEN, "OPEN"},     {IN_DELETE_SELF, "DELETE_SELF"}};
_Static_assert(IN_MODIFY == FAN_MODIFY && IN_CLOSE_WRITE == FAN_CLOSE_WRITE && IN_OPEN == FAN_OPEN &&
                   IN_CLOSE_NOWRITE == FAN_CLOSE_NOWRITE,
               "one table for both");

// Which events have come since; how often each is not told: equal ones in a row are merged, and of a tick's writes the
// shim lets the first be seen.
static void seen(void)
{
    char buffer[8192] __attribute__((aligned(8)));
    uint32_t all = 0;
    long count;
    tick();
    while ((count = raw(SYS_read, watcher, (long)buffer, sizeof buffer, 0, 0, 0)) > 0) {
        for (char *at = buffer; at < buffer + count;) {
            if (is_fanotify) {
                struct fanotify_event_metadata *event = (void *)at;
                all |= (uint32_t)event->mask;
                if (event->fd >= 0)
                    close(event->fd);
                at += event->event_len;
            } else {
                struct inotify_event *event = (void *)at;
                all |= event->mask;
                at += sizeof *event + event->len;
            }
        }
    }
    fputs("  seen:", stdout);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (all & events[i].mask)
            printf(" %s", events[i].name);
    puts("");
}

static void watched_calls(void)
{
    struct iovec vector[] = {{bytes, 1000}, {bytes, 4000}};
    for (int i = 0; i < 3; i++) {
        seen();
        CALL(pwrite(fd, bytes, sizeof bytes, 8192));
        seen();
        for (int j = 0; j < 5; j++)
            CALL(pwrite(fd, bytes, sizeof bytes, 300000 * j));
        seen();
        say_bytes("pread", bytes, CALL(pread(fd, bytes, sizeof bytes, 500000)));
        say_bytes("pread", bytes, CALL(pread(fd, bytes, sizeof bytes, 700000)));
        seen();
        CALL(lseek(fd, 0, SEEK_SET));
        CALL(write(fd, bytes, sizeof bytes));
        seen();
        CALL(pwritev(fd, vector, 2, 1 << 20));
        seen();
        CALL(writev(fd, vector, 2));
        seen();
        CALL(pwrite(fd, bytes, sizeof bytes, FILE_SIZE - 100));
        seen();
        CALL(ftruncate(fd, FILE_SIZE));
        seen();
        CALL(fchmod(fd, 0600 + i));
        seen();
        int other = OPEN(open("file", O_RDONLY | O_CLOEXEC));
        seen();
        say_bytes("pread", bytes, CALL(pread(other, bytes, sizeof bytes, 500000)));
        seen();
        // A window holds on to the description it was made from: the close must be seen now, not when the window goes.
        CALL(close(fd));
        seen();
        fd = OPEN(open("file", O_RDWR | O_CLOEXEC));
        warm(fd);
        seen();
        CALL(close(other));
        seen();
    }
    CALL(close(fd));
    seen();
    truth("file");
}

static void watched_by_inotify(void)
{
    fd = open_file("file", 1, O_RDWR);
    watcher = OPEN(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    // Not IN_ACCESS: a load from a page is no read (docs/limitations.md).
    if (inotify_add_watch(watcher, "file", IN_ALL_EVENTS & ~IN_ACCESS) < 0)
        die("inotify_add_watch");
    watched_calls();
}

static void watched_by_fanotify(void)
{
    fd = open_file("file", 1, O_RDWR);
    is_fanotify = true;
    watcher = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
    if (watcher < 0 ||
        fanotify_mark(watcher, FAN_MARK_ADD, FAN_MODIFY | FAN_CLOSE | FAN_OPEN, AT_FDCWD, "file") != 0)
        die("fanotify");
    watched_calls();
}

// Waits until tail has written as much as there is to be seen; two seconds at most.
static void expect_tail(long size)
{
    struct stat status;
    for (int i = 0; i < 400 && (stat("tailed", &status) != 0 || status.st_size < size); i++)
        usleep(5000);
    truth("tailed");
}

static void followed_by_tail(void)
{
    make_file("log", 1, 0);
    fflush(stdout);
    pid_t tail = fork();
    if (tail == 0) {
        int out = open("tailed", O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(out, 1);
        execle("/usr/bin/tail", "tail", "-c", "+1", "-f", "log", NULL, (char *const[]){NULL});
        _exit(127);
    }
    fd = OPEN(open("log", O_RDWR | O_CLOEXEC));
    int appender = OPEN(open("log", O_WRONLY | O_APPEND | O_CLOEXEC));
    long size = 0;
    for (int i = 0; i < 12; i++) {
        long count = i == 3 ? 200 : (long)sizeof bytes;
        for (int j = 0; j < 1 + i * 3; j++) {
            fill(bytes, i, size, count);
            if (write(i % 2 ? fd : appender, bytes, (size_t)count) != count)
                die("write");
            size += count;
            lseek(fd, size, SEEK_SET);
        }
        say_bytes("pread", bytes, CALL(pread(fd, bytes, sizeof bytes, size / 2)));
        expect_tail(size);
    }
    kill(tail, SIGTERM);
    waitpid(tail, NULL, 0);
    truth("log");
}

PROGRAM({"watched-by-inotify", watched_by_inotify}, {"watched-by-fanotify", watched_by_fanotify},
        {"followed-by-tail", followed_by_tail})
