// short-programs --library SO [--programs N] [--most BYTES]: in a mount namespace of its own, with a /dev/shm of 64
// MiB, starts N short programs, each of which makes 40 reads of a served file there, half of them where every call is
// served and half with the settings as they are. At most BYTES (8 MiB) may be left in /dev/shm after them, the file not
// counted: it is for programs that want shared memory. Status 0, 1 (more is left, or a program failed), 2, or 77 (may
// not mount).
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statfs.h>

#include "transcript.h"

#define DATA "/dev/shm/data"
#define INPUT DATA "/input"
#define INPUT_SIZE (1l << 20)

static const char *library;
static long programs = 2000, most = 8 << 20;

// The short program itself.
static int read_forty_times(void)
{
    unsigned char bytes[4096];
    int fd = open(INPUT, O_RDONLY);
    for (long call = 0; call < 40; call++) {
        long at = call * 5003 % (INPUT_SIZE - 4096);
        if (pread(fd, bytes, sizeof bytes, at) != sizeof bytes)
            return 1;
        for (long i = 0; i < 4096; i += 97)
            if (bytes[i] != pattern(1, at + i))
                return 1;
    }
    return 0;
}

static long used_kilobytes(void)
{
    struct statfs system;
    if (statfs("/dev/shm", &system) != 0)
        die("statfs");
    return (long)(system.f_blocks - system.f_bfree) * (long)system.f_bsize / 1024;
}

static void make_input(void)
{
    static unsigned char bytes[INPUT_SIZE];
    for (long i = 0; i < INPUT_SIZE; i++)
        bytes[i] = pattern(1, i);
    int fd = open(INPUT, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, bytes, sizeof bytes) != sizeof bytes || close(fd) != 0)
        die(INPUT);
}

static pid_t start(const char *self, long number)
{
    static char preload[PATH_MAX + 16];
    char *arguments[] = {"short-programs", "--short", NULL};
    char *environment[] = {preload, "PMEMSHIM_MOUNTS=" DATA, number % 2 == 0 ? "PMEMSHIM_MAP_AFTER=0" : NULL, NULL};
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", library);
    pid_t child = vfork();
    if (child == 0) {
        execve(self, arguments, environment);
        _exit(99);
    }
    if (child < 0)
        die("vfork");
    return child;
}

static int start_all(const char *self)
{
    long started = 0, ended = 0, failed = 0;
    const int at_once = 4;
    while (ended < programs) {
        while (started < programs && started - ended < at_once)
            start(self, started++);
        int status;
        if (wait(&status) < 0)
            die("wait");
        ended++;
        if (status != 0 && failed++ < 3)
            printf("a program ended with status %d, signal %d\n", WEXITSTATUS(status), WTERMSIG(status));
    }
    return failed == 0 ? 0 : 1;
}

static int within(const char *self)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0 ||
        mount("short-programs", "/dev/shm", "tmpfs", 0, "size=64m,mode=1777") != 0) {
        perror("short-programs: cannot mount");
        return 77;
    }
    if (mkdir(DATA, 0755) != 0)
        die(DATA);
    make_input();
    long before = used_kilobytes();
    int status = start_all(self);
    long left = used_kilobytes() - before;
    printf("%ld programs leave %ld KiB\n", programs, left);
    fflush(stdout);
    return status != 0 || left * 1024 > most ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"library", required_argument, NULL, 'l'},
                                            {"programs", required_argument, NULL, 'p'},
                                            {"most", required_argument, NULL, 'm'},
                                            {NULL, 0, NULL, 0}};
    static char self[PATH_MAX], absolute[PATH_MAX];
    if (argc == 2 && strcmp(argv[1], "--short") == 0)
        return read_forty_times();
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'l')
            library = realpath(optarg, absolute);
        else if (option == 'p')
            programs = atol(optarg);
        else if (option == 'm')
            most = atol(optarg);
        else
            return 2;
    }
    if (library == NULL || programs < 1 || realpath("/proc/self/exe", self) == NULL) {
        fprintf(stderr, "usage: short-programs --library LIBPMEMSHIM.SO [--programs N] [--most BYTES]\n");
        return 2;
    }
    // All it starts ends with the first process of the namespace, and what it mounts goes with it.
    if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWPID) != 0) {
        perror("short-programs: no namespace of its own");
        return 77;
    }
    pid_t inside = fork();
    if (inside == 0)
        exit(within(self));
    int status = 0;
    while (inside < 0 || waitpid(inside, &status, 0) < 0)
        if (errno != EINTR)
            die("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
