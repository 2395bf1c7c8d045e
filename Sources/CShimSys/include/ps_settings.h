// What must survive a fork, unlike the arena: the environment as it was at the start, and why we gave way.
#ifndef PS_SETTINGS_H
#define PS_SETTINGS_H

#include <stdint.h>

#define PS_SETTINGS_CAPACITY 8192
struct ps_settings {
    // PMEMSHIM_MOUNTS, PMEMSHIM_LOG, PMEMSHIM_RUNTIME_DIR as NUL-terminated strings in `text`; offset 0: not set.
    uint32_t mounts, log, runtime_directory;
    uint32_t map_after; // data calls on a file before it is mapped
    uint32_t classify_after; // data calls on a descriptor before it is looked at
    uint32_t by_price; // 1: neither was asked for; each number has a patience of its own
    uint32_t first_after; // data calls of the process before the first look, by price
    uint64_t memory;     // the most that windows may weigh, bytes
    uint32_t has_memory; // 1: it was asked for
    uint32_t paranoid;  // 1: look at a descriptor before each call that is served
    uint32_t exclusive; // 1: on DAX nobody else changes what this process syncs
    uint32_t may_have_dax; // 1: some file may be on DAX; atomic
    uint32_t given_way; // enum ps_give_way bits (ps_engine.h), atomic
    uint32_t bad;       // a value was bad: text offset of the note that says so; 0: none
    uint32_t used;      // bytes of `text` in use
    char text[PS_SETTINGS_CAPACITY];
};
extern struct ps_settings ps_settings_storage __attribute__((visibility("hidden")));
static inline struct ps_settings *_Nonnull ps_settings(void) { return &ps_settings_storage; }
static inline char *_Nonnull ps_settings_text(void) { return ps_settings_storage.text; }
static inline uint32_t ps_settings_text_capacity(void) { return PS_SETTINGS_CAPACITY; }

static inline uint32_t ps_given_way(void)
{
    return __atomic_load_n(&ps_settings_storage.given_way, __ATOMIC_RELAXED);
}
static inline void ps_set_given_way(uint32_t set, uint32_t clear)
{
    if (set)
        __atomic_or_fetch(&ps_settings_storage.given_way, set, __ATOMIC_SEQ_CST);
    if (clear)
        __atomic_and_fetch(&ps_settings_storage.given_way, ~clear, __ATOMIC_SEQ_CST);
}

#endif
