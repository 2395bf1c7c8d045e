// What other programs go by: make, rsync, tar, touch, cp, and the bits and capabilities that a write takes away. They
// run without the shim, on files that this program, with it, reads and writes.
//
// Between two steps lies more than a clock tick: within one, times cannot tell them apart, natively neither.
#include <sys/xattr.h>
#include <time.h>

#include "transcript.h"

static unsigned char bytes[8192];
static int fd;

static void tick(void) { usleep(12000); }

#define RUN(...)                                                                                                       \
    do {                                                                                                               \
        int status_ = unshimmed((char *const[]){__VA_ARGS__, NULL});                                                   \
        say("  %s %s: %d", #__VA_ARGS__, WIFEXITED(status_) ? "exited" : "died",                                       \
            WIFEXITED(status_) ? WEXITSTATUS(status_) : WTERMSIG(status_));                                            \
        tick();                                                                                                        \
    } while (0)

#define SHELL(text) RUN("/bin/sh", "-c", text)

// Several overwrites in a row: all but the first of a tick are served.
static void overwrite(int tag)
{
    for (int i = 0; i < 4; i++) {
        fill(bytes, tag, 100000 * i, sizeof bytes);
        CALL(pwrite(fd, bytes, sizeof bytes, 100000 * i));
    }
    tick();
}

static void read_it(void)
{
    for (int i = 0; i < 6; i++)
        say_bytes("pread", bytes, CALL(pread(fd, bytes, sizeof bytes, 100000 * i)));
    tick();
}

static void made_by_make(void)
{
    fd = open_file("in", 1, O_RDWR);
    SHELL("printf 'out: in\\n\\t@cp in out\\n' > Makefile");
    RUN("/usr/bin/make", "-s");
    for (int i = 0; i < 4; i++) {
        RUN("/usr/bin/make", "-q");
        read_it();
        RUN("/usr/bin/make", "-q");
        overwrite(2 + i);
        RUN("/usr/bin/make", "-q");
        RUN("/usr/bin/make", "-s");
        RUN("/usr/bin/cmp", "in", "out");
    }
}

static void synchronised_by_rsync(void)
{
    CALL(mkdir("from", 0755));
    fd = open_file("from/file", 1, O_RDWR);
    RUN("/usr/bin/touch", "-d", "2001-02-03 04:05:06", "from/file", "from");
    RUN("/usr/bin/rsync", "-a", "--itemize-changes", "from/", "to/");
    for (int i = 0; i < 3; i++) {
        RUN("/usr/bin/rsync", "-a", "--itemize-changes", "from/", "to/");
        read_it();
        RUN("/usr/bin/rsync", "-a", "--itemize-changes", "from/", "to/");
        overwrite(2 + i);
        RUN("/usr/bin/rsync", "-a", "--itemize-changes", "--omit-dir-times", "from/", "to/");
        RUN("/usr/bin/cmp", "from/file", "to/file");
        RUN("/usr/bin/touch", "-d", "2001-02-03 04:05:06", "from/file");
        RUN("/usr/bin/rsync", "-a", "--itemize-changes", "--omit-dir-times", "from/", "to/");
    }
}

static void packed_by_tar(void)
{
    fd = open_file("file", 1, O_RDWR);
    RUN("/usr/bin/touch", "-d", "2001-02-03 04:05:06", "file");
    RUN("/usr/bin/tar", "-cf", "all.tar", "file");
    for (int i = 0; i < 3; i++) {
        RUN("/usr/bin/tar", "-df", "all.tar");
        read_it();
        RUN("/usr/bin/tar", "-df", "all.tar");
        overwrite(2 + i);
        RUN("/usr/bin/tar", "-df", "all.tar");
        RUN("/usr/bin/tar", "--newer-mtime=2002-01-01", "-cf", "new.tar", "file");
        RUN("/usr/bin/tar", "-tf", "new.tar");
        RUN("/usr/bin/tar", "-xf", "all.tar"); // another inode by that name
        RUN("/usr/bin/tar", "-df", "all.tar");
        close(fd);
        fd = open("file", O_RDWR | O_CLOEXEC);
        warm(fd);
        tick();
        RUN("/usr/bin/touch", "-d", "2001-02-03 04:05:06", "file");
    }
    truth("file");
}

// Times set by others stay as long as nobody writes, and go with the first write.
static void touched(void)
{
    fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < 4; i++) {
        overwrite(2 + i);
        RUN("/usr/bin/touch", "-d", "2001-02-03 04:05:06.789", "file");
        RUN("/usr/bin/stat", "-c", "%y", "file");
        read_it();
        CALL(fsync(fd));
        RUN("/usr/bin/stat", "-c", "%y", "file");
        overwrite(7);
        SHELL("test file -nt /etc/passwd && echo now");
        RUN("/usr/bin/touch", "-r", "/etc/passwd", "file");
        RUN("/usr/bin/cp", "-p", "file", "copy");
        RUN("/usr/bin/cmp", "file", "copy");
        SHELL("test file -nt copy || test copy -nt file || echo equal times");
        int other = OPEN(open("file", O_RDONLY | O_CLOEXEC));
        say_bytes("pread", bytes, CALL(pread(other, bytes, sizeof bytes, 3000000)));
        CALL(close(fd));
        tick();
        SHELL("test file -nt copy || test copy -nt file || echo equal times");
        fd = OPEN(open("file", O_RDWR | O_CLOEXEC));
        CALL(close(other));
        warm(fd);
        tick();
    }
}

// As `cp -p`, `tar -x` and `install -p` do when they run under the shim: write, then set the times, then close.
static void set_by_the_writer(void)
{
    static const struct timespec then[] = {{1000000000, 123456789}, {1100000000, 987654321}};
    struct stat status;
    for (int i = 0; i < 4; i++) {
        fd = open_file("file", 1, O_RDWR);
        overwrite(2 + i);
        CALL(pwrite(fd, bytes, sizeof bytes, 500000));
        CALL(i % 2 ? futimens(fd, then) : utimensat(AT_FDCWD, "file", then, 0));
        if (i >= 2)
            CALL(fsync(fd));
        CALL(close(fd));
        tick();
        CALL(stat("file", &status));
        say("  %ld.%09ld", (long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    }
}

// Whoever may not keep them loses set-user-id bits and file capabilities with the first write; here another program has
// just set them.
static void bits_taken(void)
{
    fd = open_file("file", 1, O_RDWR);
    bool is_root = geteuid() == 0;
    for (int i = 0; i < 3; i++) {
        overwrite(2 + i);
        RUN("/usr/bin/chmod", "u+s,g+xs,a+rw", "file");
        if (is_root)
            RUN("/usr/sbin/setcap", "cap_net_raw+ep", "file");
        RUN("/usr/bin/stat", "-c", "%a", "file");
        if (is_root)
            CALL(seteuid(65534));
        overwrite(5 + i);
        if (is_root)
            CALL(seteuid(0));
        RUN("/usr/bin/stat", "-c", "%a", "file");
        char value[64];
        CALL(getxattr("file", "security.capability", value, sizeof value));
    }
}

static bool is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

// The kernel takes the time of the last tick, which is over, unless somebody has asked for the times of the file since
// it was stamped in that tick. Then it takes the very time, which is dear.
static void stamped_with_ticks(void)
{
    int exact = 0;
    for (int i = 0; i < 200; i++) {
        struct timespec now;
        struct stat facts;
        fd = open("ticks", O_RDWR | O_CREAT, 0600);
        raw(SYS_pwrite64, fd, (long)bytes, sizeof bytes, 0, 0, 0);
        pread(fd, bytes, sizeof bytes, 0);
        pread(fd, bytes, sizeof bytes, 0);
        clock_gettime(CLOCK_REALTIME, &now);
        ftruncate(fd, 100000);
        fstat(fd, &facts);
        exact += !is_before(facts.st_ctim, now);
        close(fd);
        unlink("ticks");
    }
    fd = open_file("file", 1, O_RDWR); // so that something is served, too
    read_it();
    say("stamped with the very time: %s", exact < 50 ? "few" : "many");
}

PROGRAM({"made-by-make", made_by_make}, {"synchronised-by-rsync", synchronised_by_rsync},
        {"packed-by-tar", packed_by_tar}, {"touched", touched}, {"set-by-the-writer", set_by_the_writer},
        {"bits-taken", bits_taken}, {"stamped-with-ticks", stamped_with_ticks})
