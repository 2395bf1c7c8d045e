// System call filters: of a running program, which must not come to make calls that only the shim wants, and inherited
// from whoever started it.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "transcript.h"

static unsigned char buffer[65536];
static int fd;

// Every kind of system call the shim makes of its own.
static const struct {
    const char *name;
    int number;
} wanted[] = {{"mmap", SYS_mmap},
              {"munmap", SYS_munmap},
              {"madvise", SYS_madvise},
              {"lseek", SYS_lseek},
              {"statx", SYS_statx},
              {"fstat", SYS_fstat},
              {"newfstatat", SYS_newfstatat},
              {"fstatfs", SYS_fstatfs},
              {"readlink", SYS_readlink},
              {"openat", SYS_openat},
              {"fcntl", SYS_fcntl},
              {"ftruncate", SYS_ftruncate},
              {"mkdir", SYS_mkdir},
              {"membarrier", SYS_membarrier},
              {"rt_sigprocmask", SYS_rt_sigprocmask},
              {"rt_sigaction", SYS_rt_sigaction},
              {"gettid", SYS_gettid},
              {"getpid", SYS_getpid},
              {"tgkill", SYS_tgkill},
              {"kill", SYS_kill},
              {"geteuid", SYS_geteuid},
              {"prlimit64", SYS_prlimit64},
              {"sched_yield", SYS_sched_yield},
              {"clock_gettime", SYS_clock_gettime}};
enum { WANTED = sizeof wanted / sizeof *wanted };

// From now on system call `number` ends with `action`, all others are allowed.
static bool forbid(int number, unsigned action, unsigned flags)
{
    struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, action), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           (flags == 0 ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
                       : (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program)) == 0;
}

// What the program does itself needs read, write, their kin, close and exit, and of those nothing is forbidden.
static int failures(void)
{
    struct iovec vector[] = {{buffer, 4000}, {buffer + 4000, 5000}};
    int count = 0;
#define EXPECT(condition) (count += !(condition))
    for (int i = 0; i < 40; i++) {
        long at = i * 12345l;
        EXPECT(pread(fd, buffer, 9000, at) == 9000 && buffer[8999] == pattern(1, at + 8999));
        EXPECT(pwrite(fd, buffer, 9000, at) == 9000);
        EXPECT(pwrite(fd, buffer, 9000, at) == 9000);
        EXPECT(preadv(fd, vector, 2, at) == 9000 && buffer[8999] == pattern(1, at + 8999));
        EXPECT(pwritev(fd, vector, 2, at) == 9000);
        EXPECT(read(fd, buffer, 4096) == 4096 && buffer[0] == pattern(1, i * 4096l));
    }
    EXPECT(fsync(fd) == 0);
    int one = dup(fd);
    EXPECT(one >= 0 && pread(one, buffer, 9000, 700000) == 9000 && close(one) == 0);
    EXPECT(pread(one, buffer, 10, 0) < 0);
    return count;
}

static void filtered_child(int number, unsigned action)
{
    warm(fd);
    lseek(fd, 0, SEEK_SET);
    fflush(stdout);
    if (!forbid(number, action, 0))
        die("seccomp");
    int count = failures();
    _exit(count);
}

// Natively nothing of this makes the calls that are forbidden.
static void by_the_program(unsigned action)
{
    fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < WANTED; i++) {
        say("-- %s", wanted[i].name);
        IN_CHILD(filtered_child(wanted[i].number, action));
    }
    truth("file");
}

static void that_refuse(void) { by_the_program(SECCOMP_RET_ERRNO | EPERM); }
static void that_do_not_know(void) { by_the_program(SECCOMP_RET_ERRNO | ENOSYS); }
static void that_kill(void) { by_the_program(SECCOMP_RET_KILL_PROCESS); }
static void that_trap(void) { by_the_program(SECCOMP_RET_TRAP); }

static int started, go;

static void *reads_and_ends(void *unused)
{
    (void)unused;
    warm(fd);
    __atomic_store_n(&started, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
        pread(fd, buffer, 9000, 300000);
    long good = 0;
    static unsigned char bytes[9000];
    for (int i = 0; i < 20; i++)
        good += pread(fd, bytes, sizeof bytes, i * 9000l) == sizeof bytes && bytes[0] == pattern(1, i * 9000l);
    return (void *)good;
}

// A filter for all threads at once, set by one while another is in the middle of served calls.
static void for_all_threads(void)
{
    fd = open_file("file", 1, O_RDWR);
    static const int numbers[] = {SYS_lseek, SYS_statx, SYS_membarrier, SYS_readlink};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        IN_CHILD({
            pthread_t thread;
            void *good;
            started = go = 0;
            if (pthread_create(&thread, NULL, reads_and_ends, NULL) != 0)
                die("pthread_create");
            while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE))
                sched_yield();
            if (!forbid(numbers[i], SECCOMP_RET_KILL_PROCESS, SECCOMP_FILTER_FLAG_TSYNC))
                die("seccomp");
            __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
            pthread_join(thread, &good);
            say("good reads %ld, %d failures", (long)good, failures());
        });
}

// Under an inherited filter: as much as can be done with what is left.
static void started_under_a_filter(void)
{
    fd = OPEN(open("file", O_RDWR | O_CLOEXEC));
    say("%d failures", failures());
    int other = OPEN(open("file", O_RDONLY | O_CLOEXEC));
    CALL(close(fd));
    say_bytes("pread", buffer, CALL(pread(other, buffer, 9000, 500000)));
    CALL(close(other));
    fd = OPEN(open("other", O_RDWR | O_CLOEXEC));
    say("%d failures", failures());
    IN_CHILD(say("%d failures", failures()));
    truth("file");
}

static void inherited(unsigned action, const char *const *names)
{
    char program[PATH_MAX + 32];
    snprintf(program, sizeof program, "%s/faults-seccomp", programs_directory);
    fd = open_file("file", 1, O_RDWR);
    make_file("other", 1, FILE_SIZE);
    for (; *names != NULL; names++) {
        int number = -1;
        for (int i = 0; i < WANTED; i++)
            if (strcmp(wanted[i].name, *names) == 0)
                number = wanted[i].number;
        say("-- %s", *names);
        IN_CHILD({
            if (!forbid(number, action, 0))
                die("seccomp");
            fflush(stdout);
            CALL(execl(program, program, "started-under-a-filter", ".", NULL));
        });
    }
}

// Of the calls the shim makes those that neither the loader nor libc needs to start this program.
static const char *const dispensable[] = {"madvise",    "lseek",        "statx",  "fstatfs", "readlink",
                                          "fcntl",      "ftruncate",    "mkdir",  "membarrier",
                                          "rt_sigprocmask", "rt_sigaction", "gettid", "getpid",  "tgkill",
                                          "kill",       "geteuid",      "sched_yield", NULL};

static void inherited_that_refuse(void) { inherited(SECCOMP_RET_ERRNO | EPERM, dispensable); }
static void inherited_that_do_not_know(void) { inherited(SECCOMP_RET_ERRNO | ENOSYS, dispensable); }
static void inherited_that_kill(void) { inherited(SECCOMP_RET_KILL_PROCESS, dispensable); }

PROGRAM({"that-refuse", that_refuse}, {"that-do-not-know", that_do_not_know}, {"that-kill", that_kill},
        {"that-trap", that_trap}, {"for-all-threads", for_all_threads},
        {"started-under-a-filter", started_under_a_filter}, {"inherited-that-refuse", inherited_that_refuse},
        {"inherited-that-do-not-know", inherited_that_do_not_know}, {"inherited-that-kill", inherited_that_kill})
