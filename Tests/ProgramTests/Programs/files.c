// File work with a check of every byte, for programs that run it: another libc, faketime, strace, ltrace, valgrind.
// Usage: files DIRECTORY
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 256 };

static uint8_t buffer[8 * PAGE];
static uint8_t model[2 * PAGES * PAGE];
static size_t size;

static uint32_t hash(const uint8_t *bytes, ssize_t count)
{
    uint32_t result = 2166136261u;
    for (ssize_t at = 0; at < count; at++)
        result = (result ^ bytes[at]) * 16777619u;
    return result;
}

static void check(const char *what, ssize_t done, ssize_t wanted, size_t offset)
{
    if (done != wanted || memcmp(buffer, model + offset, done > 0 ? (size_t)done : 0) != 0) {
        printf("%s at %zu: %zd of %zd bytes, errno %d, or wrong ones\n", what, offset, done, wanted, errno);
        exit(1);
    }
}

static void fill(size_t count, unsigned seed)
{
    for (size_t at = 0; at < count; at++)
        buffer[at] = (uint8_t)(at * 7 + (at >> 8) * 13 + seed * 31);
}

static void put(int fd, size_t count, size_t offset, unsigned seed)
{
    fill(count, seed);
    if (pwrite(fd, buffer, count, (off_t)offset) != (ssize_t)count)
        exit(2);
    memcpy(model + offset, buffer, count);
    if (offset + count > size)
        size = offset + count;
}

static ssize_t there(size_t count, size_t offset)
{
    return offset >= size ? 0 : (ssize_t)(offset + count > size ? size - offset : count);
}

// How often the file's times moved in 30 writes that are some clock ticks apart.
static int told(int fd)
{
    struct stat before, after;
    int count = 0;
    fstat(fd, &before);
    for (int round = 0; round < 30; round++) {
        const struct timespec pause = {0, 9000000};
        nanosleep(&pause, NULL);
        put(fd, PAGE, (size_t)(round % 100) * PAGE, (unsigned)round + 500);
        fstat(fd, &after);
        count += after.st_ctim.tv_sec != before.st_ctim.tv_sec || after.st_ctim.tv_nsec != before.st_ctim.tv_nsec;
        before = after;
    }
    return count;
}

int main(int count, char **arguments)
{
    if (count != 2 || chdir(arguments[1]) != 0)
        return 64;
    setvbuf(stdout, NULL, _IONBF, 0);
    int fd = open("work", O_RDWR | O_CREAT | O_TRUNC, 0640);
    for (size_t page = 0; page < PAGES; page++)
        put(fd, PAGE, page * PAGE, (unsigned)page);
    printf("made: %zu bytes, %08x\n", size, hash(model, (ssize_t)size));

    uint64_t random = 88172645463325252u;
    for (unsigned round = 0; round < 1500; round++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        size_t offset = random % (PAGES * PAGE), length = 1 + (random >> 32) % 9000;
        if (round % 3 == 0)
            put(fd, length, offset, round);
        if (round % 5 == 0) {
            struct iovec parts[2] = {{buffer, length / 2}, {buffer + length / 2, length - length / 2}};
            check("preadv", preadv(fd, parts, 2, (off_t)offset), there(length, offset), offset);
        } else if (round % 7 == 0) {
            lseek(fd, (off_t)offset, SEEK_SET);
            check("read", read(fd, buffer, length), there(length, offset), offset);
            if (lseek(fd, 0, SEEK_CUR) != (off_t)offset + there(length, offset))
                return 3;
        } else {
            check("pread", pread(fd, buffer, length, (off_t)offset), there(length, offset), offset);
        }
    }
    printf("1500 calls: %zu bytes, %08x\n", size, hash(model, (ssize_t)size));

    int twin = dup(fd), other = open("other", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int round = 0; round < 300; round++)
        if (write(other, "other", 5) != 5)
            return 4;
    lseek(fd, 1000, SEEK_SET);
    check("read", read(twin, buffer, 5000), 5000, 1000);
    printf("shared offset: %jd\n", (intmax_t)lseek(fd, 0, SEEK_CUR));
    dup2(other, twin);
    memset(buffer, 0, 20);
    printf("dup2: %zd %.10s\n", pread(twin, buffer, 10, 5), (char *)buffer);

    uint8_t *view = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memcpy(view + 5000, "through the mapping", 19);
    memcpy(model + 5000, "through the mapping", 19);
    check("pread", pread(fd, buffer, 100, 4990), 100, 4990);
    put(fd, 3000, 9000, 77);
    printf("mapping: %d\n", memcmp(view, model, size));

    pid_t child = fork();
    if (child == 0) {
        put(fd, 6000, 300000, 99);
        check("child's pread", pread(fd, buffer, 9000, 299000), 9000, 299000);
        lseek(fd, 12345, SEEK_SET);
        _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    fill(6000, 99);
    memcpy(model + 300000, buffer, 6000);
    check("read after the child", read(fd, buffer, 6000), 6000, 12345);
    printf("child: %d, offset %jd, %08x\n", WEXITSTATUS(status), (intmax_t)lseek(fd, 0, SEEK_CUR),
           hash(view, (ssize_t)size));
    munmap(view, size);

    size = 500000;
    if (ftruncate(fd, (off_t)size) != 0)
        return 5;
    check("pread", pread(fd, buffer, 9000, 495000), 5000, 495000);
    check("pread past the end", pread(fd, buffer, 10, 600000), 0, 0);
    errno = 0;
    printf("bad: %zd", pread(fd, buffer, 10, -1));
    printf(" %d", errno);
    volatile uintptr_t nowhere = 8;
    printf(" %zd", pread(fd, (void *)nowhere, 8192, 4096));
    printf(" %d\n", errno);
    printf("times told: %d of 30\n", told(fd));
    fsync(fd);
    struct stat now;
    fstat(fd, &now);
    printf("end: %jd bytes, mode %o, %08x\n", (intmax_t)now.st_size, now.st_mode, hash(model, (ssize_t)size));
    return 0;
}
