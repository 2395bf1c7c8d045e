#include "face.h"

#include "mappings.h"
#include "ps_pmem.h"
#include "ps_signals.h"

#define MAPPINGS 64

static struct mapping {
    uintptr_t start; // 0: free; 1: being filled
    uintptr_t end;   // of what may be flushed from here
    uintptr_t whole; // the end of the mapping
    int64_t tick;    // in which the kernel last did an msync of it
    int statistics;
} mappings[MAPPINGS];
uint32_t ps_mappings_noted;

void ps_mapping_note(void *address, size_t length, size_t durable, int statistics)
{
    for (int i = 0; i < MAPPINGS; i++) {
        struct mapping *m = &mappings[i];
        uintptr_t free = 0;
        if (!__atomic_compare_exchange_n(&m->start, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        m->end = (uintptr_t)address + durable;
        m->whole = (uintptr_t)address + length;
        m->tick = 0;
        m->statistics = statistics;
        __atomic_fetch_add(&ps_mappings_noted, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&m->start, (uintptr_t)address, __ATOMIC_RELEASE);
        return;
    }
    // No room: its msyncs are the kernel's.
}

void ps_mapping_forget_noted(const void *address, size_t length)
{
    const uintptr_t from = (uintptr_t)address, to = from + ((length + 4095) & ~(size_t)4095);
    for (int i = 0; i < MAPPINGS; i++) {
        uintptr_t start = __atomic_load_n(&mappings[i].start, __ATOMIC_ACQUIRE);
        // All of it, whatever part goes: a rest is the kernel's.
        if (start > 1 && start < to && from < mappings[i].whole
            && __atomic_compare_exchange_n(&mappings[i].start, &start, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            __atomic_fetch_sub(&ps_mappings_noted, 1, __ATOMIC_RELAXED);
    }
}

bool ps_mapping_flushed(const void *address, size_t length)
{
    const uintptr_t from = (uintptr_t)address;
    if (length == 0 || length > PS_MOST_FLUSHED || (from & 4095) || from > UINTPTR_MAX - PS_MOST_FLUSHED - 4096)
        return false; // errors, which the kernel tells, or too much
    const uintptr_t to = from + ((length + 4095) & ~(size_t)4095);
    for (int i = 0; i < MAPPINGS; i++) {
        struct mapping *m = &mappings[i];
        uintptr_t start = __atomic_load_n(&m->start, __ATOMIC_ACQUIRE);
        if (start <= 1 || from < start || to > m->end)
            continue;
        // The first of each clock tick is the kernel's: it moves the file's times at the next store.
        int64_t now = ps_sys_coarse_now();
        if (__atomic_load_n(&m->tick, __ATOMIC_RELAXED) != now) {
            __atomic_store_n(&m->tick, now, __ATOMIC_RELAXED);
            return false;
        }
        int statistics = m->statistics;
        ps_signals_ready();
        // A page that is gone faults: then the kernel says what is due.
        if (ps_flush_durably(from, to - from) != 0)
            return false;
        if (__atomic_load_n(&m->start, __ATOMIC_ACQUIRE) != start)
            return false;
        ps_engine_count_msync(statistics);
        return true;
    }
    return false;
}
