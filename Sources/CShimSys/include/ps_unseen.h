// Inodes that this process, or a parent of it, stores to by ways no call of ours shows: shared mappings of its own.
// They are kept through a fork, as the mappings are, and never taken out; when there is no room left, every inode
// counts as one.
#ifndef PS_UNSEEN_H
#define PS_UNSEEN_H

#include <stdint.h>

#define PS_UNSEEN 64
struct ps_unseen {
    uint64_t keys[PS_UNSEEN]; // a mixture of device and inode, never 0; atomic
    uint32_t full;
};
extern struct ps_unseen ps_unseen __attribute__((visibility("hidden")));
static inline uint64_t ps_unseen_key(uint64_t device, uint64_t inode)
{
    return ((device << 32 | device >> 32) * 0x9e3779b97f4a7c15ull ^ inode) | 1ull << 63;
}
static inline _Bool ps_is_unseen(uint64_t device, uint64_t inode)
{
    if (__atomic_load_n(&ps_unseen.full, __ATOMIC_RELAXED))
        return 1;
    const uint64_t key = ps_unseen_key(device, inode);
    for (int i = 0; i < PS_UNSEEN; i++) {
        uint64_t seen = __atomic_load_n(&ps_unseen.keys[i], __ATOMIC_ACQUIRE);
        if (seen == 0 || seen == key)
            return seen == key;
    }
    return 0;
}
static inline void ps_note_unseen(uint64_t device, uint64_t inode)
{
    const uint64_t key = ps_unseen_key(device, inode);
    for (int i = 0; i < PS_UNSEEN; i++) {
        uint64_t seen = __atomic_load_n(&ps_unseen.keys[i], __ATOMIC_ACQUIRE);
        if (seen == 0
            && __atomic_compare_exchange_n(&ps_unseen.keys[i], &seen, key, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return;
        if (seen == key)
            return;
    }
    __atomic_store_n(&ps_unseen.full, 1, __ATOMIC_RELAXED);
}

#endif
