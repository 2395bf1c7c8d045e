// The loader's list of objects, and the names that they define: read by ourselves.
//
// dlsym is not async-signal-safe (it takes the loader's lock and may allocate), costs too much for two hundred names at
// every exec, and may be another preload's. What is here takes no lock, allocates nothing, makes no system call and
// uses no function of libc's, so that it works before constructors, in signal handlers and inside malloc.
//
// Objects that are there when a program starts are never unloaded, and new ones are put behind them. The list of one's
// own namespace may be walked at any time as far as those reach: to libc.so.6 at least.
#ifndef PS_ELF_H
#define PS_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_map; // <link.h>

// Before the sanitizers' own runtimes are ready they look names up themselves, and come by here: not instrumented.
#define PS_ELF_EARLY_BEGIN                                                                                             \
    _Pragma("clang attribute push(__attribute__((no_sanitize(\"address\", \"thread\"))), apply_to = function)")
#define PS_ELF_EARLY_END _Pragma("clang attribute pop")

// The first object: the program. NULL under a loader that is neither glibc's nor musl's.
const struct link_map *_Nullable ps_elf_first(void);
// The object that this code is part of.
const struct link_map *_Nullable ps_elf_self(void);

// The function of that name, as the loader would find it in this one object: `version` NULL: the default one, else that
// very one. An indirect function is resolved. NULL: not defined there.
void *_Nullable ps_elf_find(const struct link_map *_Nonnull map, const char *_Nonnull name,
                            const char *_Nullable version);
// The same for a variable, of the default version.
void *_Nullable ps_elf_find_variable(const struct link_map *_Nonnull map, const char *_Nonnull name);

// Whether the object calls itself so (DT_SONAME).
bool ps_elf_is_called(const struct link_map *_Nonnull map, const char *_Nonnull name);

// Whether the object says that it needs the one of that name (DT_NEEDED).
bool ps_elf_needs(const struct link_map *_Nonnull map, const char *_Nonnull name);

bool ps_elf_equal(const char *_Nonnull a, const char *_Nonnull b);

#endif
