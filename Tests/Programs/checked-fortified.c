// Compiled with _FORTIFY_SOURCE: the compiler turns these calls into their checked twins.
#include "transcript.h"

static unsigned char buffer[65536];
static volatile long count = 8001, at = 40000; // not known when compiling

static void data_calls(void)
{
    int fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < 8; i++) {
        long offset = raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0);
        say_origin("read", buffer, CALL(read(fd, buffer, (size_t)count)), offset);
        say_origin("pread", buffer, CALL(pread(fd, buffer, (size_t)count, at + i)), at + i);
        say_origin("pread64", buffer, CALL(pread64(fd, buffer, (size_t)count, at + i)), at + i);
        fill(buffer, 1, offset + 8001, 8001);
        CALL(write(fd, buffer, (size_t)count));
        OFFSET(fd);
    }
    truth("file");
}

static void opens(void)
{
    volatile int flags = O_RDWR;
    make_file("one", 1, FILE_SIZE);
    make_file("two", 2, FILE_SIZE);
    for (int i = 0; i < 4; i++) {
        int one = open("one", flags);
        warm(one);
        raw(SYS_close, one, 0, 0, 0, 0, 0); // hidden: open must say that the number is new
        int two = i == 0   ? open("two", flags)
                  : i == 1 ? open64("two", flags)
                  : i == 2 ? openat(AT_FDCWD, "two", flags)
                           : openat64(AT_FDCWD, "two", flags);
        say("the same number: %d", one == two);
        say_origin("two", buffer, CALL(pread(two, buffer, 8192, 8192)), 8192);
        CALL(close(two));
    }
}

static void overflow(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    char small[100];
    volatile size_t more = 101;
    IN_CHILD(CALL(pread(fd, small, more - 1, 8192)); CALL(pread(fd, small, more, 8192)); say("%d", small[0]));
    IN_CHILD(CALL(read(fd, small, more - 1)); CALL(read(fd, small, more)); say("%d", small[0]));
}

PROGRAM({"data-calls", data_calls}, {"opens", opens}, {"overflow", overflow})
