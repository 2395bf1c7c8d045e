// One write after the other in one state of a file, at one place in it, by one way through the engine, so that the
// figures say what was decided: write-decision DIRECTORY WAY one|two STATE PLACE LEAST
// (one or two threads: with one, the engine has short ways).
//
// Lengths of at least LEAST bytes are written, each twice as often as the one before: the number of calls with one
// outcome says which lengths had it.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const size_t lengths[] = {70000, 4096, 1024, 512, 511, 65, 64, 33, 4, 1};
enum { SIZE = (4 << 20) + 1000, WARMING = 400 };

static unsigned char bytes[70000];

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static void *sleeping(void *unused)
{
    for (;;) pause();
    return unused;
}

static ssize_t write_by(const char *way, int fd, size_t length, long at)
{
    struct iovec one = {bytes, length};
    if (strcmp(way, "pwrite") == 0) return pwrite(fd, bytes, length, at);
    if (strcmp(way, "pwritev") == 0) return pwritev(fd, &one, 1, at);
    if (strcmp(way, "pwritev2") == 0) return pwritev2(fd, &one, 1, at, 0);
    if (strcmp(way, "number") == 0) return syscall(SYS_pwrite64, fd, bytes, length, at);
    if (lseek(fd, at, SEEK_SET) != at) fail("lseek");
    if (strcmp(way, "write") == 0) return write(fd, bytes, length);
    if (strcmp(way, "writev") == 0) return writev(fd, &one, 1);
    fail(way);
    return -1;
}

static int opened(const char *path, const char *state)
{
    int flags = O_RDWR;
    if (strcmp(state, "appending") == 0) flags |= O_APPEND;
    if (strcmp(state, "reading") == 0) flags = O_RDONLY;
    if (strcmp(state, "writing") == 0) flags = O_WRONLY;
    if (strcmp(state, "synchronous") == 0) flags |= O_DSYNC;
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) fail(path);
    return fd;
}

static void make(const char *path, int punched)
{
    // By a mapping, so that no write is counted.
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, SIZE) != 0) fail(path);
    char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) fail("mmap");
    memset(at, 'm', SIZE);
    munmap(at, SIZE);
    // ext4 gives blocks at write-back: until then it depends on how many calls have asked what is known of holes.
    if (fsync(fd) != 0) fail("fsync");
    if (punched && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 << 20, 1 << 20) != 0) fail("fallocate");
    close(fd);
}

int main(int count, char **arguments)
{
    if (count != 7) return 2;
    const char *way = arguments[2], *threads = arguments[3], *state = arguments[4], *place = arguments[5];
    const size_t least = strtoul(arguments[6], NULL, 10);
    char path[4096];
    snprintf(path, sizeof path, "%s/decided", arguments[1]);
    memset(bytes, 'd', sizeof bytes);
    make(path, strcmp(state, "punched") == 0);
    pthread_t thread;
    if (strcmp(threads, "two") == 0 && pthread_create(&thread, NULL, sleeping, NULL) != 0) fail("pthread_create");
    int fd = opened(path, state);
    // Known and mapped, by calls that are counted elsewhere.
    int other = open(path, O_RDWR | O_CLOEXEC);
    struct iovec page = {bytes, 4096};
    for (int i = 0; i < 8; i++) {
        const ssize_t written =
            strcmp(way, "write") == 0 ? pwritev(other, &page, 1, 4096l * i) : write(other, bytes, 4096);
        if (pread(other, bytes, 4096, 4096l * i) != 4096 || written != 4096) fail("warming up");
    }
    // On DAX a region is made ready when enough calls have asked for it: enough for each that is written to.
    for (int i = 0; i < WARMING; i++) {
        const long at = i % 2 ? 8192 : (SIZE & ~4095l) - 4096;
        if (lseek(other, at, SEEK_SET) != at) fail("lseek");
        const ssize_t written =
            strcmp(way, "write") == 0 ? pwritev(other, &page, 1, at) : write(other, bytes, 4096);
        if (written != 4096) fail("warming up");
    }
    if (strcmp(state, "limited") == 0 && setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 30, 1 << 30}) != 0)
        fail("setrlimit");
    long end = SIZE;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths && lengths[i] >= least; i++) {
        for (int again = 0; again < 1 << i; again++) {
            long at = 8192;
            if (strcmp(place, "last page") == 0) at = SIZE - (long)lengths[i] - 10;
            if (strcmp(place, "at the end") == 0) at = end;
            if (strcmp(place, "across the end") == 0) at = end - 1;
            if (strcmp(place, "negative") == 0) at = -5;
            const ssize_t written = write_by(way, fd, lengths[i], at);
            if (written > 0 && strcmp(state, "appending") == 0) end += written;
            else if (written > 0 && at + written > end) end = at + written;
        }
    }
    unlink(path);
    return 0;
}
