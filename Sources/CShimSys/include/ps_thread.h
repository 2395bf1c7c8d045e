// Thread state, and the two pointers from which everything else is found.
#ifndef PS_THREAD_H
#define PS_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ps_pending {
    PS_PENDING_NOTHING, // not ours
    PS_PENDING_SHORT,   // hints and figures are set as if all bytes will have moved: tell only if they have not
    PS_PENDING_REPORT   // tell in any case
};

// Initial-exec: one load relative to the thread pointer, never __tls_get_addr (which may allocate).
struct ps_thread {
    // Address of this thread's record in the arena, or 0. Survives fork while the record does not (WIPEONFORK): a
    // record whose thread id is 0 is to be claimed anew.
    uintptr_t record;
    // Set by the engine when it passes a data call on: what it wants to hear of the kernel's answer.
    uint32_t pending; // enum ps_pending
    // The bytes that were asked for; meaningful with PS_PENDING_SHORT.
    int64_t pending_count;
    // Where the call starts, or -1.
    int64_t pending_offset;
    // The same for a write: the coarse clock before the kernel was asked, ns; 0: not looked at.
    int64_t pending_tick;
};


extern __thread struct ps_thread ps_thread_state __attribute__((tls_model("initial-exec"), visibility("hidden")));
static inline struct ps_thread *_Nonnull ps_thread_current(void) { return &ps_thread_state; }

// Within a thread's record (ThreadLayout): its id, negative until it may copy; and what is 0 where it may not.
#define PS_RECORD_THREAD 0
#define PS_RECORD_READY 56
// The calling thread may have got a signal mask or a stack of which nothing is known: its next data call takes the
// general way, and looks before it copies.
static inline void ps_thread_look_again(void)
{
    char *record = (char *)ps_thread_state.record;
    if (record == NULL)
        return;
    __atomic_store_n((uint64_t *)(void *)(record + PS_RECORD_READY), 0, __ATOMIC_RELAXED);
    int32_t *thread = (int32_t *)(void *)(record + PS_RECORD_THREAD);
    int32_t id = __atomic_load_n(thread, __ATOMIC_RELAXED);
    if (id > 0)
        __atomic_store_n(thread, -id, __ATOMIC_RELAXED);
}

// Keeps the compiler from moving the loads of a served call above the store that announces it. The CPU may still; the
// one who retires a window orders that with a barrier in all threads (membarrier) instead of a fence in every call.
static inline void ps_compiler_barrier(void) { __asm__ volatile("" ::: "memory"); }
// Whether the eight bytes at `at` are `value`, looked at once, here and now. The compiler keeps atomic loads apart from
// the comparison; as one instruction it takes one place of those the processor works on at once, and a served call
// that waits for memory is as fast as many of its kind fit there (docs/design.md).
static inline __attribute__((always_inline)) bool ps_is_still(const void *_Nonnull at, uint64_t value)
{
#if !__has_feature(thread_sanitizer) // which sees atomic loads only
    bool same;
    __asm__ volatile("cmpq %[value], %[at]"
                     : "=@cce"(same)
                     : [at] "m"(*(const uint64_t *)at), [value] "re"(value)
                     : "memory");
    return same;
#else
    return __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE) == value;
#endif
}
// Whether `value` is below the signed number at `at`, looked at once, for the same reason.
static inline __attribute__((always_inline)) bool ps_is_below(int64_t value, const void *_Nonnull at)
{
#if !__has_feature(thread_sanitizer)
    bool below;
    __asm__ volatile("cmpq %[at], %[value]"
                     : "=@ccl"(below)
                     : [at] "m"(*(const int64_t *)at), [value] "r"(value)
                     : "memory");
    return below;
#else
    return value < __atomic_load_n((const int64_t *)at, __ATOMIC_ACQUIRE);
#endif
}
// The same address, kept in a register: used as often as it is here, working it out anew in every use costs more.
static inline __attribute__((always_inline)) void *_Nonnull ps_kept(void *_Nonnull address)
{
    __asm__("" : "+r"(address));
    return address;
}
// Counters in memory that other processes read. One writer at a time, or any number of them.
static inline void ps_raise(uintptr_t counter, uint64_t amount)
{
    uint64_t *at = (uint64_t *)counter;
    __atomic_store_n(at, __atomic_load_n(at, __ATOMIC_RELAXED) + amount, __ATOMIC_RELAXED);
}
static inline void ps_raise_together(uintptr_t counter, uint64_t amount)
{
    __atomic_fetch_add((uint64_t *)counter, amount, __ATOMIC_RELAXED);
}
// The frame of the function this is compiled into (always inlined): where the engine announces a call, and by which it
// is found out later whether the call still goes on.
static inline __attribute__((always_inline)) uintptr_t ps_frame(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}
// Whether a frame that ps_frame() gave may still be in use: a signal handler that jumps, throws or is cancelled leaves
// calls behind that never end. Looks whether the return address there is still one of ours, which no live frame lacks;
// a dead one may keep it for a while. One system call; any address may be asked for.
bool ps_frame_may_live(uintptr_t frame);
// Before the first of these: where our code lies.
void ps_frames_prepare(void);
static inline void ps_pause(void) { __asm__ volatile("pause"); }
// What every call asks for, in one cache line.
struct ps_hot {
    void *_Nullable root;
    void *_Nullable table; // the entries of descriptors, under the root
    uint32_t numbers; // descriptor numbers below this may have an entry; 0: no root, or the quick way is closed
    _Bool write_is_bare; // set by the face: the next write is libc's own
    const char *_Nonnull single_threaded; // libc's __libc_single_threaded; before the constructor, or without: a zero
} __attribute__((aligned(64)));
extern struct ps_hot ps_hot __attribute__((visibility("hidden")));

// False once the process has made a second thread through libc.
static inline _Bool ps_single_threaded(void) { return *ps_hot.single_threaded; }

// The arena of the engine; NULL: the shim is inactive (before the constructor, disabled, or no memory).
// Where in its first page, behind all that the engine has there, a word says that a thread of this very memory has
// forked in a way that may share it: 0 again in every child with a memory of its own (uint32_t, atomic).
#define PS_ROOT_SHARED 4088
// Before that word: where page arrays are mapped, PS_ROOT_REGIONS addresses of regions (uintptr_t, atomic; 0: none yet)
// of PS_ROOT_REGION_SIZE bytes, in pieces of 2 MiB.
#define PS_ROOT_REGION 3824
#define PS_ROOT_REGIONS 32
#define PS_ROOT_REGION_SIZE (8ul << 20)
#define PS_ROOT_REGION_PIECE (2ul << 20)
static inline void *_Nullable ps_root(void) { return __atomic_load_n(&ps_hot.root, __ATOMIC_ACQUIRE); }
// Behind that word: the process that has done so first, which the memory is (uint32_t, atomic); 0: none has.
static inline int ps_root_sharer(void)
{
    const char *root = (const char *)ps_root();
    return root ? (int)__atomic_load_n((const uint32_t *)(root + PS_ROOT_SHARED) + 1, __ATOMIC_RELAXED) : 0;
}
static inline void ps_set_root(void *_Nonnull root, size_t table, uint32_t numbers)
{
    __atomic_store_n(&ps_hot.root, root, __ATOMIC_RELEASE);
    __atomic_store_n(&ps_hot.table, (char *)root + table, __ATOMIC_RELEASE);
    __atomic_store_n(&ps_hot.numbers, numbers, __ATOMIC_RELEASE);
}
// For good: the slow way asks first whether the thread is to be cancelled.
static inline void ps_close_quick_way(void) { __atomic_store_n(&ps_hot.numbers, 0, __ATOMIC_SEQ_CST); }
// Whether there is a root, and an entry for `number` under it: both by one comparison.
static inline __attribute__((always_inline)) bool ps_has_entry(int number)
{
#if !__has_feature(thread_sanitizer)
    bool below;
    __asm__ volatile("cmpl %[at], %[value]" : "=@ccb"(below) : [at] "m"(ps_hot.numbers), [value] "r"(number) : "memory");
    return below;
#else
    return (uint32_t)number < __atomic_load_n(&ps_hot.numbers, __ATOMIC_ACQUIRE);
#endif
}
// Where there is a root.
static inline void *_Nonnull ps_table(void)
{
    return (void *_Nonnull)__atomic_load_n(&ps_hot.table, __ATOMIC_RELAXED);
}
static inline _Bool ps_write_is_bare(void) { return __atomic_load_n(&ps_hot.write_is_bare, __ATOMIC_RELAXED); }
static inline void ps_set_write_is_bare(void) { __atomic_store_n(&ps_hot.write_is_bare, 1, __ATOMIC_RELAXED); }

// What must survive a fork, unlike the arena: the environment as it was at the start, and why we gave way.
#define PS_SETTINGS_CAPACITY 8192
struct ps_settings {
    // PMEMSHIM_MOUNTS, PMEMSHIM_LOG, PMEMSHIM_RUNTIME_DIR as NUL-terminated strings in `text`; offset 0: not set.
    uint32_t mounts, log, runtime_directory;
    uint32_t map_after; // data calls on a file before it is mapped
    uint32_t classify_after; // data calls on a descriptor before it is looked at
    uint32_t paranoid;  // 1: look at a descriptor before each call that is served
    uint32_t exclusive; // 1: on DAX nobody else changes what this process syncs
    uint32_t may_have_dax; // 1: some file may be on DAX; atomic
    uint32_t given_way; // enum ps_give_way bits, atomic
    uint32_t bad;       // a value was bad: text offset of the note that says so; 0: none
    uint32_t used;      // bytes of `text` in use
    char text[PS_SETTINGS_CAPACITY];
};
extern struct ps_settings ps_settings_storage __attribute__((visibility("hidden")));
static inline struct ps_settings *_Nonnull ps_settings(void) { return &ps_settings_storage; }
static inline char *_Nonnull ps_settings_text(void) { return ps_settings_storage.text; }
static inline uint32_t ps_settings_text_capacity(void) { return PS_SETTINGS_CAPACITY; }
// Inodes that this process, or a parent of it, stores to by ways no call of ours shows: shared mappings of its own.
// Kept through a fork, as the mappings are. Never taken out; when there is no room more, every inode counts as one.
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
