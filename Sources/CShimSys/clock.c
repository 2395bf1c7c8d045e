// The clock, from the vDSO found by ourselves: clock_gettime may be the program's, or another preload's (libfaketime),
// and by a clock that stands still no tick of writing would ever end.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_elf.h"
#include "ps_sys.h"

#include <link.h>
#include <sys/syscall.h>
#include <time.h>

typedef int clock_function(clockid_t clock, struct timespec *time);

static int ask_kernel(clockid_t clock, struct timespec *time)
{
    return (int)ps_sys_call2(SYS_clock_gettime, clock, (long)time);
}

// The loader has put it into its list, and named it as it names itself; files it names by their paths. Under valgrind,
// for one, there is none.
static clock_function *find(void)
{
    for (const struct link_map *map = ps_elf_first(); map; map = map->l_next)
        if (ps_elf_equal(map->l_name, "linux-vdso.so.1") && ps_elf_is_called(map, map->l_name)) {
            clock_function *function = (clock_function *)ps_elf_find(map, "__vdso_clock_gettime", "LINUX_2.6");
            return function ? function : ask_kernel;
        }
    return ask_kernel;
}

static int look(clockid_t clock, struct timespec *time);
static clock_function *function = look;

static int look(clockid_t clock, struct timespec *time)
{
    clock_function *found = find();
    __atomic_store_n(&function, found, __ATOMIC_RELAXED); // whoever looks finds the same
    return found(clock, time);
}

static int64_t now(clockid_t clock)
{
    struct timespec time;
    if (__atomic_load_n(&function, __ATOMIC_RELAXED)(clock, &time) != 0)
        return 0;
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}
int64_t ps_sys_coarse_now(void) { return now(CLOCK_REALTIME_COARSE); }
int64_t ps_sys_realtime_now(void) { return now(CLOCK_REALTIME); }
