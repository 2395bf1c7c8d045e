// Programs that lock their memory, lock themselves in, or part from their descriptors: the shim steps aside, and they
// go on as they would without it.
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "transcript.h"

static unsigned char buffer[65536];
static int fd;

static void start(void) { fd = open_file("file", 1, O_RDWR); }

static void calls(void)
{
    for (int i = 0; i < 4; i++) {
        long offset = raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0);
        say_origin("pread", buffer, CALL(pread(fd, buffer, 9000, 700000 * i)), 700000 * i);
        say_origin("read", buffer, CALL(read(fd, buffer, 9000)), offset);
        fill(buffer, 1, offset + 9000, 9000);
        CALL(write(fd, buffer, 9000));
        CALL(pwrite(fd, buffer, 9000, offset + 9000));
        OFFSET(fd);
    }
}

// What strict mode allows: read, write, exit. Any other system call, and be it a helpful one, kills.
static void in_strict_mode(int way)
{
    unsigned char bytes[9000];
    warm(fd);
    lseek(fd, 4096, SEEK_SET);
    fflush(stdout);
    if (way == 0)
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    else
        syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL);
    bool good = true;
    for (int i = 0; i < 5; i++) {
        long at = 4096 + i * 18000l;
        good &= read(fd, bytes, sizeof bytes) == sizeof bytes && bytes[0] == pattern(1, at) &&
                bytes[8999] == pattern(1, at + 8999);
        fill(bytes, 1, at + 9000, 9000);
        good &= write(fd, bytes, sizeof bytes) == sizeof bytes;
    }
    raw(SYS_exit, good ? 0 : 1, 0, 0, 0, 0, 0);
}

static void seccomp_strict(void)
{
    start();
    IN_CHILD(in_strict_mode(0));
    IN_CHILD(in_strict_mode(1));
    truth("file");
}

// Allows what a program that reads and writes with these calls needs, and no more.
static bool filter_system_calls(int way)
{
    static const int allowed[] = {SYS_read,   SYS_write, SYS_pread64, SYS_pwrite64,   SYS_readv,
                                  SYS_preadv, SYS_close, SYS_fsync,   SYS_exit_group, SYS_exit};
    struct sock_filter filter[2 * 10 + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    int length = 1;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {(unsigned short)length, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    return (way == 0 ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
                     : (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) == 0;
}

static void in_filter(int way, bool warmed)
{
    unsigned char bytes[9000];
    struct iovec vector[] = {{bytes, 4000}, {bytes + 4000, 5000}};
    if (warmed)
        warm(fd);
    fflush(stdout);
    if (!filter_system_calls(way))
        _exit(2);
    bool good = true;
    for (int i = 0; i < 200; i++) {
        long at = i * 12345l;
        good &= pread(fd, bytes, sizeof bytes, at) == sizeof bytes && bytes[8999] == pattern(1, at + 8999);
        good &= pwrite(fd, bytes, sizeof bytes, at) == sizeof bytes;
        good &= preadv(fd, vector, 2, at) == sizeof bytes && bytes[8999] == pattern(1, at + 8999);
    }
    good &= read(fd, bytes, sizeof bytes) == sizeof bytes && readv(fd, vector, 2) == sizeof bytes;
    good &= fsync(fd) == 0 && close(fd) == 0 && read(fd, bytes, 1) < 0;
    _exit(good ? 0 : 1);
}

static void seccomp_filter(void)
{
    start();
    IN_CHILD(in_filter(0, true));
    IN_CHILD(in_filter(1, true));
    IN_CHILD(in_filter(0, false));
    truth("file");
}

static void memory_locked(void)
{
    start();
    calls();
    CALL(mlockall(MCL_CURRENT | MCL_FUTURE));
    calls();
    int other = OPEN(open("file", O_RDWR));
    warm(other);
    CALL(munlockall());
    calls();
    CALL(mlockall(MCL_FUTURE));
    calls();
    CALL(mlockall(0));
    CALL(mlockall(999));
    CALL(munlockall());
    calls();
    truth("file");
}

// With MCL_FUTURE all later address space counts against the limit of who may not lock at will. (MCL_CURRENT counts
// what is there already, and the shim's own 7 MiB with it.)
static void memory_locked_under_a_limit(void)
{
    start();
    struct rlimit limit;
    CALL(getrlimit(RLIMIT_MEMLOCK, &limit));
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        die("setresuid");
    CALL(mlockall(MCL_FUTURE));
    calls();
    say("more: %d", limit.rlim_cur == RLIM_INFINITY ||
                        mmap(NULL, limit.rlim_cur + PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    CALL(munlockall());
    calls();
}

static void address_space_limited(void)
{
    start();
    calls();
    struct rlimit limit = {8l << 30, RLIM_INFINITY}, lifted = {RLIM_INFINITY, RLIM_INFINITY};
    CALL(setrlimit(RLIMIT_AS, &limit));
    CALL(mmap(NULL, 7l << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    calls();
    CALL(prlimit(0, RLIMIT_AS, &lifted, &limit));
    say("limit %ld", (long)limit.rlim_cur);
    calls();
    CALL(setrlimit(999, &limit));
    CALL(setrlimit(RLIMIT_AS, NULL) * 0);
    truth("file");
}

static int one, two;

static void *with_descriptors_of_its_own(void *unused)
{
    (void)unused;
    CALL(unshare(CLONE_FILES));
    dup2(two, one);
    for (int i = 0; i < 6; i++)
        say_origin("thread", buffer, CALL(pread(one, buffer, 8192, 8192 * i)), 8192 * i);
    close(two);
    return NULL;
}

static void descriptors_unshared(void)
{
    one = open_file("one", 1, O_RDWR);
    two = open_file("two", 2, O_RDWR);
    pthread_t thread;
    pthread_create(&thread, NULL, with_descriptors_of_its_own, NULL);
    pthread_join(thread, NULL);
    for (int i = 0; i < 6; i++) {
        say_origin("one", buffer, CALL(pread(one, buffer, 8192, 8192 * i)), 8192 * i);
        say_origin("two", buffer, CALL(pread(two, buffer, 8192, 8192 * i)), 8192 * i);
    }
}

static void *reads_until_cancelled(void *unused)
{
    (void)unused;
    for (;;)
        pread(fd, buffer, 9000, 1 << 20);
    return NULL;
}

static void *reads_with_cancellation_off(void *unused)
{
    (void)unused;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    for (int i = 0; i < 10; i++)
        CALL(pread(fd, buffer, 9000, 1 << 20));
    fflush(stdout);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pread(fd, buffer, 9000, 1 << 20);
    say("not reached");
    return NULL;
}

// Served or not, these calls are cancellation points.
static void cancellation(void)
{
    start();
    pthread_t thread;
    void *result;
    for (int i = 0; i < 5; i++) {
        pthread_create(&thread, NULL, i % 2 ? reads_with_cancellation_off : reads_until_cancelled, NULL);
        if (i % 2 == 0) {
            usleep(2000);
            CALL(pthread_cancel(thread));
        }
        pthread_join(thread, &result);
        say("cancelled %d", result == PTHREAD_CANCELED);
    }
    calls();
}

// A library opened with RTLD_DEEPBIND looks for its symbols at home first.
static void deeply_bound(void)
{
    start();
    void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_DEEPBIND);
    say("opened %d", library != NULL);
    double (*cosine)(double) = dlsym(library, "cos");
    say("%.1f", cosine(0));
    CALL(dlopen("/nonexistent.so", RTLD_NOW) != NULL);
    say("%s", dlerror() != NULL ? "an error" : "no error");
    CALL(dlclose(library));
    library = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
    ssize_t (*read_there)(int, void *, size_t, off_t) = library != NULL ? dlsym(library, "pread") : NULL;
    if (read_there != NULL)
        say_origin("from another namespace", buffer, read_there(fd, buffer, 8192, 8192), 8192);
    calls();
}

PROGRAM({"seccomp-strict", seccomp_strict}, {"seccomp-filter", seccomp_filter}, {"memory-locked", memory_locked},
        {"memory-locked-under-a-limit", memory_locked_under_a_limit}, {"address-space-limited", address_space_limited},
        {"descriptors-unshared", descriptors_unshared}, {"cancellation", cancellation}, {"deeply-bound", deeply_bound})
