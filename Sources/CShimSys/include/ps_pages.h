// The page arrays in DRAM: for files that lie on no device with arrays of its own (tmpfs, a plain DAX mount, a named
// directory). One sparse file per user, PS_PAGES_FILE_NAME in the runtime directory (see ps_stats.h), mode 0600, shared
// by all processes of that user. Documented for other programs in docs/device-format.md; a change here is a change
// there.
//
//     0              header, 4 KiB
//     4 KiB          directory: PS_PAGES_SLOTS slots of 256 bytes
//     2 MiB * (1+n)  page array of slot n: as a section's on a device, pages of 4 KiB
//
// A slot stands for 128 MiB of one file. It is found by its key (a hash of the file's identity and of which 128 MiB
// they are), in one of PS_PAGES_PROBES places that follow from the key; its place says where its array is, so that
// nothing read here is ever an index. The words of the array count under the tag that follows from the key: a slot that
// is given to another file is thereby in its initial state.
//
// Memory is given to groups, 32 KiB each, by fallocate and before they are touched: the last word of an array's first
// descriptor has a bit for each of its 64 groups that has any, whoever it is that the slot belongs to. The file as a
// whole has at most a 64th of its file system (at least 1 MiB); beyond that a slot, whichever, loses its key and its
// memory.
//
// Everything is soft: hints and figures, which anybody of that user may scribble over. The file may be removed at any
// time; processes that have parts of it mapped go on with what they have.
#ifndef PS_PAGES_H
#define PS_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "ps_device.h"

#define PS_PAGES_MAGIC 0x31454741504d5350ull /* "PSMPAGE1" as bytes */
#define PS_PAGES_VERSION 2u
#define PS_PAGES_FILE_NAME "pages"
#define PS_PAGES_SLOTS 4096u
#define PS_PAGES_PROBES 8u
#define PS_PAGES_DIRECTORY 4096u // bytes from the start
#define PS_PAGES_ARRAYS (2u << 20)
#define PS_PAGES_PATH 192
#define PS_PAGES_SAMPLE 16u // of so many calls in a process's slow path one is counted

struct ps_pages_header {
    uint64_t magic;
    uint32_t version;
    uint32_t slot_size;
    uint32_t slot_count;
    uint32_t sample; // PS_PAGES_SAMPLE
    uint64_t reserved[509];
};

struct ps_pages_slot {
    uint64_t key;        // 0: free
    uint64_t device;     // major << 32 | minor
    uint64_t inode;
    int64_t birth;       // when the file was made, ns since 1970; 0: its file system does not say
    uint64_t section;    // which 128 MiB of the file
    uint64_t claimed_ns; // CLOCK_REALTIME when the slot was given to the file
    uint64_t reserved[2];
    char path[PS_PAGES_PATH]; // the file's name then, NUL-terminated, cut at the front where longer; for people
};

struct ps_pages_file {
    struct ps_pages_header header;
    struct ps_pages_slot slots[PS_PAGES_SLOTS];
};

_Static_assert(sizeof(struct ps_pages_header) == PS_PAGES_DIRECTORY, "header");
_Static_assert(sizeof(struct ps_pages_slot) == 256, "slot");
_Static_assert(offsetof(struct ps_pages_slot, path) == 64, "slot");
_Static_assert(sizeof(struct ps_pages_file) <= PS_PAGES_ARRAYS, "the directory ends before the arrays begin");

#define PS_PAGES_FILE_SIZE 8592031744ull // bytes
_Static_assert(PS_PAGES_FILE_SIZE == PS_PAGES_ARRAYS + (uint64_t)PS_PAGES_SLOTS * PS_DEVICE_ARRAY_SIZE, "pages file");


#endif
