// The calls that programs take out of libc at run time, as Python's ctypes, JNA and every other foreign function
// interface do: by name and handle, by name and version, or from whatever is loaded next or first. A preload that only
// stands before the symbol does not see the first two.
#include "exerciser.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/resource.h>

enum entry { DUP2, DUP3, CLOSE, FCNTL, FTRUNCATE, FALLOCATE, PREAD, PWRITE, SETRLIMIT, MLOCKALL, MUNLOCKALL, ENTRIES };

static const struct {
    const char *name, *version;
} entries[ENTRIES] = {
    {"dup2", "GLIBC_2.2.5"}, {"dup3", "GLIBC_2.9"}, {"close", "GLIBC_2.2.5"}, {"fcntl", "GLIBC_2.2.5"},
    {"ftruncate", "GLIBC_2.2.5"}, {"fallocate", "GLIBC_2.10"}, {"pread", "GLIBC_2.2.5"}, {"pwrite", "GLIBC_2.2.5"},
    {"setrlimit", "GLIBC_2.2.5"}, {"mlockall", "GLIBC_2.2.5"}, {"munlockall", "GLIBC_2.2.5"},
};

enum { BY_HANDLE, BY_VERSION, FROM_NEXT, FROM_DEFAULT, WAYS };

// Looked up once, as a program would.
static void *found(enum entry entry, int variant)
{
    static void *functions[ENTRIES][WAYS];
    unsigned way = (unsigned)variant % WAYS;
    void **function = &functions[entry][way];
    if (*function != NULL) return *function;
    void *libc = dlopen("libc.so.6", RTLD_NOW);
    switch (way) {
    case BY_HANDLE: *function = dlsym(libc, entries[entry].name); break;
    case BY_VERSION: *function = dlvsym(libc, entries[entry].name, entries[entry].version); break;
    case FROM_NEXT: *function = dlsym(RTLD_NEXT, entries[entry].name); break;
    default: *function = dlsym(RTLD_DEFAULT, entries[entry].name); break;
    }
    if (*function == NULL) abort(); // told as a crash of the served side
    return *function;
}

int handle_way; // of the calls that have no variant

static long handle_dup2(int fd, int target)
{
    return ((int (*)(int, int))found(DUP2, handle_way))(fd, target);
}

static long handle_dup3(int fd, int target, int flags)
{
    return ((int (*)(int, int, int))found(DUP3, handle_way))(fd, target, flags);
}

static long handle_close(int variant, int fd)
{
    return ((int (*)(int))found(CLOSE, variant))(fd);
}

static long handle_fcntl(int variant, int fd, int command, long argument)
{
    return ((int (*)(int, int, ...))found(FCNTL, variant))(fd, command, argument);
}

static long handle_ftruncate(int variant, int fd, off_t length)
{
    return ((int (*)(int, off_t))found(FTRUNCATE, variant))(fd, length);
}

static long handle_fallocate(int variant, int fd, int mode, off_t offset, off_t length)
{
    return ((int (*)(int, int, off_t, off_t))found(FALLOCATE, variant))(fd, mode, offset, length);
}

static long handle_pread(int variant, int fd, void *buffer, size_t count, off_t offset)
{
    return ((ssize_t (*)(int, void *, size_t, off_t))found(PREAD, variant))(fd, buffer, count, offset);
}

static long handle_pwrite(int variant, int fd, const void *buffer, size_t count, off_t offset)
{
    return ((ssize_t (*)(int, const void *, size_t, off_t))found(PWRITE, variant))(fd, buffer, count, offset);
}

long handle_setrlimit(int resource, const struct rlimit *limit)
{
    return ((int (*)(int, const struct rlimit *))found(SETRLIMIT, handle_way))(resource, limit);
}

long handle_mlockall(int flags)
{
    if (flags == 0) return ((int (*)(void))found(MUNLOCKALL, handle_way))();
    return ((int (*)(int))found(MLOCKALL, handle_way))(flags);
}

// Only these are asked for.
const struct calls handle_calls = {
    .dup2 = handle_dup2, .dup3 = handle_dup3, .close = handle_close, .fcntl = handle_fcntl,
    .ftruncate = handle_ftruncate, .fallocate = handle_fallocate, .pread = handle_pread, .pwrite = handle_pwrite,
};
