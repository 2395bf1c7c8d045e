// The statistics file: layout shared by the shim in every served process and by shimctl.
//
// One sparse file per user, `stats` in the runtime directory (ps_runtime_directory: PMEMSHIM_RUNTIME_DIR, else
// /dev/shm/pmemshim-<effective uid>, mode 0700; the file 0600). It is soft: figures only, shared among processes of
// one user. Nobody may use a number from it as an index or a length without checking it, and anybody may scribble
// over it at any time; that costs figures, never correctness.
//
// Life of a record: a process claims one (state FREE -> LIVE by compare and exchange) when its first file is served,
// and leaves it behind. A LIVE record whose process is gone (no such pid, or another start time), or whose process
// has claimed a newer one (exec), has ended; when no record is free, a claimant folds an ended one into `ended`
// (LIVE -> FOLDING -> LIVE) and takes it over. Readers therefore sum `ended`, and every record that is LIVE.
//
// FOLDING names the claimant (its pid, shifted), since it may be killed in the middle: measured, 3 times in 800 kills of
// processes at random. Counters are moved, not copied, so what is left in such a record is exactly what is not yet in
// `ended`: readers count it as an ended process's, and the next claimant folds the rest and takes the record over.
//
// No alignment attributes: Swift does not import over-aligned structs. Padding is spelt out and asserted instead.
#ifndef PS_STATS_H
#define PS_STATS_H

#include <stddef.h>
#include <stdint.h>

#define PS_STATS_MAGIC 0x31535441544d5350ull /* "PSMTATS1" as little-endian bytes */
#define PS_STATS_VERSION 1u
#define PS_STATS_FILE_NAME "stats"

enum ps_family {
    PS_FAMILY_READ, PS_FAMILY_PREAD, PS_FAMILY_READV, PS_FAMILY_PREADV,
    PS_FAMILY_WRITE, PS_FAMILY_PWRITE, PS_FAMILY_WRITEV, PS_FAMILY_PWRITEV,
    PS_FAMILY_FSYNC, PS_FAMILY_FDATASYNC, PS_FAMILY_SYNC_FILE_RANGE, PS_FAMILY_MSYNC,
    PS_FAMILY_MMAP, PS_FAMILY_COPY, PS_FAMILY_RESIZE,
    PS_FAMILY_COUNT = 16 /* one spare */
};

// What became of a call: served, or the reason why it was passed on to the kernel.
enum ps_outcome {
    PS_OUTCOME_SERVED,   // copied through the window (or elided, for the sync family)
    PS_OUTCOME_COLD,     // descriptor not yet classified, or inode or region not yet worth mapping
    PS_OUTCOME_END,      // the range reaches the last page of the file, or extends it
    PS_OUTCOME_SMALL,    // a write of less than 512 bytes
    PS_OUTCOME_TICK,     // the first write to the inode in a clock tick: the kernel sets the times
    PS_OUTCOME_APPEND,   // O_APPEND
    PS_OUTCOME_OFFSET,   // the implicit offset was not where it was expected
    PS_OUTCOME_FLAGS,    // O_DIRECT, O_SYNC, RWF_* or an access mode that the window cannot honour
    PS_OUTCOME_SPARSE,   // the file has holes, which a mapped read would allocate
    PS_OUTCOME_FAULT,    // the copy faulted (truncated under us, bad buffer, device full): the kernel redid the call
    PS_OUTCOME_LIMIT,    // RLIMIT_FSIZE, RLIMIT_AS, too many windows, mmap refused
    PS_OUTCOME_BUSY,     // another writer holds the range
    PS_OUTCOME_BACKING,  // durability or a call of this kind is the kernel's on this backing
    PS_OUTCOME_ARGUMENT, // odd arguments: the kernel tells what is due
    PS_OUTCOME_GIVE_WAY, // mlockall, seccomp, unshare(CLONE_FILES): the shim has stepped aside
    PS_OUTCOME_KERNEL,   // calls of this family always go to the kernel
    PS_OUTCOME_COUNT     // 16
};

enum ps_backing { PS_BACKING_NONE, PS_BACKING_DAX, PS_BACKING_MEMORY, PS_BACKING_PAGECACHE };

#define PS_STATS_MOUNTS 4      // mounts one process keeps figures for; the last one also takes all further mounts
#define PS_STATS_SHARDS 16     // one per thread; threads beyond share the last with atomic additions
#define PS_STATS_RECORDS 512
#define PS_STATS_ENDED 64      // mounts with folded figures; the last one takes all further mounts
#define PS_STATS_PATH 256

// Counters of one mount in one thread. Cumulative, never reset while the record is LIVE.
struct ps_stats_counters {
    uint64_t calls[PS_FAMILY_COUNT][PS_OUTCOME_COUNT];
    uint64_t served_bytes_read, served_bytes_written; // bytes moved by the shim
    uint64_t passed_bytes_read, passed_bytes_written; // bytes moved by the kernel for calls passed on
    uint64_t faults;                                  // SIGBUS and SIGSEGV survived in a guarded copy
    uint64_t reserved[3];
};

// One thread's counters: its own cache lines.
struct ps_stats_shard {
    struct ps_stats_counters mounts[PS_STATS_MOUNTS];
};

struct ps_stats_mount {
    char path[PS_STATS_PATH]; // mount point or served directory, NUL-terminated, cut where longer
    uint32_t backing;         // enum ps_backing
    uint32_t reserved;
    uint64_t windows;         // mapped now
    uint64_t mapped_bytes;    // address space of those windows
    uint64_t windows_total;   // mapped since the process began
    uint64_t reserved2[3];
};

enum ps_stats_state { PS_STATS_FREE = 0, PS_STATS_LIVE = 1, PS_STATS_FOLDING = 2 };

struct ps_stats_record {
    uint32_t state; // atomic; enum ps_stats_state in the low 2 bits; above them, while FOLDING, the claimant's pid
    int32_t pid;
    uint64_t start_time;   // field 22 of /proc/PID/stat: clock ticks after boot; tells a reused pid
    uint64_t claimed_ns;   // CLOCK_REALTIME at the claim, ns
    uint32_t superseded;   // 1: the same process has claimed a newer record (after exec): this one has ended
    uint32_t mount_count;  // at most PS_STATS_MOUNTS
    char command[16];      // comm, NUL-terminated
    char note[128];        // a bad PMEMSHIM_* value, or why the shim gave way; empty: all is well
    uint8_t reserved[80];
    struct ps_stats_mount mounts[PS_STATS_MOUNTS];
    uint64_t reserved2[4]; // shards begin on a cache line
    struct ps_stats_shard shards[PS_STATS_SHARDS];
    uint64_t reserved3[320]; // records begin on a page
};

struct ps_stats_ended {
    char path[PS_STATS_PATH]; // empty: unused
    uint32_t backing;
    uint32_t reserved;
    uint64_t processes;       // records folded into this line
    uint64_t reserved2[6];
    struct ps_stats_counters counters;
};

struct ps_stats_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size, record_size, record_count, ended_count;
    uint32_t reserved;
    uint64_t reserved2[508];
};

struct ps_stats_file {
    struct ps_stats_header header;
    struct ps_stats_ended ended[PS_STATS_ENDED];
    struct ps_stats_record records[PS_STATS_RECORDS];
};

_Static_assert(PS_OUTCOME_COUNT == 16 && PS_FAMILY_COUNT == 16, "the matrix is part of the layout");
_Static_assert(sizeof(struct ps_stats_counters) == 16 * 16 * 8 + 64, "counters");
_Static_assert(sizeof(struct ps_stats_shard) == 4 * sizeof(struct ps_stats_counters), "shard");
_Static_assert(offsetof(struct ps_stats_record, mounts) == 256, "record head");
_Static_assert(sizeof(struct ps_stats_header) == 4096, "header");
_Static_assert(sizeof(struct ps_stats_record) == 139264, "records start on pages");
_Static_assert(offsetof(struct ps_stats_record, shards) == 1536, "shards start on cache lines");
_Static_assert(sizeof(struct ps_stats_ended) == 2432, "ended");
_Static_assert(sizeof(struct ps_stats_file) == 71462912, "file");

#endif
