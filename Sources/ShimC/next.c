// Looking up the next definition of a name by walking the loader's list ourselves.
//
// dlsym is not async-signal-safe (it takes the loader's lock and may allocate), and two hundred of them in the
// constructor would cost every exec several times the whole preload's budget. This walk is done per name, at its first
// use: _dl_find_object (glibc 2.35, async-signal-safe, lock-free) says which link map we are, and l_next leads through
// the objects in the order in which RTLD_NEXT would search them. Objects loaded at start are never unloaded, and
// libc.so.6 is one of them, so the walk ends before it could meet an object that another thread is unloading.
#include "face.h"

#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <link.h>

void *ps_next_slots[PS_NEXT_COUNT];

// The names, as one constant block with offsets into it: an array of pointers would need a relocation for each.
static const struct names {
#define FAMILY(family, about)
#define SYSTEM_CALL(name, treatment, owes)
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

// What an object's dynamic section says about its symbols.
struct symbols {
    const ElfW(Sym) *table;
    const char *strings;
    const uint32_t *gnu_hash;
    const uint32_t *sysv_hash;
    const ElfW(Versym) *versions;
};

// The loader has relocated these addresses in place, except where the dynamic section is read-only (the vdso).
static const void *absolute(const struct link_map *map, ElfW(Addr) value)
{
    return (const void *)(value < map->l_addr ? value + map->l_addr : value);
}

static struct symbols symbols_of(const struct link_map *map)
{
    struct symbols s = {0};
    for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
        switch (d->d_tag) {
        case DT_SYMTAB: s.table = absolute(map, d->d_un.d_ptr); break;
        case DT_STRTAB: s.strings = absolute(map, d->d_un.d_ptr); break;
        case DT_GNU_HASH: s.gnu_hash = absolute(map, d->d_un.d_ptr); break;
        case DT_HASH: s.sysv_hash = absolute(map, d->d_un.d_ptr); break;
        case DT_VERSYM: s.versions = absolute(map, d->d_un.d_ptr); break;
        }
    }
    return s;
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

// As the loader's own check for a lookup without a version: defined, visible, of a kind that can be called, and the
// default version (a hidden one, name@VERSION, is for binaries linked against it long ago).
static bool acceptable(const struct symbols *s, uint32_t index, const char *name)
{
    const ElfW(Sym) *symbol = &s->table[index];
    unsigned type = ELF64_ST_TYPE(symbol->st_info), visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0)
        return false;
    if (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC)
        return false;
    if (visibility == STV_HIDDEN || visibility == STV_INTERNAL)
        return false;
    if (s->versions && (s->versions[index] & 0x8000))
        return false;
    return equal(s->strings + symbol->st_name, name);
}

static uint32_t find_gnu(const struct symbols *s, const char *name)
{
    uint32_t hash = 5381;
    for (const char *c = name; *c; c++)
        hash = hash * 33 + (unsigned char)*c;

    uint32_t bucket_count = s->gnu_hash[0], first = s->gnu_hash[1], bloom_words = s->gnu_hash[2];
    const ElfW(Addr) *bloom = (const void *)(s->gnu_hash + 4);
    const uint32_t *buckets = (const void *)(bloom + bloom_words), *chains = buckets + bucket_count;
    if (bucket_count == 0 || bloom_words == 0)
        return 0;
    ElfW(Addr) word = bloom[hash / 64 & (bloom_words - 1)];
    if (!(word >> (hash & 63) & word >> (hash >> (s->gnu_hash[3] & 31) & 63) & 1))
        return 0;
    uint32_t index = buckets[hash % bucket_count];
    if (index < first)
        return 0;
    for (;; index++) {
        uint32_t entry = chains[index - first];
        if ((entry | 1) == (hash | 1) && acceptable(s, index, name))
            return index;
        if (entry & 1)
            return 0;
    }
}

static uint32_t find_sysv(const struct symbols *s, const char *name)
{
    uint32_t hash = 0;
    for (const char *c = name; *c; c++) {
        hash = (hash << 4) + (unsigned char)*c;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    uint32_t bucket_count = s->sysv_hash[0];
    const uint32_t *buckets = s->sysv_hash + 2, *chains = buckets + bucket_count;
    if (bucket_count == 0)
        return 0;
    for (uint32_t index = buckets[hash % bucket_count]; index != 0; index = chains[index])
        if (acceptable(s, index, name))
            return index;
    return 0;
}

static void *find_in(const struct link_map *map, const char *name)
{
    struct symbols s = symbols_of(map);
    if (!s.table || !s.strings)
        return NULL;
    uint32_t index = s.gnu_hash ? find_gnu(&s, name) : s.sysv_hash ? find_sysv(&s, name) : 0;
    if (index == 0)
        return NULL;
    void *address = (void *)(map->l_addr + s.table[index].st_value);
    if (ELF64_ST_TYPE(s.table[index].st_info) == STT_GNU_IFUNC)
        address = ((void *(*)(void))address)();
    return address;
}

static void *find(const char *name)
{
    struct dl_find_object here;
    if (_dl_find_object(ps_next_slots, &here) != 0)
        return NULL;
    const struct link_map *ours = here.dlfo_link_map;
    for (const struct link_map *map = ours->l_next; map; map = map->l_next) {
        void *address = find_in(map, name);
        if (address)
            return address;
    }
    // Loaded by dlopen instead of LD_PRELOAD: libc stands before us.
    const struct link_map *map = ours;
    while (map->l_prev)
        map = map->l_prev;
    for (; map && map != ours; map = map->l_next) {
        void *address = find_in(map, name);
        if (address)
            return address;
    }
    return NULL;
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
    void *address = find((const char *)&names + name_offsets[slot]);
    if (!address)
        address = otherwise;
    __atomic_store_n(&ps_next_slots[slot], address, __ATOMIC_RELAXED);
    return address;
}

void *ps_next_find(enum ps_next_slot slot) { return fill(slot, (void *)missing); }
void *ps_next_find_pointer(enum ps_next_slot slot) { return fill(slot, (void *)missing_pointer); }

bool ps_next_is_libc(enum ps_next_slot slot)
{
    // gnu_get_libc_version: a function of libc that nobody has a reason to interpose.
    struct dl_find_object next, libc;
    return _dl_find_object(ps_next(slot), &next) == 0 && _dl_find_object((void *)gnu_get_libc_version, &libc) == 0
           && next.dlfo_link_map == libc.dlfo_link_map;
}
