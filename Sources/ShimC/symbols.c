// dlsym and dlvsym. Who takes a function of libc's from libc's own handle (every FFI does) has to get ours, or he
// closes and replaces descriptors behind our back: a served read would then give another file's bytes.
//
// What the loader answers is exchanged only for an entry of ours that does nothing but go on to that very function: the
// answer is libc's, and libc's is what comes next behind us. So nobody gets more, fewer or other functions in his way
// than without us, and no chain of wrappers can come back to itself: one that stands behind us, and asks for what it
// wraps, gets what the loader says.
//
// The loader looks at its return address where the handle is RTLD_NEXT or RTLD_DEFAULT, which is why we jump there.
// What it would answer is then worked out here, before.
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
    HARM_END = HARMLESS,
    HARM_CLOSE = HARMFUL,
    HARM_FLAGS = HARMFUL,
    HARM_RESIZE = HARMFUL,
    HARM_SIGNAL = HARMFUL,
    HARM_GIVE_WAY = HARMFUL,
    HARM_FORK = HARMFUL,
};
static const uint8_t harm[PS_NEXT_COUNT] = {
#define FAMILY(family, about)
#define SYSTEM_CALL(name, treatment, how, owes)
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
    const struct link_map *asker; // the caller's object; NULL: not looked for, or none
    void *ours;                   // what we export under that name
    void *answer;
};
enum who { THE_LOADER, ANSWERED };

static bool look_where_it_leads(const struct question *q)
{
    for (int slot = 0; slot < PS_NEXT_COUNT; slot++) {
        const char *name = ps_next_name(slot);
        if (ps_elf_find(ps_elf_self(), name, NULL) == q->ours && ps_next_is_there(name) && !ps_next_is_libc(slot))
            return false;
    }
    return true;
}

static int slot_of(const char *name)
{
    int slot = 0;
    while (slot < PS_NEXT_COUNT && !ps_elf_equal(ps_next_name(slot), name))
        slot++;
    return slot;
}

// Whether our entry goes on to libc's function, by whichever of its names it does so. Remembered once all objects are
// there that may stand between: to look costs 20 us.
static bool leads_to_libc(const struct question *q)
{
    enum { UNKNOWN, LEADS, LEADS_ELSEWHERE };
    static uint8_t known[PS_NEXT_COUNT]; // whoever looks finds the same
    int slot = slot_of(q->name);
    if (slot == PS_NEXT_COUNT)
        return false;
    uint8_t where = __atomic_load_n(&known[slot], __ATOMIC_RELAXED);
    if (where == UNKNOWN) {
        where = look_where_it_leads(q) ? LEADS : LEADS_ELSEWHERE;
        if (ps_next_last_at_start())
            __atomic_store_n(&known[slot], where, __ATOMIC_RELAXED);
    }
    return where == LEADS;
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
static void give_way(struct question *q)
{
    int slot = slot_of(q->name);
    q->asker = object_of(q->caller);
    if (slot == PS_NEXT_COUNT || harm[slot] != HARMFUL || (q->asker && ps_elf_find(q->asker, q->name, NULL)))
        return;
    ps_engine_log_once(2, "dlsym: gives way: a function of libc's, asked for past another preload library");
    ps_engine_give_way(PS_GIVE_WAY_UNSHARE_FILES);
}

// The loader has found, or would find, `found`; NULL: nothing.
static enum who in_place_of(struct question *q, void *found)
{
    if (!found || !ps_libc_defines(q->name, found))
        return THE_LOADER;
    q->answer = q->ours;
    if (leads_to_libc(q))
        return ANSWERED;
    give_way(q);
    return THE_LOADER;
}

static bool is_behind(const struct link_map *map, const struct link_map *from)
{
    while (from && from != map)
        from = from->l_next;
    return from != NULL;
}

// What the first object from `map` on has under that name, without us: we have no versions, and are not found by one.
static void *first_from(const struct link_map *map, const struct question *q)
{
    const struct link_map *end = ps_next_last_at_start();
    if (end)
        end = end->l_next;
    void *found = NULL;
    for (; map && map != end && !found; map = map->l_next)
        if (map != ps_elf_self())
            found = ps_elf_find(map, q->name, q->version);
    return found;
}

// An object that was loaded later searches what it needs itself: that is libc, and may be others of its kind. Called
// with the loader's lock held, so that none of them goes away; for the first object only, which is all it is needed
// for.
enum { LIBC_ONLY = 1, OTHERS = 2 };
static int look_at_later(struct dl_phdr_info *info, size_t size, void *question)
{
    (void)info;
    (void)size;
    const struct question *q = question;
    for (const struct link_map *map = ps_next_last_at_start()->l_next; map; map = map->l_next)
        if (map == q->asker ? !ps_libc_is_needed_by(map) : ps_elf_find(map, q->name, q->version) != NULL)
            return OTHERS;
    return LIBC_ONLY;
}

static bool only_libc_answers(struct question *q)
{
    int (*with_lock)(int (*)(struct dl_phdr_info *, size_t, void *), void *) =
        (__typeof__(with_lock))ps_libc_function("dl_iterate_phdr");
    return with_lock && with_lock(look_at_later, q) == LIBC_ONLY;
}

// Whether without us nobody would be found by that name, which this libc does not have: behind `map`, or in all, and
// before us, is nobody either.
static bool is_missing(const struct link_map *map, const struct question *q)
{
    if (ps_next_is_there(q->name))
        return false;
    while (map && map != ps_elf_self() && !ps_elf_find(map, q->name, NULL))
        map = map->l_next;
    return map == ps_elf_self();
}

static void *by_handle(void *handle, const struct question *q)
{
    return q->version ? NEXT_POINTER(dlvsym)(handle, q->name, q->version) : NEXT_POINTER(dlsym)(handle, q->name);
}

// As libc says that it has found nothing: there is nothing behind us, and here we are the caller.
static enum who nobody(struct question *q)
{
    q->answer = NEXT_POINTER(dlsym)(RTLD_NEXT, q->name);
    return ANSWERED;
}

static enum who ask_by_handle(struct question *q, void *handle)
{
    void *found = by_handle(handle, q);
    if (found == q->ours && is_missing(ps_elf_first(), q))
        return nobody(q);
    return in_place_of(q, found);
}

static enum who ask_in_order(struct question *q, void *handle)
{
    const struct link_map *last = ps_next_last_at_start(), *from = ps_elf_first();
    void *found;
    if (handle == RTLD_NEXT) {
        if (!(q->asker = object_of(q->caller)))
            return THE_LOADER;
        from = q->asker->l_next;
    }
    if (handle == RTLD_NEXT && last && is_behind(q->asker, last->l_next)) {
        if (!only_libc_answers(q))
            return THE_LOADER;
        found = first_from(ps_elf_self()->l_next, q);
    } else if (!q->version && is_behind(ps_elf_self(), from)) {
        // We are found, or somebody before us.
        return is_missing(from, q) ? nobody(q) : THE_LOADER;
    } else {
        found = first_from(from, q);
    }
    if (in_place_of(q, found) == THE_LOADER)
        return THE_LOADER;
    NEXT_POINTER(dlsym)(RTLD_DEFAULT, q->name); // finds us: dlerror() is to know of a success
    return ANSWERED;
}

static enum who ask(struct question *q, void *handle)
{
    if (!ps_elf_self() || !(q->ours = ps_elf_find(ps_elf_self(), q->name, NULL)))
        return THE_LOADER;
    if (handle == RTLD_NEXT || handle == RTLD_DEFAULT)
        return ask_in_order(q, handle);
    return ask_by_handle(q, handle);
}

PS_ENTRY void *dlsym(void *restrict handle, const char *restrict name)
{
    struct question q = {.name = name, .caller = __builtin_return_address(0)};
    if (ask(&q, handle) == ANSWERED)
        return q.answer;
    __attribute__((musttail)) return NEXT_POINTER(dlsym)(handle, name);
}

PS_ENTRY void *dlvsym(void *restrict handle, const char *restrict name, const char *restrict version)
{
    struct question q = {.name = name, .version = version, .caller = __builtin_return_address(0)};
    if (ask(&q, handle) == ANSWERED)
        return q.answer;
    __attribute__((musttail)) return NEXT_POINTER(dlvsym)(handle, name, version);
}

PS_ELF_EARLY_END
