// Every name libc has for a data call, and libc's syscall(), on one file: all do the same.
#include <dlfcn.h>
#include <fcntl.h>

#include "transcript.h"

static unsigned char buffer[65536];
static int fd;

// As a program linked against that name would find it: the first in search order.
static void *function(const char *name)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    say("-- %s%s", name, symbol == NULL ? ": not in this libc" : "");
    return symbol;
}

#define EACH(names, type)                                                                                              \
    for (size_t i_ = 0; i_ < sizeof(names) / sizeof *(names); i_++)                                                    \
        for (__typeof__(type) call = (__typeof__(type))function((names)[i_]); call != NULL; call = NULL)               \
            for (int round = 0; round < 8; round++)

#define CHECK_READ(label, position) say_origin(label, buffer, result, position)

static void reading_names(void)
{
    fd = open_file("file", 1, O_RDWR);
    long result;
    struct iovec vector[] = {{buffer, 1000}, {buffer + 1000, 7001}};
    static const char *const reads[] = {"read", "__read"}, *const preads[] = {"pread", "pread64", "__pread64"};
    static const char *const readvs[] = {"readv"}, *const preadvs[] = {"preadv", "preadv64"},
                             *const preadv2s[] = {"preadv2", "preadv64v2"};
    static const char *const read_chks[] = {"__read_chk"}, *const pread_chks[] = {"__pread_chk", "__pread64_chk"};
    CALL(lseek(fd, 5, SEEK_SET));
    long offset = 5;
    EACH (reads, ssize_t (*)(int, void *, size_t)) {
        result = call(fd, buffer, 8001);
        CHECK_READ("read", offset);
        offset += 8001;
    }
    EACH (read_chks, ssize_t (*)(int, void *, size_t, size_t)) {
        result = call(fd, buffer, 8001, sizeof buffer);
        CHECK_READ("read", offset);
        offset += 8001;
    }
    EACH (readvs, ssize_t (*)(int, const struct iovec *, int)) {
        result = call(fd, vector, 2);
        CHECK_READ("readv", offset);
        offset += 8001;
    }
    EACH (preads, ssize_t (*)(int, void *, size_t, off_t)) {
        result = call(fd, buffer, 8001, 777777 * round);
        CHECK_READ("pread", 777777 * round);
    }
    EACH (pread_chks, ssize_t (*)(int, void *, size_t, off_t, size_t)) {
        result = call(fd, buffer, 8001, 777777 * round, 8001);
        CHECK_READ("pread", 777777 * round);
    }
    EACH (preadvs, ssize_t (*)(int, const struct iovec *, int, off_t)) {
        result = call(fd, vector, 2, 777777 * round);
        CHECK_READ("preadv", 777777 * round);
    }
    EACH (preadv2s, ssize_t (*)(int, const struct iovec *, int, off_t, int)) {
        result = call(fd, vector, 2, 777777 * round, 0);
        CHECK_READ("preadv2", 777777 * round);
        result = call(fd, vector, 2, -1, 0);
        CHECK_READ("preadv2", offset);
        offset += 8001;
    }
    OFFSET(fd);
}

static void writing_names(void)
{
    fd = open_file("file", 1, O_RDWR);
    struct iovec vector[] = {{buffer, 1000}, {buffer + 1000, 7001}};
    static const char *const writes[] = {"write", "__write"}, *const pwrites[] = {"pwrite", "pwrite64", "__pwrite64"};
    static const char *const writevs[] = {"writev"}, *const pwritevs[] = {"pwritev", "pwritev64"},
                             *const pwritev2s[] = {"pwritev2", "pwritev64v2"};
    int tag = 2;
    EACH (writes, ssize_t (*)(int, const void *, size_t)) {
        fill(buffer, tag++, 0, sizeof buffer);
        say("%zd", call(fd, buffer, 8001));
        OFFSET(fd);
        if (round == 7)
            truth("file");
    }
    EACH (writevs, ssize_t (*)(int, const struct iovec *, int)) {
        fill(buffer, tag++, 0, sizeof buffer);
        say("%zd", call(fd, vector, 2));
        OFFSET(fd);
        if (round == 7)
            truth("file");
    }
    EACH (pwrites, ssize_t (*)(int, const void *, size_t, off_t)) {
        fill(buffer, tag++, 0, sizeof buffer);
        say("%zd", call(fd, buffer, 8001, 777777 * round));
        if (round == 7)
            truth("file");
    }
    EACH (pwritevs, ssize_t (*)(int, const struct iovec *, int, off_t)) {
        fill(buffer, tag++, 0, sizeof buffer);
        say("%zd", call(fd, vector, 2, 777777 * round));
        if (round == 7)
            truth("file");
    }
    EACH (pwritev2s, ssize_t (*)(int, const struct iovec *, int, off_t, int)) {
        fill(buffer, tag++, 0, sizeof buffer);
        say("%zd %zd", call(fd, vector, 2, 777777 * round, 0), call(fd, vector, 2, -1, 0));
        if (round == 7)
            truth("file");
    }
    OFFSET(fd);
}

// The checked twins end the program when the buffer is smaller than the count; with or without a window.
static void checked_twins_check(void)
{
    fd = open_file("file", 1, O_RDONLY);
    ssize_t (*read_chk)(int, void *, size_t, size_t) = function("__read_chk");
    ssize_t (*pread_chk)(int, void *, size_t, off_t, size_t) = function("__pread_chk");
    ssize_t (*pread64_chk)(int, void *, size_t, off_t, size_t) = function("__pread64_chk");
    IN_CHILD(say("%zd", read_chk(fd, buffer, 4096, 4096)); say("%zd", read_chk(fd, buffer, 4096, 4095)));
    IN_CHILD(say("%zd", pread_chk(fd, buffer, 4096, 8192, 4096)); say("%zd", pread_chk(fd, buffer, 4096, 8192, 4095)));
    IN_CHILD(say("%zd", pread64_chk(fd, buffer, 4096, 8192, 4096)); say("%zd", pread64_chk(fd, buffer, 4096, 8192, 0)));
}

static void through_syscall(void)
{
    fd = open_file("file", 1, O_RDWR);
    struct iovec vector[] = {{buffer, 1000}, {buffer + 1000, 7001}};
    for (int i = 0; i < 5; i++) {
        long offset = raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0), at = 333333 * i;
        say_origin("read", buffer, CALL(syscall(SYS_read, fd, buffer, 8001)), offset);
        say_origin("pread", buffer, CALL(syscall(SYS_pread64, fd, buffer, 8001, at)), at);
        say_origin("readv", buffer, CALL(syscall(SYS_readv, fd, vector, 2)), offset + 8001);
        // The offset of these is passed in two halves; on a 64-bit machine the second does not count.
        say_origin("preadv", buffer, CALL(syscall(SYS_preadv, fd, vector, 2, at, 0)), at);
        say_origin("preadv2", buffer, CALL(syscall(SYS_preadv2, fd, vector, 2, at, 0, 0)), at);
        say_origin("preadv2", buffer, CALL(syscall(SYS_preadv2, fd, vector, 2, -1l, 0, RWF_HIPRI)), offset + 16002);
        OFFSET(fd);
        fill(buffer, 2 + i, 0, sizeof buffer);
        CALL(syscall(SYS_write, fd, buffer, 8001));
        CALL(syscall(SYS_pwrite64, fd, buffer, 8001, at));
        CALL(syscall(SYS_writev, fd, vector, 2));
        CALL(syscall(SYS_pwritev, fd, vector, 2, at + 10000, 0));
        CALL(syscall(SYS_pwritev2, fd, vector, 2, at + 20000, 0, 0));
        CALL(syscall(SYS_pwritev2, fd, vector, 2, -1l, 0, 0));
        OFFSET(fd);
        truth("file");
        CALL(syscall(SYS_fsync, fd));
        CALL(syscall(SYS_fdatasync, fd));
        CALL(syscall(SYS_sync_file_range, fd, 0l, 0l, 7));
        CALL(syscall(SYS_ftruncate, fd, FILE_SIZE - 100 * i));
        CALL(syscall(SYS_lseek, fd, 1000 * i, SEEK_SET));
        CALL(pread(fd, buffer, 8192, FILE_SIZE - 8192));
    }
    CALL(syscall(SYS_read, -1, buffer, 1));
    CALL(syscall(SYS_pread64, fd, NULL, 4096, 8192));
    CALL(syscall(SYS_pread64, fd, buffer, 4096, -1l));
    CALL(syscall(SYS_pwrite64, fd, buffer, -1l, 4096));
    CALL(syscall(99999));
    CALL(syscall(SYS_getppid) == getppid());
    CALL(syscall(SYS_close, fd));
    CALL(syscall(SYS_read, fd, buffer, 100));
}

PROGRAM({"reading-names", reading_names}, {"writing-names", writing_names},
        {"checked-twins-check", checked_twins_check}, {"through-syscall", through_syscall})
