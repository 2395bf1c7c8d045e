// dlsym and dlvsym. Who takes a function of libc's from libc's own handle (every FFI does) has to get ours, or he closes
// and replaces descriptors behind our back: a served read would then give another file's bytes.
//
// What the loader answers is exchanged only for an entry of ours that does nothing but go on to that very function: the
// answer is libc's, and libc's is what comes next behind us. So nobody gets more, fewer or other functions in his way than
// without us, and no chain of wrappers can come back to itself: one that stands behind us, and asks for what it wraps, gets
// what the loader says.
//
// The loader looks at its return address where the handle is RTLD_NEXT or RTLD_DEFAULT, which is why we jump there. What it
// would answer is then worked out here, before.
#include "face.h"

#include "ps_elf.h"

#include <dlfcn.h>
#include <link.h>

PS_ELF_EARLY_BEGIN

// Names under which a call that we do not see leaves us with something that is no longer so.
enum { HARMLESS, HARMFUL };
enum {
    HARM_SERVE = HARMLESS,
    HARM_SYNC = HARMLESS,
    HARM_COUNT = HARMLESS,
    HARM_NEW = HARMLESS,
    HARM_LOAD = HARMLESS,
    HARM_CLOSE = HARMFUL,
    HARM_FLAGS = HARMFUL,
    HARM_RESIZE = HARMFUL,
    HARM_SIGNAL = HARMFUL,
    HARM_GIVE_WAY = HARMFUL,
    HARM_FORK = HARMFUL,
};
static const uint8_t harm[PS_NEXT_COUNT] = {
#define FAMILY(family, about)
#define SYSTEM_CALL(name, treatment, owes)
#define ENTRY_SINCE(major, minor, name, treatment, owes) ENTRY(name, treatment, owes)
#define ENTRY(name, treatment, owes) HARM_##treatment,
#include "entry-points.def"
#undef ENTRY
#undef ENTRY_SINCE
#undef SYSTEM_CALL
#undef FAMILY
};

struct question {
    const char *name, *version; // version NULL: the default one
    const void *caller;
    void *ours; // what we export under that name
};

// Whether our entry goes on to libc's function, by whichever of its names it does so.
static bool leads_to_libc(const struct question *q)
{
    for (int slot = 0; slot < PS_NEXT_COUNT; slot++)
        if (ps_elf_find(ps_elf_self(), ps_next_name(slot), NULL) == q->ours && !ps_next_is_libc(slot))
            return false;
    return true;
}

// The object whose code that is; NULL: none.
static const struct link_map *object_of(const void *address)
{
    int (*about)(const void *, Dl_info *, void **, int) = (__typeof__(about))ps_libc_function("dladdr1");
    Dl_info info;
    void *map = NULL;
    return about && about(address, &info, &map, RTLD_DL_LINKMAP) ? map : NULL;
}

// libc's own goes to somebody who does not wrap it, past another preload behind us, and so past us: we could not know
// what he does with it.
static void give_way(const struct question *q)
{
    const struct link_map *asker = object_of(q->caller);
    for (int slot = 0; slot < PS_NEXT_COUNT; slot++)
        if (harm[slot] == HARMFUL && ps_elf_equal(ps_next_name(slot), q->name)
            && !(asker && ps_elf_find(asker, q->name, NULL))) {
            ps_engine_log_once(2, "dlsym: gives way: a function of libc's, asked for past another preload library");
            ps_engine_give_way(PS_GIVE_WAY_UNSHARE_FILES);
        }
}

// The answer in place of the loader's, which is `found`; NULL: the loader's.
static void *in_place_of(const struct question *q, void *found)
{
    if (!found || !ps_libc_defines(q->name, found))
        return NULL;
    if (leads_to_libc(q))
        return q->ours;
    give_way(q);
    return NULL;
}

static bool is_behind(const struct link_map *map, const struct link_map *before)
{
    while (before && before != map)
        before = before->l_next;
    return before;
}

// What the first object behind `map` has under that name, without us: we have no versions, and are not found by one.
static void *first_behind(const struct link_map *map, const struct question *q)
{
    const struct link_map *last = ps_next_last_at_start();
    void *found = NULL;
    while (!found && map != last && (map = map->l_next) != NULL)
        if (map != ps_elf_self())
            found = ps_elf_find(map, q->name, q->version);
    return found;
}

// An object that was loaded later searches what it needs itself, which may be others of its kind, or libc. Called with
// the loader's lock held, so that none of them goes away; for the first object only, which is all it is needed for.
static int look_at_later(struct dl_phdr_info *info, size_t size, void *question)
{
    (void)info;
    (void)size;
    struct question *q = question;
    const struct link_map *asker = object_of(q->caller);
    for (const struct link_map *map = ps_next_last_at_start()->l_next; map; map = map->l_next)
        if (map != asker && ps_elf_find(map, q->name, q->version))
            return 2;
    return 1;
}

static bool only_libc_answers(struct question *q)
{
    int (*with_lock)(int (*)(struct dl_phdr_info *, size_t, void *), void *) =
        (__typeof__(with_lock))ps_libc_function("dl_iterate_phdr");
    return with_lock && with_lock(look_at_later, q) == 1;
}

// What RTLD_NEXT finds, as far as it may be libc's; NULL: it is not, or cannot be told.
static void *next_of(struct question *q)
{
    const struct link_map *asker = object_of(q->caller), *last = ps_next_last_at_start();
    if (!asker)
        return NULL;
    if (last && is_behind(asker, last->l_next))
        return only_libc_answers(q) ? first_behind(ps_elf_self(), q) : NULL;
    // Before us, and without a version, it is ours that is found, or another's before us.
    if (!q->version && !is_behind(asker, ps_elf_self()->l_next))
        return NULL;
    return first_behind(asker, q);
}

static void *by_handle(void *handle, const struct question *q)
{
    return q->version ? NEXT_POINTER(dlvsym)(handle, q->name, q->version) : NEXT_POINTER(dlsym)(handle, q->name);
}

// What is to be answered; NULL: ask the loader.
static void *answer(void *handle, const char *name, const char *version, const void *caller)
{
    if (!ps_libc_is_known() || !ps_elf_self() || (handle == RTLD_DEFAULT && !version))
        return NULL;
    struct question q = {name, version, caller, ps_elf_find(ps_elf_self(), name, NULL)};
    if (!q.ours)
        return NULL;
    if (handle != RTLD_NEXT && handle != RTLD_DEFAULT)
        return in_place_of(&q, by_handle(handle, &q));
    void *ours = in_place_of(&q, handle == RTLD_NEXT ? next_of(&q) : first_behind(ps_elf_first(), &q));
    if (ours)
        NEXT_POINTER(dlsym)(RTLD_DEFAULT, name); // finds us: dlerror() is to know of a success
    return ours;
}

PS_ENTRY void *dlsym(void *restrict handle, const char *restrict name)
{
    void *ours = answer(handle, name, NULL, __builtin_return_address(0));
    if (ours)
        return ours;
    __attribute__((musttail)) return NEXT_POINTER(dlsym)(handle, name);
}

PS_ENTRY void *dlvsym(void *restrict handle, const char *restrict name, const char *restrict version)
{
    void *ours = answer(handle, name, version, __builtin_return_address(0));
    if (ours)
        return ours;
    __attribute__((musttail)) return NEXT_POINTER(dlvsym)(handle, name, version);
}

PS_ELF_EARLY_END
