// Writes against a limit: RLIMIT_FSIZE and full file systems.
#include <signal.h>
#include <sys/resource.h>
#include <sys/statfs.h>

#include "transcript.h"

static unsigned char buffer[2 << 20];

static void limit(rlim_t bytes)
{
    struct rlimit limits = {bytes, RLIM_INFINITY};
    CALL(setrlimit(RLIMIT_FSIZE, &limits));
}

#define LIMITED_WRITES                                                                                                 \
    do {                                                                                                               \
        for (int i_ = 0; i_ < 3; i_++) {                                                                               \
            CALL(pwrite(fd, buffer, 4096, 8192));                                                                      \
            CALL(pwrite(fd, buffer, 4096, 1 << 20));                                                                   \
            CALL(pwrite(fd, buffer, 4096, (1 << 20) - 2048));                                                          \
            CALL(pwrite(fd, buffer, 4096, 3 << 20));                                                                   \
            CALL(pwrite(fd, buffer, 4096, FILE_SIZE));                                                                 \
        }                                                                                                              \
        truth("file");                                                                                                 \
    } while (0)

static void file_size_limit(void)
{
    signal(SIGXFSZ, SIG_IGN);
    int fd = open_file("file", 1, O_RDWR);
    fill(buffer, 2, 0, sizeof buffer);
    LIMITED_WRITES;
    limit(1 << 20);
    LIMITED_WRITES;
    limit(RLIM_INFINITY);
    LIMITED_WRITES;
    struct rlimit limits = {1 << 20, RLIM_INFINITY}, lifted = {RLIM_INFINITY, RLIM_INFINITY};
    CALL(prlimit(0, RLIMIT_FSIZE, &limits, NULL));
    LIMITED_WRITES;
    CALL(prlimit(getpid(), RLIMIT_FSIZE, &lifted, NULL));
    LIMITED_WRITES;
    CALL(syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, &limits, NULL));
    LIMITED_WRITES;
}

static void file_size_limit_inherited(void)
{
    int fd = open_file("file", 1, O_RDWR);
    fill(buffer, 2, 0, sizeof buffer);
    signal(SIGXFSZ, SIG_IGN);
    limit(1 << 20);
    char program[PATH_MAX + 32];
    snprintf(program, sizeof program, "%s/write-limits", programs_directory);
    IN_CHILD(LIMITED_WRITES);
    IN_CHILD(execl(program, program, "limited-by-its-parent", ".", NULL));
    (void)fd;
}

static void limited_by_its_parent(void)
{
    int fd = OPEN(open("file", O_RDWR));
    warm(fd);
    fill(buffer, 3, 0, sizeof buffer);
    LIMITED_WRITES;
    limit(RLIM_INFINITY);
    LIMITED_WRITES;
}

static void file_size_limit_kills(void)
{
    int fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < 3; i++)
        IN_CHILD({
            warm(fd);
            limit(1 << 20);
            CALL(pwrite(fd, buffer, 4096, 8192));
            fflush(stdout);
            CALL(pwrite(fd, buffer, 4096, 3 << 20));
        });
    truth("file");
}

static void no_space(void)
{
    // Filling somebody else's file system would take the memory of the whole machine.
    struct statfs status;
    if (statfs(".", &status) != 0 || (unsigned long)status.f_blocks * (unsigned long)status.f_bsize > 64ul << 20) {
        fprintf(stderr, "no-space: only on a file system of at most 64 MiB\n");
        _exit(2);
    }
    int fd = open_file("file", 1, O_RDWR), filler = OPEN(open("filler", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    fill(buffer, 2, 0, sizeof buffer);
    CALL(ftruncate(fd, 40 << 20)); // a hole without room to fill it
    unsigned char page[4096];
    ssize_t count = 0;
    for (size_t step = 1 << 20; step >= 1; step /= 2)
        while ((count = write(filler, buffer, step)) > 0)
            ;
    say("full: %zd %s", count, strerrorname_np(errno));
    for (int i = 0; i < 3; i++) {
        CALL(pwrite(fd, buffer, 4096, 8192));           // there
        CALL(pwrite(fd, buffer, 4096, 30 << 20));       // hole
        CALL(pwrite(fd, buffer, 4096, (12 << 20) + 1)); // hole
        say_bytes("read", page, CALL(pread(fd, page, 4096, 30 << 20)));
    }
    truth("file");
    CALL(ftruncate(filler, 0));
    CALL(pwrite(fd, buffer, 4096, 30 << 20));
    truth("file");
}

PROGRAM({"file-size-limit", file_size_limit}, {"file-size-limit-inherited", file_size_limit_inherited},
        {"limited-by-its-parent", limited_by_its_parent}, {"file-size-limit-kills", file_size_limit_kills},
        {"no-space", no_space})
