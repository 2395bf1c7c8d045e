// Calls that open a file. They do nothing but forget the number: what it means is learnt by its data calls.
#include "face.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern int __open(const char *path, int flags, ...);
extern int __open64(const char *path, int flags, ...);
extern int __open_2(const char *path, int flags);
extern int __open64_2(const char *path, int flags);
extern int __openat_2(int directory, const char *path, int flags);
extern int __openat64_2(int directory, const char *path, int flags);

// O_TRUNC may have shortened a file that another of our descriptors knows.
static inline int opened(int fd, int flags)
{
    if (fd >= 0) {
        ps_engine_evict(fd);
        if (flags & O_TRUNC)
            ps_engine_emptied(fd, 0, INT64_MAX);
    }
    return fd;
}

// The mode is there only where the flags ask for it; reading it otherwise would read what is not an argument.
#define MODE(flags)                                                                                                    \
    ({                                                                                                                 \
        mode_t mode_ = 0;                                                                                              \
        if (__OPEN_NEEDS_MODE(flags)) {                                                                                \
            va_list list_;                                                                                             \
            va_start(list_, flags);                                                                                    \
            mode_ = va_arg(list_, mode_t);                                                                             \
            va_end(list_);                                                                                             \
        }                                                                                                              \
        mode_;                                                                                                         \
    })

PS_ENTRY int open(const char *path, int flags, ...)
{
    mode_t mode = MODE(flags);
    return opened(NEXT(open)(path, flags, mode), flags);
}
PS_ALIAS(open64, open);
PS_ALIAS(__open, open);
PS_ALIAS(__open64, open);

PS_ENTRY int openat(int directory, const char *path, int flags, ...)
{
    mode_t mode = MODE(flags);
    return opened(NEXT(openat)(directory, path, flags, mode), flags);
}
PS_ALIAS(openat64, openat);

// The fortified forms abort where a mode is missing, each under its own name.
PS_ENTRY int __open_2(const char *path, int flags) { return opened(NEXT(__open_2)(path, flags), flags); }
PS_ENTRY int __open64_2(const char *path, int flags) { return opened(NEXT(__open64_2)(path, flags), flags); }
PS_ENTRY int __openat_2(int directory, const char *path, int flags)
{
    return opened(NEXT(__openat_2)(directory, path, flags), flags);
}
PS_ENTRY int __openat64_2(int directory, const char *path, int flags)
{
    return opened(NEXT(__openat64_2)(directory, path, flags), flags);
}

PS_ENTRY int creat(const char *path, mode_t mode) { return opened(NEXT(creat)(path, mode), O_TRUNC); }
PS_ALIAS(creat64, creat);

PS_ENTRY int mkstemp(char *template) { return ps_fresh(NEXT(mkstemp)(template)); }
PS_ALIAS(mkstemp64, mkstemp);
PS_ENTRY int mkostemp(char *template, int flags) { return ps_fresh(NEXT(mkostemp)(template, flags)); }
PS_ALIAS(mkostemp64, mkostemp);
PS_ENTRY int mkstemps(char *template, int suffix) { return ps_fresh(NEXT(mkstemps)(template, suffix)); }
PS_ALIAS(mkstemps64, mkstemps);
PS_ENTRY int mkostemps(char *template, int suffix, int flags)
{
    return ps_fresh(NEXT(mkostemps)(template, suffix, flags));
}
PS_ALIAS(mkostemps64, mkostemps);

PS_ENTRY int shm_open(const char *name, int flags, mode_t mode)
{
    return opened(NEXT(shm_open)(name, flags, mode), flags);
}

PS_ENTRY int open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
    return opened(NEXT(open_by_handle_at)(mount, handle, flags), flags);
}

#if __GLIBC_PREREQ(2, 43)
PS_ENTRY int openat2(int directory, const char *path, const struct open_how *how, size_t size)
{
    return ps_fresh(NEXT(openat2)(directory, path, how, size));
}
#endif
