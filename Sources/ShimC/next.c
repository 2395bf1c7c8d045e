// Looking up the next definition of a name by walking the loader's list ourselves (ps_elf.h), from the object behind
// us: the order in which RTLD_NEXT would search. This is done per name, at its first use: two hundred look-ups in the
// constructor would cost every exec several times the whole preload's budget.
#include "face.h"

#include "ps_elf.h"
#include "ps_placement.h"

#include <link.h>

void *ps_next_slots[PS_NEXT_COUNT];

// The names, as one constant block with offsets into it: an array of pointers would need a relocation for each.
static const struct names {
#define FAMILY(family, about)
#define SYSTEM_CALL(name, treatment, how, owes)
#define ENTRY_SINCE(major, minor, name, treatment, owes) ENTRY(name, treatment, owes)
#define ENTRY(name, treatment, owes) char name_of_##name[sizeof #name];
#include "entry-points.def"
#undef ENTRY
} names = {
#define ENTRY(name, treatment, owes) #name,
#include "entry-points.def"
#undef ENTRY
};
static const uint16_t name_offsets[PS_NEXT_COUNT] = {
#define ENTRY(name, treatment, owes) offsetof(struct names, name_of_##name),
#include "entry-points.def"
#undef ENTRY
};
#undef ENTRY_SINCE
#undef SYSTEM_CALL
#undef FAMILY

PS_ELF_EARLY_BEGIN

const char *ps_next_name(enum ps_next_slot slot) { return (const char *)&names + name_offsets[slot]; }

// The last of the objects that are there for good; NULL: the program is being started, all are.
static PS_TOUCHED_AT_START const struct link_map *last_at_start;

void ps_next_started(void)
{
    const struct link_map *map = ps_elf_self();
    while (map && map->l_next)
        map = map->l_next;
    __atomic_store_n(&last_at_start, map, __ATOMIC_RELEASE);
}

const struct link_map *ps_next_last_at_start(void) { return __atomic_load_n(&last_at_start, __ATOMIC_ACQUIRE); }

// `stays`: the object was there at the start, and so will be as long as we are. Others may be unloaded: before glibc
// 2.34 some of the names are in libraries beside libc, which may come and go with what needs them.
static void *find(const char *name, bool *stays)
{
    const struct link_map *ours = ps_elf_self(), *last = ps_next_last_at_start();
    *stays = true;
    if (!ours)
        return NULL;
    for (const struct link_map *map = ours->l_next; map; map = map->l_next) {
        void *address = ps_elf_find(map, name, NULL);
        if (address)
            return address;
        if (map == last)
            *stays = false;
    }
    // Loaded by dlopen instead of LD_PRELOAD: libc stands before us.
    *stays = true;
    for (const struct link_map *map = ps_elf_first(); map && map != ours; map = map->l_next) {
        void *address = ps_elf_find(map, name, NULL);
        if (address)
            return address;
    }
    return NULL;
}

bool ps_next_is_there(const char *name)
{
    bool stays;
    return find(name, &stays) != NULL;
}

static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

static void *missing_pointer(void)
{
    errno = ENOSYS;
    return NULL;
}

static void *fill(enum ps_next_slot slot, void *otherwise)
{
    bool stays;
    void *address = find(ps_next_name(slot), &stays);
    if (address && stays)
        __atomic_store_n(&ps_next_slots[slot], address, __ATOMIC_RELAXED);
    return address ? address : otherwise;
}

void *ps_next_find(enum ps_next_slot slot) { return fill(slot, (void *)missing); }
void *ps_next_find_pointer(enum ps_next_slot slot) { return fill(slot, (void *)missing_pointer); }

bool ps_next_is_libc(enum ps_next_slot slot) { return ps_libc_defines(ps_next_name(slot), ps_next(slot)); }

PS_ELF_EARLY_END
