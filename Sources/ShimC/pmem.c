// libpmem, where a file system is mounted with DAX (ps_pmem.h).
#include "face.h"

#include "pmem.h"
#include "ps_elf.h"
#include "ps_pmem.h"

#include <dlfcn.h>
#include <link.h>

// The segment of code that `address` lies in, of an object of which the loader knows where it begins.
static bool find_code(const struct link_map *map, uintptr_t address, struct ps_pmem *found)
{
    int (*about)(const void *, Dl_info *) = (__typeof__(about))ps_libc_function("dladdr");
    Dl_info info;
    if (!about || !about((const void *)address, &info))
        return false;
    const ElfW(Ehdr) *header = info.dli_fbase;
    const ElfW(Phdr) *segments = (const void *)((const char *)header + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++) {
        uintptr_t begin = map->l_addr + segments[i].p_vaddr, end = begin + segments[i].p_memsz;
        if (segments[i].p_type != PT_LOAD || address < begin || address >= end)
            continue;
        found->begin = begin;
        found->end = end;
        return true;
    }
    return false;
}

// From the constructor, before anything is served.
void ps_pmem_load(void)
{
    if (!ps_pmem_is_mounted())
        return;
    ps_engine_note_dax();
    const struct link_map *library = NEXT_POINTER(dlopen)("libpmem.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) // glibc's handles are entries of its list
        return;
    struct ps_pmem found = {
        .flush = (__typeof__(found.flush))ps_elf_find(library, "pmem_flush", NULL),
        .drain = (__typeof__(found.drain))ps_elf_find(library, "pmem_drain", NULL),
        .stored = (__typeof__(found.stored))ps_elf_find(library, "flush_recorder_stored", NULL),
    };
    int (*has_auto_flush)(void) = (__typeof__(has_auto_flush))ps_elf_find(library, "pmem_has_auto_flush", NULL);
    if (!found.flush || !found.drain || !find_code(library, (uintptr_t)found.flush, &found))
        return; // not a libpmem we know: it stays loaded, unused
    if (has_auto_flush && has_auto_flush() == 1)
        ps_flush_nothing();
    ps_pmem = found;
}
