// Streams. libc opens and closes their descriptors inside itself, where no preload sees it.
#include "face.h"

#include <dirent.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>

extern FILE *_IO_fopen(const char *path, const char *mode);
extern FILE *_IO_fdopen(int fd, const char *mode);
extern FILE *_IO_popen(const char *command, const char *type);
extern int _IO_fclose(FILE *stream);
extern FILE *__setmntent(const char *path, const char *mode);
extern int __endmntent(FILE *stream);

// Not fileno(): that sets errno on a stream without a descriptor (fmemopen), whose number here is negative. Another
// libc's streams look different.
static inline int number_of(FILE *stream)
{
    PS_UNPROMISED(stream);
    return stream && ps_libc_is_known() ? stream->_fileno : -1;
}

static inline int number_of_directory(DIR *directory)
{
    PS_UNPROMISED(directory);
    static int (*descriptor_of)(DIR *); // libc's dirfd; who looks for it finds the same
    __typeof__(descriptor_of) function = __atomic_load_n(&descriptor_of, __ATOMIC_RELAXED);
    if (!function) {
        function = (__typeof__(function))ps_libc_function("dirfd");
        __atomic_store_n(&descriptor_of, function, __ATOMIC_RELAXED);
    }
    return directory && function ? function(directory) : -1;
}

static inline FILE *opened(FILE *stream, const char *mode)
{
    if (stream) {
        ps_engine_evict(number_of(stream));
        if (mode[0] == 'w') // O_TRUNC
            ps_engine_emptied(number_of(stream), 0, INT64_MAX);
    }
    return stream;
}

// The old number once more afterwards, as in close.c: it may be closed although the call failed.
static inline FILE *reopened(const char *path, const char *mode, FILE *stream, __typeof__(&freopen) next)
{
    int fd = number_of(stream);
    ps_engine_evict(fd);
    stream = next(path, mode, stream);
    ps_engine_evict(fd);
    return opened(stream, mode);
}

static inline int closed(FILE *stream, __typeof__(&fclose) next)
{
    int fd = number_of(stream);
    ps_engine_evict(fd);
    int result = next(stream);
    ps_engine_evict(fd);
    return result;
}

PS_ENTRY FILE *fopen(const char *path, const char *mode) { return opened(NEXT_POINTER(fopen)(path, mode), mode); }
PS_ALIAS(fopen64, fopen);
PS_ALIAS(_IO_fopen, fopen);

PS_ENTRY FILE *fdopen(int fd, const char *mode)
{
    FILE *stream = NEXT_POINTER(fdopen)(fd, mode);
    // Mode a sets O_APPEND on the description by a call inside libc, and duplicates share it.
    if (stream && mode[0] == 'a')
        ps_engine_evict_all();
    return stream;
}
PS_ALIAS(_IO_fdopen, fdopen);

PS_ENTRY FILE *freopen(const char *path, const char *mode, FILE *stream)
{
    return reopened(path, mode, stream, NEXT_POINTER(freopen));
}
PS_ENTRY FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
    return reopened(path, mode, stream, NEXT_POINTER(freopen64));
}

PS_ENTRY int fclose(FILE *stream) { return closed(stream, NEXT(fclose)); }
PS_ALIAS(_IO_fclose, fclose);

PS_ENTRY int fcloseall(void)
{
    ps_engine_evict_all();
    int result = NEXT(fcloseall)();
    ps_engine_evict_all();
    return result;
}

PS_ENTRY FILE *popen(const char *command, const char *type) { return opened(NEXT_POINTER(popen)(command, type), ""); }
PS_ALIAS(_IO_popen, popen);

PS_ENTRY int pclose(FILE *stream) { return closed(stream, NEXT(pclose)); }

PS_ENTRY FILE *tmpfile(void) { return opened(NEXT_POINTER(tmpfile)(), ""); }
PS_ALIAS(tmpfile64, tmpfile);

PS_ENTRY DIR *opendir(const char *path)
{
    DIR *directory = NEXT_POINTER(opendir)(path);
    if (directory)
        ps_engine_evict(number_of_directory(directory));
    return directory;
}

PS_ENTRY DIR *fdopendir(int fd)
{
    DIR *directory = NEXT_POINTER(fdopendir)(fd);
    if (directory)
        ps_engine_evict(fd);
    return directory;
}

PS_ENTRY int closedir(DIR *directory)
{
    int fd = number_of_directory(directory);
    ps_engine_evict(fd);
    int result = NEXT(closedir)(directory);
    ps_engine_evict(fd);
    return result;
}

PS_ENTRY FILE *setmntent(const char *path, const char *mode)
{
    return opened(NEXT_POINTER(setmntent)(path, mode), mode);
}
PS_ALIAS(__setmntent, setmntent);

PS_ENTRY int endmntent(FILE *stream) { return closed(stream, NEXT(endmntent)); }
PS_ALIAS(__endmntent, endmntent);
