#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_libc.h"

#include "ps_elf.h"
#include "ps_hot.h"

#include <link.h>
#include <pthread.h>
#include <time.h>

// Until 2.34 threads and loading had libraries of their own.
static const char *const parts[] = {"libc.so.6", "libpthread.so.0", "libdl.so.2"};
enum { PARTS = sizeof parts / sizeof *parts };

PS_ELF_EARLY_BEGIN

static const struct link_map *libc_map(void)
{
    static const struct link_map *known;
    static bool looked; // whoever looks finds the same
    if (__atomic_load_n(&looked, __ATOMIC_ACQUIRE))
        return __atomic_load_n(&known, __ATOMIC_RELAXED);
    const struct link_map *map = ps_elf_first();
    while (map && !(ps_elf_is_called(map, parts[0]) && ps_elf_find(map, "gnu_get_libc_version", NULL)))
        map = map->l_next;
    __atomic_store_n(&known, map, __ATOMIC_RELAXED);
    __atomic_store_n(&looked, true, __ATOMIC_RELEASE);
    return map;
}

bool ps_libc_is_known(void) { return libc_map() != NULL; }

bool ps_libc_is_part(const struct link_map *map)
{
    for (int i = 0; i < PARTS; i++)
        if (ps_elf_is_called(map, parts[i]))
            return true;
    return false;
}

bool ps_libc_is_needed_by(const struct link_map *map)
{
    for (int i = 0; i < PARTS; i++)
        if (ps_elf_needs(map, parts[i]))
            return true;
    return false;
}

void *ps_libc_function(const char *name)
{
    const struct link_map *libc = libc_map();
    void *function = libc ? ps_elf_find(libc, name, NULL) : NULL;
    for (const struct link_map *map = libc ? ps_elf_first() : NULL; map && !function; map = map->l_next)
        if (ps_libc_is_part(map))
            function = ps_elf_find(map, name, NULL);
    return function;
}

bool ps_libc_defines(const char *name, const void *function)
{
    const struct link_map *libc = libc_map();
    if (!libc || ps_elf_find(libc, name, NULL) == function)
        return libc != NULL;
    for (const struct link_map *map = ps_elf_first(); map; map = map->l_next)
        if (ps_libc_is_part(map) && ps_elf_find(map, name, NULL) == function)
            return true;
    return false;
}

// The one that the program uses too: the linker may have moved it there.
static void *variable(const char *name)
{
    for (const struct link_map *map = ps_elf_first(); map; map = map->l_next) {
        void *address = ps_elf_find_variable(map, name);
        if (address)
            return address;
    }
    return NULL;
}

char **ps_libc_environment(void)
{
    char ***environment = variable("__environ");
    return environment ? *environment : NULL;
}

void ps_libc_prepare(void)
{
    const char *single = variable("__libc_single_threaded"); // since 2.32
    if (single)
        __atomic_store_n(&ps_hot.single_threaded, single, __ATOMIC_RELEASE);
}

static void first_test_cancel(void)
{
    void (*test)(void) = (void (*)(void))ps_libc_function("pthread_testcancel");
    if (!test)
        return; // an older glibc without threads so far, or another libc: its own calls test for themselves
    __atomic_store_n(&ps_libc_test_cancel, test, __ATOMIC_RELAXED);
    test();
}
void (*ps_libc_test_cancel)(void) = first_test_cancel;

int ps_libc_noted_thread(void)
{
    // The clock id is the kernel's way to name a thread: ~tid << 3, and three bits of kind.
    static int (*clock_of)(pthread_t, clockid_t *);
    clockid_t clock;
    __typeof__(clock_of) function = __atomic_load_n(&clock_of, __ATOMIC_RELAXED);
    if (!function) {
        function = (__typeof__(function))ps_libc_function("pthread_getcpuclockid");
        __atomic_store_n(&clock_of, function, __ATOMIC_RELAXED);
    }
    // glibc's pthread_self is the thread pointer.
    return function && function((pthread_t)__builtin_thread_pointer(), &clock) == 0 ? ~(clock >> 3) : -1;
}

PS_ELF_EARLY_END
