// What the differential programs share. Such a program is run as `PROGRAM CASE DIRECTORY`, works in DIRECTORY and
// writes a transcript: the calls it made and what came of them. Nothing in a transcript may depend on time, addresses
// or descriptor numbers, so that a run with the shim must write the very bytes that a run without it writes.
//
// Statements about the file itself ("truth") are made with the bare `syscall` instruction, which no preload sees.
#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

// Larger than two huge pages, and not a whole number of pages.
#define FILE_SIZE ((6l << 20) + 777)
#define PAGE 4096l
#define UNTOUCHED 3333 /* an errno no call gives */

struct test_case {
    const char *name;
    void (*run)(void);
};

// ---- the kernel, past every preload ---------------------------------------------------------------------------
#include "raw.h"

static inline void die(const char *what)
{
    fflush(stdout);
    perror(what);
    _exit(99);
}

// ---- saying ---------------------------------------------------------------------------------------------------
static inline uint64_t hash_add(uint64_t hash, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3ull;
    return hash;
}

#define HASH_START 0xcbf29ce484222325ull

static inline uint64_t hash_of(const void *bytes, size_t count) { return hash_add(HASH_START, bytes, count); }

#define say(...) (printf(__VA_ARGS__), putchar('\n'))

static inline long say_call(const char *text, long result, int error)
{
    if (result < 0 && error != UNTOUCHED)
        say("%s = %ld %s", text, result, strerrorname_np(error));
    else if (error != UNTOUCHED)
        say("%s = %ld (errno became %s)", text, result, strerrorname_np(error));
    else
        say("%s = %ld", text, result);
    return result;
}

// Makes a call and says its text, its result and, where it has changed, errno.
#define CALL(expression)                                                                                               \
    ({                                                                                                                 \
        errno = UNTOUCHED;                                                                                             \
        long result_ = (long)(expression);                                                                             \
        say_call(#expression, result_, errno);                                                                         \
    })

// For calls that return a descriptor: says whether it did, not which.
#define OPEN(expression)                                                                                               \
    ({                                                                                                                 \
        errno = UNTOUCHED;                                                                                             \
        int fd_ = (expression);                                                                                        \
        say_call(#expression, fd_ < 0 ? -1 : 0, fd_ < 0 ? errno : UNTOUCHED);                                          \
        fd_;                                                                                                           \
    })

static inline void say_bytes(const char *label, const void *bytes, long count)
{
    say("  %s: %ld bytes %016lx", label, count, count > 0 ? hash_of(bytes, (size_t)count) : 0);
}

#define OFFSET(fd) say("  offset %ld", raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0))

// ---- truth ----------------------------------------------------------------------------------------------------
// Size and hash of the file behind `fd`, asked of the kernel itself through a description of its own.
static inline uint64_t truth_hash(const char *path, long *size)
{
    static unsigned char buffer[1 << 16];
    long fd = raw(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0), count;
    if (fd < 0) {
        *size = fd;
        return 0;
    }
    uint64_t hash = HASH_START;
    *size = 0;
    while ((count = raw(SYS_read, fd, (long)buffer, sizeof buffer, 0, 0, 0)) > 0) {
        // Eight bytes a step: these files are read often.
        for (long i = 0; i < count; i += 8) {
            uint64_t word = 0;
            memcpy(&word, buffer + i, count - i < 8 ? (size_t)(count - i) : 8);
            hash = (hash ^ word) * 0x100000001b3ull;
        }
        *size += count;
    }
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    return hash;
}

static inline void truth(const char *path)
{
    long size;
    uint64_t hash = truth_hash(path, &size);
    say("  truth of %s: %ld bytes %016lx", path, size, hash);
}

// ---- files ----------------------------------------------------------------------------------------------------
static inline unsigned char pattern(int tag, long position)
{
    return (unsigned char)(tag * 37 + position * 7 + (position >> 12) * 13 + (position >> 21) * 101);
}

static inline void fill(void *bytes, int tag, long position, long count)
{
    for (long i = 0; i < count; i++)
        ((unsigned char *)bytes)[i] = pattern(tag, position + i);
}

static inline void say_origin(const char *label, const void *bytes, long count, long position)
{
    for (int tag = 0; tag < 16 && count > 0; tag++) {
        long i = 0;
        while (i < count && ((const unsigned char *)bytes)[i] == pattern(tag, position + i))
            i++;
        if (i == count) {
            say("  %s: %ld bytes of file %d at %ld", label, count, tag, position);
            return;
        }
    }
    say("  %s: %ld bytes, of no file at %ld", label, count, position);
}

static inline void make_file(const char *path, int tag, long size)
{
    static unsigned char buffer[1 << 16];
    long fd = raw(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644, 0, 0);
    for (long position = 0; position < size;) {
        long count = size - position < (long)sizeof buffer ? size - position : (long)sizeof buffer;
        fill(buffer, tag, position, count);
        count = raw(SYS_pwrite64, fd, (long)buffer, count, position, 0, 0);
        if (count <= 0)
            die("make_file");
        position += count;
    }
    if (raw(SYS_close, fd, 0, 0, 0, 0, 0) < 0)
        die("make_file");
}

// Leaves no doubt that the file has a window: a few data calls inside it, whatever the mode of `fd` allows.
static inline void warm(int fd)
{
    char buffer[PAGE];
    for (int i = 0; i < 8; i++)
        if (pread(fd, buffer, sizeof buffer, i * 8192) == (ssize_t)sizeof buffer && i % 2 == 0)
            if (pwrite(fd, buffer, sizeof buffer, i * 8192) < 0)
                errno = 0;
}

// Makes `path` with the pattern of `tag`, opens it, and has it mapped.
static inline int open_file(const char *path, int tag, int flags)
{
    make_file(path, tag, FILE_SIZE);
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        die(path);
    warm(fd);
    return fd;
}

// ---- other processes ------------------------------------------------------------------------------------------
// Runs argv without the shim, with our standard output, and waits for it.
static inline int unshimmed(char *const argv[])
{
    static char *const environment[] = {"LC_ALL=C", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", NULL};
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execve(argv[0], argv, environment);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("unshimmed");
    return status;
}

static char programs_directory[PATH_MAX] __attribute__((unused));

// `modify ARGUMENTS...`: another program, without the shim, changes a file. See modify.c.
#define MODIFY(...)                                                                                                    \
    do {                                                                                                               \
        char program_[PATH_MAX + 16];                                                                                  \
        snprintf(program_, sizeof program_, "%s/modify", programs_directory);                                          \
        say("modify " #__VA_ARGS__ ": %d", unshimmed((char *const[]){program_, __VA_ARGS__, NULL}));                   \
    } while (0)

// Runs `body` in a forked child and says how that ended.
#define IN_CHILD(body)                                                                                                 \
    do {                                                                                                               \
        fflush(stdout);                                                                                                \
        pid_t child_ = fork();                                                                                         \
        if (child_ == 0) {                                                                                             \
            body;                                                                                                      \
            fflush(stdout);                                                                                            \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        int status_ = 0;                                                                                               \
        if (child_ < 0 || waitpid(child_, &status_, 0) != child_)                                                      \
            die("child");                                                                                              \
        if (WIFSIGNALED(status_))                                                                                      \
            say("  child died of %s", sigabbrev_np(WTERMSIG(status_)));                                                \
        else                                                                                                           \
            say("  child exited with %d", WEXITSTATUS(status_));                                                       \
    } while (0)

// ---- the program ----------------------------------------------------------------------------------------------
#define PROGRAM(...)                                                                                                   \
    static const struct test_case cases[] = {__VA_ARGS__};                                                             \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        if (argc < 3) {                                                                                                \
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)                                                  \
                puts(cases[i].name);                                                                                   \
            return argc == 1 ? 0 : 2;                                                                                  \
        }                                                                                                              \
        if (realpath(argv[0], programs_directory) != NULL)                                                             \
            *strrchr(programs_directory, '/') = '\0';                                                                  \
        if (chdir(argv[2]) != 0)                                                                                       \
            die(argv[2]);                                                                                              \
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)                                                      \
            if (strcmp(cases[i].name, argv[1]) == 0) {                                                                 \
                cases[i].run();                                                                                        \
                say("end");                                                                                            \
                return 0;                                                                                              \
            }                                                                                                          \
        fprintf(stderr, "%s: no case %s\n", argv[0], argv[1]);                                                         \
        return 2;                                                                                                      \
    }

#endif
