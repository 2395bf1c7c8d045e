// Pseudo terminals.
#include "face.h"

#include <pty.h>
#include <stdlib.h>
#include <utmp.h>

PS_ENTRY int posix_openpt(int flags) { return ps_fresh(NEXT(posix_openpt)(flags)); }
PS_ENTRY int getpt(void) { return ps_fresh(NEXT(getpt)()); }

PS_ENTRY int openpty(int *master, int *slave, char *name, const struct termios *settings, const struct winsize *size)
{
    int result = NEXT(openpty)(master, slave, name, settings, size);
    if (result == 0) {
        ps_fresh_at(master, 1);
        ps_fresh_at(slave, 1);
    }
    return result;
}

PS_ENTRY int forkpty(int *master, char *name, const struct termios *settings, const struct winsize *size)
{
    int result = NEXT(forkpty)(master, name, settings, size);
    if (result > 0)
        ps_fresh_at(master, 1);
    return result; // in the child libc has replaced 0, 1 and 2, and the cache is empty
}

PS_ENTRY int login_tty(int fd)
{
    ps_engine_evict_range(0, 2);
    ps_engine_evict(fd);
    int result = NEXT(login_tty)(fd);
    ps_engine_evict_range(0, 2);
    ps_engine_evict(fd);
    return result;
}
