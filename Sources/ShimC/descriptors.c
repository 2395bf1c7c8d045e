// Calls that return a descriptor of something that is not a file by name. Each forgets the number it returns.
#include "face.h"

#include <fcntl.h>
#include <mqueue.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

extern int __pipe(int ends[2]);
extern mqd_t __mq_open_2(const char *name, int flags);

PS_ENTRY int dup(int fd) { return ps_fresh(NEXT(dup)(fd)); }

PS_ENTRY int pipe(int ends[2]) { return ps_fresh_pair(NEXT(pipe)(ends), ends); }
PS_ALIAS(__pipe, pipe);
PS_ENTRY int pipe2(int ends[2], int flags) { return ps_fresh_pair(NEXT(pipe2)(ends, flags), ends); }

PS_ENTRY int epoll_create(int size) { return ps_fresh(NEXT(epoll_create)(size)); }
PS_ENTRY int epoll_create1(int flags) { return ps_fresh(NEXT(epoll_create1)(flags)); }
PS_ENTRY int eventfd(unsigned count, int flags) { return ps_fresh(NEXT(eventfd)(count, flags)); }
PS_ENTRY int timerfd_create(clockid_t clock, int flags) { return ps_fresh(NEXT(timerfd_create)(clock, flags)); }
PS_ENTRY int inotify_init(void) { return ps_fresh(NEXT(inotify_init)()); }
PS_ENTRY int inotify_init1(int flags) { return ps_fresh(NEXT(inotify_init1)(flags)); }
PS_ENTRY int fanotify_init(unsigned flags, unsigned event_flags)
{
    return ps_fresh(NEXT(fanotify_init)(flags, event_flags));
}
PS_ENTRY int memfd_create(const char *name, unsigned flags) { return ps_fresh(NEXT(memfd_create)(name, flags)); }

// SIGBUS and SIGSEGV may stay in the mask: it blocks nothing, and they are just never pending in a thread that copies.
PS_ENTRY int signalfd(int fd, const sigset_t *mask, int flags) { return ps_fresh(NEXT(signalfd)(fd, mask, flags)); }

PS_ENTRY int pidfd_open(pid_t process, unsigned flags) { return ps_fresh(NEXT(pidfd_open)(process, flags)); }
PS_ENTRY int pidfd_getfd(int process, int fd, unsigned flags)
{
    return ps_fresh(NEXT(pidfd_getfd)(process, fd, flags));
}

PS_ENTRY int fsopen(const char *name, unsigned flags) { return ps_fresh(NEXT(fsopen)(name, flags)); }
PS_ENTRY int fsmount(int fd, unsigned flags, unsigned attributes)
{
    return ps_fresh(NEXT(fsmount)(fd, flags, attributes));
}
PS_ENTRY int fspick(int directory, const char *path, unsigned flags)
{
    return ps_fresh(NEXT(fspick)(directory, path, flags));
}
PS_ENTRY int open_tree(int directory, const char *path, unsigned flags)
{
    return ps_fresh(NEXT(open_tree)(directory, path, flags));
}

PS_ENTRY mqd_t mq_open(const char *name, int flags, ...)
{
    mode_t mode = 0;
    struct mq_attr *attributes = NULL;
    if (flags & O_CREAT) {
        va_list list;
        va_start(list, flags);
        mode = va_arg(list, mode_t);
        attributes = va_arg(list, struct mq_attr *);
        va_end(list);
    }
    return ps_fresh(NEXT(mq_open)(name, flags, mode, attributes));
}
PS_ENTRY mqd_t __mq_open_2(const char *name, int flags) { return ps_fresh(NEXT(__mq_open_2)(name, flags)); }

#if __GLIBC_PREREQ(2, 39)
static inline int started(int result, const int *process)
{
    if (result == 0)
        ps_fresh_at(process, 1);
    return result;
}

PS_ENTRY int pidfd_spawn(int *restrict process, const char *restrict path,
                         const posix_spawn_file_actions_t *restrict actions,
                         const posix_spawnattr_t *restrict attributes, char *const arguments[restrict],
                         char *const environment[restrict])
{
    return started(NEXT(pidfd_spawn)(process, path, actions, attributes, arguments, environment), process);
}

PS_ENTRY int pidfd_spawnp(int *restrict process, const char *restrict file,
                          const posix_spawn_file_actions_t *restrict actions,
                          const posix_spawnattr_t *restrict attributes, char *const arguments[restrict],
                          char *const environment[restrict])
{
    return started(NEXT(pidfd_spawnp)(process, file, actions, attributes, arguments, environment), process);
}
#endif
