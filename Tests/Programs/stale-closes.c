// A number that was served is closed by one of the ways that descriptor-reuse.c has not: by libraries, streams,
// io_uring, exec. Then it means nothing, and then file two; never one byte of file one.
#include <dirent.h>
#include <dlfcn.h>
#include <linux/io_uring.h>
#include <mntent.h>
#include <pty.h>
#include <sys/pidfd.h>
#include <utmp.h>

#include "process.h"

static int two;

static void make_both(void)
{
    make_file("one", 1, FILE_SIZE);
    two = numbered(open_file("two", 2, O_RDWR), 400);
}

static int served_one(int flags)
{
    int fd = open("one", flags | O_CLOEXEC);
    if (fd < 0)
        die("one");
    warm(fd);
    return fd;
}

// Another file takes the number of what libc has open, past libc.
static void replaced(int fd, int by)
{
    dup2(by, fd);
    look("replaced", fd);
}

// What the closed number means now, and what it means when it is file two's.
static void closed(int fd)
{
    look("closed", fd);
    CALL(write(fd, buffer, 3000));
    CALL(pwrite(fd, buffer, 3000, 81920));
    OFFSET(fd);
    int again = (int)raw(SYS_fcntl, two, F_DUPFD, fd, 0, 0, 0); // in hiding: no call of ours tells of the number
    say("  the same number: %d", again == fd);
    look("file two", fd);
    step("file two", fd);
    close(fd);
    look("closed again", fd);
    truth("one");
}

// ---- streams -----------------------------------------------------------------------------------------------------
static void by_streams(void)
{
    make_both();
    say("-- fopen, fclose");
    FILE *stream = fopen("one", "r+");
    int fd = fileno(stream);
    warm(fd);
    fclose(stream);
    closed(fd);
    say("-- freopen to another mode, by no name");
    stream = fopen("one", "r");
    fd = fileno(stream);
    warm(fd);
    CALL(write(fd, buffer, 3000));
    stream = freopen(NULL, "r+", stream);
    say("  reopened %d, the same number %d", stream != NULL, stream != NULL && fileno(stream) == fd);
    step("reopened", fd);
    stream = freopen(NULL, "a", stream);
    say("  reopened %d", stream != NULL);
    step("appends", fd);
    fclose(stream);
    closed(fd);
    make_file("one", 1, FILE_SIZE);
    say("-- freopen that fails");
    stream = fdopen(fd = served_one(O_RDWR), "r+");
    CALL(freopen("/nonexistent/file", "r", stream) != NULL);
    closed(fd);
    say("-- fdopen of another stream's number");
    stream = fdopen(fd = served_one(O_RDWR), "r+");
    replaced(fd, two);
    fclose(stream);
    closed(fd);
    say("-- tmpfile");
    stream = tmpfile();
    fd = fileno(stream);
    replaced(fd, served_one(O_RDWR));
    fclose(stream);
    closed(fd);
    say("-- setmntent, endmntent");
    stream = setmntent("one", "r");
    fd = fileno(stream);
    look("before", fd);
    endmntent(stream);
    closed(fd);
    say("-- popen, pclose");
    stream = popen("true", "r");
    fd = fileno(stream);
    int one = served_one(O_RDWR);
    replaced(fd, one);
    pclose(stream);
    closed(fd);
    say("-- opendir, closedir");
    DIR *directory = opendir(".");
    fd = dirfd(directory);
    replaced(fd, one);
    closedir(directory);
    closed(fd);
    say("-- fdopendir, closedir");
    int number = open(".", O_RDONLY | O_DIRECTORY);
    directory = fdopendir(number);
    replaced(number, one);
    closedir(directory);
    closed(number);
    say("-- fdopendir that fails leaves it open");
    say("  %d", fdopendir(one) == NULL);
    look("still one", one);
    close(one);
    closed(one);
}

// ---- terminals -----------------------------------------------------------------------------------------------------
static void by_terminals(void)
{
    make_both();
    // login_tty closes its argument, and replaces 0 to 2; in a child, whose standard output it takes.
    IN_CHILD({
        int out = numbered(dup(1), 500);
        int one = served_one(O_RDWR);
        int master;
        int slave;
        dup2(one, 0);
        warm(0);
        if (openpty(&master, &slave, NULL, NULL, NULL) != 0)
            die("openpty");
        fcntl(out, F_SETFD, 0);
        fflush(stdout);
        CALL(login_tty(slave));
        fflush(stdout);
        dup2(out, 1);
        look("the terminal's number", slave);
        CALL(pread(0, buffer, 4096, 40960));
        CALL(pwrite(0, buffer, 4096, 40960));
        CALL(pwrite(2, buffer, 4096, 40960));
        look("still one", one);
    });
    int one = served_one(O_RDWR);
    int out = numbered(dup(1), 500), done[2];
    if (pipe(done) != 0)
        die("pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(one, 0);
        dup2(one, 2);
        warm(0);
        daemon(1, 0);
        dup2(out, 1);
        CALL(pread(0, buffer, 4096, 40960));
        CALL(pwrite(0, buffer, 4096, 40960));
        CALL(pread(2, buffer, 4096, 40960));
        step("the daemon", one);
        end_child();
    }
    wait_for(child);
    close(done[1]);
    read(done[0], buffer, 1);
    step("the daemon's parent", one);
    truth("one");
}

// ---- io_uring ------------------------------------------------------------------------------------------------------
static struct {
    int fd;
    unsigned *tail, *head, *mask, *array;
    unsigned *done_head, *done_tail, *done_mask;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *results;
} ring;

static bool ring_made(bool in_hiding)
{
    struct io_uring_params parameters = {0};
    ring.fd = (int)(in_hiding ? raw(SYS_io_uring_setup, 8, (long)&parameters, 0, 0, 0, 0)
                              : syscall(SYS_io_uring_setup, 8, &parameters));
    if (ring.fd < 0)
        return false;
    size_t length = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned),
           done_length = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    char *base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING),
         *done = mmap(NULL, done_length, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_CQ_RING);
    ring.entries = mmap(NULL, parameters.sq_entries * sizeof *ring.entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
                        IORING_OFF_SQES);
    if (base == MAP_FAILED || done == MAP_FAILED || ring.entries == MAP_FAILED)
        die("io_uring");
    ring.head = (void *)(base + parameters.sq_off.head);
    ring.tail = (void *)(base + parameters.sq_off.tail);
    ring.mask = (void *)(base + parameters.sq_off.ring_mask);
    ring.array = (void *)(base + parameters.sq_off.array);
    ring.done_head = (void *)(done + parameters.cq_off.head);
    ring.done_tail = (void *)(done + parameters.cq_off.tail);
    ring.done_mask = (void *)(done + parameters.cq_off.ring_mask);
    ring.results = (void *)(done + parameters.cq_off.cqes);
    return true;
}

static int ring_does(struct io_uring_sqe entry)
{
    unsigned tail = *ring.tail;
    ring.entries[tail & *ring.mask] = entry;
    ring.array[tail & *ring.mask] = tail & *ring.mask;
    __atomic_store_n(ring.tail, tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return -errno;
    unsigned head = *ring.done_head;
    int result = ring.results[head & *ring.done_mask].res;
    __atomic_store_n(ring.done_head, head + 1, __ATOMIC_RELEASE);
    return result;
}

static void with_ring(bool in_hiding)
{
    make_both();
    if (!ring_made(in_hiding)) {
        say("io_uring is refused: %s", strerrorname_np(errno)); // both runs say it
        return;
    }
    for (int i = 0; i < 3; i++) {
        int fd = served_one(O_RDWR);
        say("-- read, written, synced by the ring");
        CALL(ring_does((struct io_uring_sqe){
            .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buffer, .len = 8192, .off = 40960}));
        say_origin("by the ring", buffer, 8192, 40960);
        CALL(lseek(fd, 40960, SEEK_SET));
        CALL(ring_does((struct io_uring_sqe){
            .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buffer, .len = 8192, .off = ~0ull}));
        OFFSET(fd);
        say_bytes("by us", buffer, CALL(read(fd, buffer, 8192)));
        fill(buffer, 9, 0, 8192);
        CALL(ring_does((struct io_uring_sqe){
            .opcode = IORING_OP_WRITE, .fd = fd, .addr = (uintptr_t)buffer, .len = 8192, .off = 500000 + i * 10000u}));
        say_bytes("by us", buffer, CALL(pread(fd, buffer, 9000, 500000 + i * 10000)));
        CALL(ring_does((struct io_uring_sqe){.opcode = IORING_OP_FSYNC, .fd = fd}));
        say("-- closed by the ring");
        CALL(ring_does((struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = fd}));
        closed(fd);
        say("-- closed by the ring, opened by the ring");
        fd = served_one(O_RDWR);
        CALL(ring_does((struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = fd}));
        say("  the same number: %d", ring_does((struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
                                                                      .addr = (uintptr_t) "two", .open_flags = O_RDWR})
                                         == fd);
        look("opened by the ring", fd);
        step("opened by the ring", fd);
        close(fd);
        closed(fd);
    }
}

static void by_io_uring(void) { with_ring(false); }
// As liburing does: its system calls are bare instructions.
static void by_io_uring_in_hiding(void) { with_ring(true); }

// ---- libraries -----------------------------------------------------------------------------------------------------
static void by_libraries(void)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/stale-library.so", programs_directory);
    for (int way = 0; way < 5; way++) {
        static const char *const names[] = {"dlclose", "dlclose, its stream", "dlclose of a replaced number",
                                            "deeply bound", "it replaces its number"};
        say("-- %s", names[way]);
        make_both();
        void *library = dlopen(path, RTLD_NOW | (way == 3 ? RTLD_DEEPBIND : 0));
        if (library == NULL)
            die(dlerror());
        int fd = ((int (*)(void))dlsym(library, "library_descriptor"))();
        warm(fd);
        look("the library's", fd);
        if (way == 1)
            ((void (*)(void))dlsym(library, "library_make_stream"))();
        if (way == 2)
            dup2(served_one(O_RDONLY), fd);
        if (way == 4)
            ((void (*)(int))dlsym(library, "library_replace"))(two);
        look("the library's", fd);
        CALL(dlclose(library));
        closed(fd);
    }
}

// A libc of its own, in another namespace: its calls go past every preload.
static void by_another_libc(void)
{
    make_both();
    int fd = served_one(O_RDWR);
    void *libc = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
    if (libc == NULL)
        die(dlerror());
    int (*close_there)(int) = (int (*)(int))dlsym(libc, "close");
    int (*open_there)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(libc, "open");
    look("one", fd);
    CALL(close_there(fd));
    closed(fd);
    fd = served_one(O_RDWR);
    close_there(fd);
    say("  the same number: %d", open_there("two", O_RDWR) == fd);
    look("opened there", fd);
    step("opened there", fd);
}

// ---- exec ----------------------------------------------------------------------------------------------------------
static void by_exec(void)
{
    make_both();
    for (int shim = 0; shim < 2; shim++)
        for (int keeps = 0; keeps < 2; keeps++) {
            say("-- %s, %s", shim_names[shim], keeps ? "inherited" : "closed on exec");
            int fd = numbered(served_one(O_RDWR), 300);
            warm(fd);
            fcntl(fd, F_SETFD, keeps ? 0 : FD_CLOEXEC);
            IN_CHILD({
                warm(fd);
                EXEC_HELPER(shim, "probe", text_of(fd), text_of(two));
            });
            look("still one", fd);
            close(fd);
            closed(fd);
        }
}

// ---- numbers with more than one word ---------------------------------------------------------------------------
static void by_odd_numbers(void)
{
    make_both();
    say("-- the kernel takes the lower half of a system call's number");
    int fd = served_one(O_RDWR);
    CALL(syscall(SYS_close | 7l << 32, fd));
    closed(fd);
    fd = served_one(O_RDWR);
    CALL(syscall(SYS_dup2 | 1l << 40, two, fd));
    look("file two", fd);
    close(fd);
    closed(fd);
    say("-- and of a descriptor");
    fd = served_one(O_RDWR);
    CALL(syscall(SYS_close, fd | 1l << 32));
    closed(fd);
    CALL(syscall(-1, fd) < 0);
    CALL(syscall(511, fd) < 0);
    CALL(syscall(512, fd) < 0);
}

PROGRAM({"streams", by_streams}, {"terminals", by_terminals}, {"io-uring", by_io_uring},
        {"io-uring-in-hiding", by_io_uring_in_hiding}, {"libraries", by_libraries}, {"another-libc", by_another_libc},
        {"exec", by_exec}, {"odd-numbers", by_odd_numbers})
