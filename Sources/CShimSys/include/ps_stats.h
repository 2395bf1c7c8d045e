// The statistics file: layout shared by the shim in every served process and by shimctl.
//
// One sparse file per user, PS_STATS_FILE_NAME in the runtime directory (PMEMSHIM_RUNTIME_DIR, else
// /dev/shm/pmemshim-<effective uid>, mode 0700; the file 0600). A file whose head is not that of this version is taken
// away and made anew: processes that still count in it go on doing so. It is soft: figures only, shared among processes
// of one user. Nobody may use a number from it as an index or a length without checking it, and anybody may scribble
// over it, cut it or remove it at any time; that costs figures, never correctness.
//
// A process counts in memory of its own until it has mapped its first window. Then it claims a record, and its threads
// count in the record's pages, which are mapped. Pages are allocated before they are mapped (fallocate); where somebody
// takes them away again, the handler of SIGBUS puts anonymous memory in their place (ps_soft_memory.h), and the process
// goes on counting for itself. All else is read and written by pread and pwrite, which fail instead of raising a
// signal. A process that ends by exit or _exit without ever having mapped a window claims a record only to leave its
// figures in it.
//
// Life of a record: FREE, then LIVE once a process has claimed it. A LIVE record whose process is gone (no such pid, or
// another start time), or whose process has claimed a newer one (exec), has ended. Its figures stay readable until a
// claimant needs its place: it is folded into `ended`, and taken over. Claimants take a free record only while fewer
// than PS_STATS_KEPT are in use or all others are alive. Once the file has PS_STATS_BYTES of memory, they fold ended
// ones until it has less, and get none where all are alive. Readers sum `ended` and every record that is LIVE. They
// read with POSIX_FADV_RANDOM: a disk file system else keeps a hole that was read as one large folio, and allocates
// all of it when a record's first page is written.
//
// `directory` says which records are in use, and by whom, in one page: who claims, folds or frees record i holds a
// write lock (F_OFD_SETLK, never waited for) on entry i meanwhile; who changes a line of `ended` holds one on that
// line. The kernel lets go of a lock when its holder is killed. A record is emptied before its figures are added to
// `ended`: who is killed between the two has lost them, and nothing is counted twice.
//
// No alignment attributes: Swift does not import over-aligned structs. Padding is spelt out and asserted instead.
#ifndef PS_STATS_H
#define PS_STATS_H

#include <stddef.h>
#include <stdint.h>

#define PS_STATS_MAGIC 0x31535441544d5350ull /* "PSMTATS1" as little-endian bytes */
#define PS_STATS_VERSION 2u
#define PS_STATS_FILE_NAME "stats"

enum ps_family {
    PS_FAMILY_READ, PS_FAMILY_PREAD, PS_FAMILY_READV, PS_FAMILY_PREADV,
    PS_FAMILY_WRITE, PS_FAMILY_PWRITE, PS_FAMILY_WRITEV, PS_FAMILY_PWRITEV,
    PS_FAMILY_FSYNC, PS_FAMILY_FDATASYNC, PS_FAMILY_SYNC_FILE_RANGE, PS_FAMILY_MSYNC,
    PS_FAMILY_MMAP, PS_FAMILY_COPY, PS_FAMILY_RESIZE,
    PS_FAMILY_OTHER, // no calls: see ps_stats_counters
    PS_FAMILY_COUNT
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
#define PS_STATS_KEPT 64       // ended records that stay readable before they are folded
#define PS_STATS_BYTES (4u << 20) // of memory, after which nobody claims or extends a record any more
#define PS_STATS_ENDED 64      // mounts with folded figures; the last one takes all further mounts
#define PS_STATS_PATH 256

// Counters of one mount in one thread. Cumulative, never reset while the record is LIVE.
struct ps_stats_counters {
    // The row PS_FAMILY_OTHER is no family's: its first number is how many bytes of files have come into windows.
    uint64_t calls[PS_FAMILY_COUNT][PS_OUTCOME_COUNT];
    uint64_t served_bytes_read, served_bytes_written; // bytes moved by the shim
    uint64_t passed_bytes_read, passed_bytes_written; // bytes moved by the kernel for calls passed on
    uint64_t faults;                                  // SIGBUS and SIGSEGV survived in a guarded copy
    // Windows mapped now, and bytes of their address space: what threads have added and taken away, so that only the
    // sum over a process's threads means something (modulo 2^64). Windows mapped since the process began.
    uint64_t windows, mapped_bytes, windows_total;
};

// One thread's counters: its own cache lines.
struct ps_stats_shard {
    struct ps_stats_counters mounts[PS_STATS_MOUNTS];
};

struct ps_stats_mount {
    char path[PS_STATS_PATH]; // mount point or served directory, NUL-terminated, cut where longer
    uint32_t backing;         // enum ps_backing
    uint32_t reserved;
    uint64_t reserved2[6];
};

enum ps_stats_state { PS_STATS_FREE = 0, PS_STATS_LIVE = 1 };

struct ps_stats_record {
    uint32_t state; // enum ps_stats_state
    int32_t pid;
    uint64_t start_time;   // field 22 of /proc/PID/stat: clock ticks after boot; tells a reused pid
    uint64_t claimed_ns;   // CLOCK_REALTIME at the claim, ns
    uint32_t superseded;   // 1: the same process has claimed a newer record (after exec): this one has ended
    uint32_t mount_count;  // at most PS_STATS_MOUNTS
    char command[16];      // comm, NUL-terminated
    char note[128];        // a bad PMEMSHIM_* value, or why the shim gave way; empty: all is well
    uint32_t shard_count;  // shards in use: later ones are holes
    char version[16];      // PS_VERSION of the library in that process, NUL-terminated; empty: before 0.2
    uint8_t reserved[60];
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

// Which records are in use, and by whom.
struct ps_stats_entry {
    uint32_t state; // enum ps_stats_state
    int32_t pid;
};

struct ps_stats_file {
    struct ps_stats_header header;
    struct ps_stats_entry directory[PS_STATS_RECORDS];
    struct ps_stats_ended ended[PS_STATS_ENDED];
    struct ps_stats_record records[PS_STATS_RECORDS];
};

// The same places as numbers of bytes, for those who read and write by pread and pwrite.
enum ps_stats_place {
    PS_STATS_AT_DIRECTORY = offsetof(struct ps_stats_file, directory),
    PS_STATS_AT_ENDED = offsetof(struct ps_stats_file, ended),
    PS_STATS_AT_RECORDS = offsetof(struct ps_stats_file, records),
    // Within a record.
    PS_STATS_AT_SUPERSEDED = offsetof(struct ps_stats_record, superseded),
    PS_STATS_AT_MOUNT_COUNT = offsetof(struct ps_stats_record, mount_count),
    PS_STATS_AT_NOTE = offsetof(struct ps_stats_record, note),
    PS_STATS_AT_SHARD_COUNT = offsetof(struct ps_stats_record, shard_count),
    PS_STATS_AT_MOUNTS = offsetof(struct ps_stats_record, mounts),
    PS_STATS_AT_SHARDS = offsetof(struct ps_stats_record, shards),
};

_Static_assert(PS_OUTCOME_COUNT == 16 && PS_FAMILY_COUNT == 16, "the matrix is part of the layout");
_Static_assert(sizeof(struct ps_stats_counters) == 16 * 16 * 8 + 64, "counters");
_Static_assert(sizeof(struct ps_stats_shard) == 4 * sizeof(struct ps_stats_counters), "shard");
_Static_assert(offsetof(struct ps_stats_record, mounts) == 256, "record head");
_Static_assert(sizeof(struct ps_stats_header) == 4096, "header");
_Static_assert(sizeof(struct ps_stats_record) == 139264, "records start on pages");
_Static_assert(offsetof(struct ps_stats_record, shards) == 1536, "shards start on cache lines");
_Static_assert(sizeof(struct ps_stats_ended) == 2432, "ended");
_Static_assert(offsetof(struct ps_stats_file, ended) == 8192, "the directory is one page");
_Static_assert(offsetof(struct ps_stats_file, records) % 4096 == 0, "records start on pages");
_Static_assert(sizeof(struct ps_stats_file) == 71467008, "file");

#endif
