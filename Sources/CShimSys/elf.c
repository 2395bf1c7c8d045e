#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_elf.h"

#include <elf.h>
#include <link.h>

// Where the two loaders tell debuggers of their list: glibc's own structure, and a pointer of musl's to its own, which
// begins alike. Weak, and so without a version: each is missing in the other libc.
extern struct r_debug _r_debug __attribute__((weak));
extern struct r_debug *_dl_debug_addr __attribute__((weak));
// The linker's.
extern ElfW(Dyn) ps_elf_own_section[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));

// What an object's dynamic section says about its symbols.
struct symbols {
    const ElfW(Sym) *table;
    const char *strings;
    const uint32_t *gnu_hash;
    const uint32_t *sysv_hash;
    const ElfW(Versym) *versions;
    const ElfW(Verdef) *definitions;
    size_t definition_count;
    size_t own_name; // offset into the strings; 0: none
};

struct wanted {
    const char *name, *version;
    bool variable;
};

PS_ELF_EARLY_BEGIN

const struct link_map *ps_elf_first(void)
{
    if (&_r_debug && _r_debug.r_map)
        return _r_debug.r_map;
    return &_dl_debug_addr && _dl_debug_addr ? _dl_debug_addr->r_map : NULL;
}

const struct link_map *ps_elf_self(void)
{
    static const struct link_map *self; // the same for whoever finds it
    const struct link_map *map = __atomic_load_n(&self, __ATOMIC_RELAXED);
    if (map)
        return map;
    for (map = ps_elf_first(); map && map->l_ld != ps_elf_own_section;)
        map = map->l_next;
    __atomic_store_n(&self, map, __ATOMIC_RELAXED);
    return map;
}

// glibc has relocated these addresses in place, except where the dynamic section is read-only (the vDSO); musl has not.
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
        case DT_VERDEF: s.definitions = absolute(map, d->d_un.d_ptr); break;
        case DT_VERDEFNUM: s.definition_count = d->d_un.d_val; break;
        case DT_SONAME: s.own_name = d->d_un.d_val; break;
        }
    }
    return s;
}

bool ps_elf_equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

bool ps_elf_is_called(const struct link_map *map, const char *name)
{
    struct symbols s = symbols_of(map);
    return s.strings && s.own_name && ps_elf_equal(s.strings + s.own_name, name);
}

bool ps_elf_needs(const struct link_map *map, const char *name)
{
    struct symbols s = symbols_of(map);
    for (const ElfW(Dyn) *d = map->l_ld; d && s.strings && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_NEEDED && ps_elf_equal(s.strings + d->d_un.d_val, name))
            return true;
    return false;
}

static bool is_version(const struct symbols *s, uint32_t index, const char *version)
{
    const char *at = (const char *)s->definitions;
    for (size_t i = 0; at && i < s->definition_count; i++) {
        const ElfW(Verdef) *definition = (const void *)at;
        const ElfW(Verdaux) *name = (const void *)(at + definition->vd_aux);
        if (definition->vd_ndx == (s->versions[index] & 0x7fff))
            return !(definition->vd_flags & VER_FLG_BASE) && ps_elf_equal(s->strings + name->vda_name, version);
        at += definition->vd_next;
    }
    return false;
}

// As the loader's own check: defined, visible, of the kind, and of the version; without one, the default version (a
// hidden one, name@VERSION, is for binaries linked against it long ago).
static bool acceptable(const struct symbols *s, uint32_t index, const struct wanted *wanted)
{
    const ElfW(Sym) *symbol = &s->table[index];
    unsigned type = ELF64_ST_TYPE(symbol->st_info), visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0)
        return false;
    if (wanted->variable ? type != STT_OBJECT : type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC)
        return false;
    if (visibility == STV_HIDDEN || visibility == STV_INTERNAL)
        return false;
    if (!wanted->version && s->versions && (s->versions[index] & 0x8000))
        return false;
    if (!ps_elf_equal(s->strings + symbol->st_name, wanted->name))
        return false;
    return !wanted->version || !s->versions || is_version(s, index, wanted->version);
}

static uint32_t find_gnu(const struct symbols *s, const struct wanted *wanted)
{
    uint32_t hash = 5381;
    for (const char *c = wanted->name; *c; c++)
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
        if ((entry | 1) == (hash | 1) && acceptable(s, index, wanted))
            return index;
        if (entry & 1)
            return 0;
    }
}

static uint32_t find_sysv(const struct symbols *s, const struct wanted *wanted)
{
    uint32_t hash = 0;
    for (const char *c = wanted->name; *c; c++) {
        hash = (hash << 4) + (unsigned char)*c;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    uint32_t bucket_count = s->sysv_hash[0];
    const uint32_t *buckets = s->sysv_hash + 2, *chains = buckets + bucket_count;
    if (bucket_count == 0)
        return 0;
    for (uint32_t index = buckets[hash % bucket_count]; index != 0; index = chains[index])
        if (acceptable(s, index, wanted))
            return index;
    return 0;
}

static void *find(const struct link_map *map, const struct wanted *wanted)
{
    struct symbols s = symbols_of(map);
    if (!s.table || !s.strings)
        return NULL;
    uint32_t index = s.gnu_hash ? find_gnu(&s, wanted) : s.sysv_hash ? find_sysv(&s, wanted) : 0;
    if (index == 0)
        return NULL;
    void *address = (void *)(map->l_addr + s.table[index].st_value);
    if (ELF64_ST_TYPE(s.table[index].st_info) == STT_GNU_IFUNC)
        address = ((void *(*)(void))address)();
    return address;
}

void *ps_elf_find(const struct link_map *map, const char *name, const char *version)
{
    return find(map, &(struct wanted){name, version, false});
}

void *ps_elf_find_variable(const struct link_map *map, const char *name)
{
    return find(map, &(struct wanted){name, NULL, true});
}

PS_ELF_EARLY_END
