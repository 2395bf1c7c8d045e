// What may happen to the shim's own files while a program runs, done by the program itself: it reads and writes its own
// file all the while, and must not notice. HARM names the directory whose files are harmed; natively it holds none.
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "transcript.h"

static unsigned char buffer[65536];

static const char *harmed(const char *name)
{
    static char path[PATH_MAX];
    const char *directory = getenv("HARM");
    snprintf(path, sizeof path, "%s/%s", directory != NULL ? directory : "/nonexistent", name);
    return path;
}

static long raw_open(const char *path, int flags)
{
    return raw(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0600, 0, 0);
}
static void raw_close(long fd) { raw(SYS_close, fd, 0, 0, 0, 0, 0); }

// Calls of several families, in this thread.
static void some_calls(int fd)
{
    for (int i = 0; i < 60; i++) {
        long at = 9000l * (i % 50);
        if (pread(fd, buffer, 4096, at) != 4096 || buffer[17] != pattern(1, at + 17))
            say("  pread at %ld is wrong", at);
        fill(buffer, 1, at, 4096);
        if (pwrite(fd, buffer, 4096, at) != 4096)
            say("  pwrite at %ld is wrong", at);
        struct iovec parts[2] = {{buffer, 100}, {buffer + 100, 3000}};
        if (preadv(fd, parts, 2, at) != 3100)
            say("  preadv at %ld is wrong", at);
        if (i % 20 == 0)
            fdatasync(fd);
    }
}

static void *in_thread(void *argument)
{
    unsigned char bytes[4096];
    for (int i = 0; i < 200; i++) {
        long at = 4096l * (i % 100);
        if (pread((int)(long)argument, bytes, sizeof bytes, at) != 4096 || bytes[5] != pattern(1, at + 5))
            return (void *)1;
    }
    return NULL;
}

// Threads that count for the first time, and another file, whose page array is another.
static void newcomers(int fd)
{
    pthread_t threads[20];
    long wrong = 0;
    for (int i = 0; i < 20; i++)
        if (pthread_create(&threads[i], NULL, in_thread, (void *)(long)fd) != 0)
            die("pthread_create");
    for (int i = 0; i < 20; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += result != NULL;
    }
    say("threads that read wrong bytes: %ld", wrong);
    int other = open_file("other", 1, O_RDWR);
    some_calls(other);
    close(other);
    IN_CHILD(some_calls(fd));
}

static void all(int fd)
{
    some_calls(fd);
    newcomers(fd);
    truth("file");
}

static void calls(void) { all(open_file("file", 1, O_RDWR)); }

// The file system of HARM has no free page from now on.
static long fill_up(void)
{
    long fd = raw_open(harmed("filler"), O_RDWR | O_CREAT), size = 0, count;
    while (fd >= 0 && (count = raw(SYS_pwrite64, fd, (long)buffer, 4096, size, 0, 0)) > 0)
        size += count;
    return fd;
}

static void filled(void)
{
    int fd = open_file("file", 1, O_RDWR);
    some_calls(fd);
    long filler = fill_up();
    all(fd);
    if (filler >= 0)
        raw(SYS_ftruncate, filler, 0, 0, 0, 0, 0);
    all(fd);
}

// Everything that can be done to a file, one after another, with calls in between.
static void harm(const char *name, int way)
{
    const char *path = harmed(name);
    long fd = raw_open(path, O_RDWR | O_NONBLOCK);
    static unsigned char rubbish[1 << 16];
    memset(rubbish, 0xa5, sizeof rubbish);
    switch (way) {
    case 0: raw(SYS_ftruncate, fd, 0, 0, 0, 0, 0); break;
    case 1: raw(SYS_ftruncate, fd, 5000, 0, 0, 0, 0); break;
    case 2: raw(SYS_ftruncate, fd, 1l << 34, 0, 0, 0, 0); break;
    case 3: raw(SYS_fallocate, fd, 3 /* PUNCH_HOLE | KEEP_SIZE */, 0, 1l << 30, 0, 0); break;
    case 4:
        for (long at = 0; at < 1 << 20; at += (long)sizeof rubbish)
            raw(SYS_pwrite64, fd, (long)rubbish, sizeof rubbish, at, 0, 0);
        break;
    case 5: raw(SYS_fchmod, fd, 0, 0, 0, 0, 0); break;
    case 6: raw(SYS_unlink, (long)path, 0, 0, 0, 0, 0); break;
    case 7: raw(SYS_mknod, (long)path, S_IFIFO | 0600, 0, 0, 0, 0); break;
    case 8:
        raw(SYS_unlink, (long)path, 0, 0, 0, 0, 0);
        raw(SYS_mkdir, (long)path, 0700, 0, 0, 0, 0);
        break;
    case 9:
        raw(SYS_rmdir, (long)path, 0, 0, 0, 0, 0);
        raw(SYS_symlink, (long)"/etc/passwd", (long)path, 0, 0, 0, 0);
        break;
    }
    raw_close(fd);
}

static void harmed_in_turn(void)
{
    int fd = open_file("file", 1, O_RDWR);
    for (int way = 0; way < 10; way++) {
        some_calls(fd);
        harm("stats", way);
        harm("pages", way);
        some_calls(fd);
        newcomers(fd);
    }
    truth("file");
}

// What comes first after the harm is that numbers are forgotten: by close, by another meaning, by a limit.
static void harmed_then_forgotten(void)
{
    for (int way = 0; way < 6; way++) {
        for (int end = 0; end < 3; end++) {
            int fd = open_file("file", 1, O_RDWR);
            // With holes, which the shim remembers in its page arrays.
            struct stat facts;
            if (fstat(fd, &facts) != 0 || ftruncate(fd, facts.st_size + 65536) != 0)
                die("ftruncate");
            for (int round = 0; round < 20; round++)
                some_calls(fd);
            harm("stats", way);
            harm("pages", way);
            if (end == 0 && ftruncate(fd, facts.st_size) != 0)
                die("ftruncate");
            struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
            switch (end) {
            case 0: break;
            case 1: dup2(STDERR_FILENO, fd); break;
            case 2: setrlimit(RLIMIT_FSIZE, &limit); break;
            }
            say("close %d", close(fd));
            raw(SYS_unlink, (long)harmed("stats"), 0, 0, 0, 0, 0);
            raw(SYS_unlink, (long)harmed("pages"), 0, 0, 0, 0, 0);
        }
    }
    truth("file");
}

// With all signals blocked, the first copy of the thread is made in a vfork child: the parent's next one faults.
static void vforked_before_ready(void)
{
    sigset_t all_signals;
    sigfillset(&all_signals);
    sigprocmask(SIG_SETMASK, &all_signals, NULL);
    make_file("file", 1, FILE_SIZE);
    int fd = open("file", O_RDWR);
    fill(buffer, 1, 0, 512);
    say("write %zd", write(fd, buffer, 512)); // maps the file, and is the kernel's
    pid_t child = vfork();
    if (child == 0) {
        ssize_t got = pread(fd, buffer, 4096, 4096);
        _exit(got == 4096 && pread(fd, NULL, 4096, 4096) == -1 ? 7 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    say("child %d", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    for (int i = 0; i < 3; i++) {
        errno = 0;
        ssize_t got = pread(fd, i == 1 ? buffer : NULL, 4096, 4096);
        say("pread %zd, errno %d", got, errno);
    }
    all(fd);
}

// The same before the process has any files of ours.
static void harmed_before(void)
{
    for (int way = 0; way < 10; way++)
        IN_CHILD({
            harm("stats", way);
            harm("pages", way);
            all(open_file("file", 1, O_RDWR));
        });
}

static void only_reads(int fd)
{
    for (int i = 0; i < 60; i++)
        if (pread(fd, buffer, 4096, 9000l * (i % 50)) != 4096)
            say("  pread is wrong");
}

// Lengths are limited before anything of ours exists. SIGXFSZ is at its default: it would end the process.
static void limited(void)
{
    make_file("file", 1, FILE_SIZE);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){8192, 8192});
    int fd = open("file", O_RDWR);
    only_reads(fd);
    IN_CHILD(only_reads(fd));
    truth("file");
}

// Another process holds a write lease on each file of ours: to open one without O_NONBLOCK takes as long as
// /proc/sys/fs/lease-break-time says, 45 seconds.
static void leased(void)
{
    IN_CHILD(calls()); // makes the files
    int ready[2], done[2];
    if (pipe(ready) != 0 || pipe(done) != 0)
        die("pipe");
    fflush(stdout);
    pid_t holder = fork();
    if (holder == 0) {
        char byte = 0;
        signal(SIGIO, SIG_IGN);
        raw(SYS_fcntl, raw_open(harmed("stats"), O_RDONLY), F_SETLEASE, F_WRLCK, 0, 0, 0);
        raw(SYS_fcntl, raw_open(harmed("pages"), O_RDONLY), F_SETLEASE, F_WRLCK, 0, 0, 0);
        raw(SYS_close, done[1], 0, 0, 0, 0, 0);
        raw(SYS_write, ready[1], (long)&byte, 1, 0, 0, 0);
        raw(SYS_read, done[0], (long)&byte, 1, 0, 0, 0);
        raw(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    }
    char byte;
    if (read(ready[0], &byte, 1) != 1)
        die("read");
    IN_CHILD(calls());
    close(done[1]);
    waitpid(holder, NULL, 0);
}

// A daemon acts for another user when its first file is served.
static void another_user(void)
{
    make_file("file", 1, FILE_SIZE);
    if (seteuid(65534) != 0)
        die("seteuid");
    only_reads(open("file", O_RDONLY));
    if (seteuid(0) != 0)
        die("seteuid");
    all(open_file("file", 1, O_RDWR));
}

PROGRAM({"calls", calls}, {"filled", filled}, {"harmed", harmed_in_turn}, {"harmed-before", harmed_before},
        {"harmed-then-forgotten", harmed_then_forgotten}, {"vforked-before-ready", vforked_before_ready},
        {"limited", limited}, {"leased", leased}, {"another-user", another_user})
