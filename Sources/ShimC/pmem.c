// libpmem, where a file system is mounted with DAX (ps_pmem.h).
#include "face.h"

#include "pmem.h"
#include "ps_pmem.h"

#include <dlfcn.h>

// From the constructor, before anything is served.
void ps_pmem_load(void)
{
    if (!ps_pmem_is_mounted())
        return;
    ps_engine_note_dax();
    void *library = NEXT_POINTER(dlopen)("libpmem.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    struct ps_pmem found = {
        .flush = (__typeof__(found.flush))dlsym(library, "pmem_flush"),
        .drain = (__typeof__(found.drain))dlsym(library, "pmem_drain"),
        .stored = (__typeof__(found.stored))dlsym(library, "flush_recorder_stored"),
    };
    int (*has_auto_flush)(void) = (__typeof__(has_auto_flush))dlsym(library, "pmem_has_auto_flush");
    struct dl_find_object place;
    if (!found.flush || !found.drain || _dl_find_object((void *)found.flush, &place) != 0)
        return; // not a libpmem we know: it stays loaded, unused
    found.begin = (uintptr_t)place.dlfo_map_start;
    found.end = (uintptr_t)place.dlfo_map_end;
    if (has_auto_flush && has_auto_flush() == 1)
        ps_flush_nothing();
    ps_pmem = found;
}
