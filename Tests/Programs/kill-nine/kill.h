// kill-nine: programs that write are killed by SIGKILL at random points; what they had acknowledged must be in the
// files.
//
// Two roles in one program. The supervisor never runs under the shim: it starts workers (under the preload where a
// library is given), kills them, and compares the files with the ledger. Workers write and, only after a call has
// returned, acknowledge in the ledger: shared memory (memfd) that no kill can take back and that lies in no mount.
//
// A *lane* is one sequence of writes: a process, a thread or a forked child. Lanes share files and pages, even cache
// lines, but no bytes: each slot and each record has one lane, so what a byte must be is always known exactly.
#ifndef KILL_NINE_H
#define KILL_NINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LANES 4
#define SLOT_FILES 2
#define SLOTS 4096        /* at most, in all files together */
#define RECORDS 1024      /* at most, of one lane in one log */
#define LONGEST (192 << 10)
#define SMALL 512         /* below this a write must not be torn */
#define PAGE 4096l
// Larger than two huge pages: of a tmpfs with those the last 2 MiB are the kernel's. Not a whole number of pages.
#define SLOT_FILE_SIZE ((6l << 20) + 777)
#define SHARED_LOG_SIZE ((5l << 20) + 333)

enum topology { SINGLE, THREADS, SEVERAL, FAMILY, TOPOLOGIES };
enum log_kind {
    LOG_APPEND, // one file, every lane with O_APPEND
    LOG_OWN,    // a file for each lane, made longer at the implicit offset
    LOG_SHARED, // one description, inherited over fork: one offset that all advance, inside the file as it was made
    LOGS
};
enum sabotage { SABOTAGE_NONE, ACKNOWLEDGE_EARLY, SPLIT_SMALL, LOSE_SOME, HOLD_LOCK, SABOTAGES };

extern const char *const topology_names[TOPOLOGIES];
extern const char *const sabotage_names[SABOTAGES];

// ---- the plan: what is where, and every byte that can ever be written, from the seed alone --------------------------
struct slot {
    int file, lane;
    long offset, length;
};

struct plan {
    uint64_t seed;
    enum topology topology;
    int lanes, slots;
    struct slot slot[SLOTS];
};

struct record_head {
    uint64_t magic;
    uint32_t lane, number;
    uint64_t length;
};
#define RECORD_MAGIC 0x3d6b2f8e71c5a94bull

uint64_t mix(uint64_t value);
// A number below `bound`; `state` moves on.
uint64_t below(uint64_t *state, uint64_t bound);
void make_plan(struct plan *plan, uint64_t seed, enum topology topology);
// The bytes of a slot in its so-manieth version; 0 is what the supervisor makes the file of.
void slot_bytes(const struct plan *plan, int slot, uint32_t version, void *bytes);
long record_length(const struct plan *plan, enum log_kind log, int lane, uint32_t number);
void record_bytes(const struct plan *plan, enum log_kind log, int lane, uint32_t number, void *bytes);
// What a log holds where nothing has been written.
void background(const struct plan *plan, long offset, long count, void *bytes);
void slot_path(char *path, size_t size, const char *directory, int file);
void log_path(char *path, size_t size, const char *directory, enum log_kind log, int lane);

// ---- the ledger --------------------------------------------------------------------------------------------------
struct lane_ledger {
    _Atomic pid_t pid;              // whoever works on the lane
    _Atomic uint32_t life;          // how often it has been started: its random numbers depend on it
    _Atomic bool wanted;            // family: the parent is to fork a child for the lane
    _Atomic uint64_t acknowledged;  // writes, also those of earlier lives
    _Atomic uint64_t operations;    // of any kind: progress
    _Atomic uint64_t wrong_reads;
    char complaint[160];
    _Atomic uint32_t next[LOGS];    // number of the next record: those below have been begun
    _Atomic uint8_t recorded[LOGS][RECORDS];
};

struct slot_ledger {
    _Atomic uint32_t begun, acknowledged; // versions
};

struct ledger {
    struct plan plan;
    pid_t supervisor;
    enum sabotage sabotage;
    char directory[512];
    _Atomic pid_t lock; // only for HOLD_LOCK
    struct lane_ledger lane[LANES];
    struct slot_ledger slot[SLOTS];
};

// Where workers find it, and the pipe that stays open as long as any process of theirs lives.
#define LEDGER_DESCRIPTOR 199
#define LIFE_DESCRIPTOR 198

int worker(int lane);

// ---- verdicts -------------------------------------------------------------------------------------------------------
// Of the writes that were going on when their process was killed.
struct in_flight {
    long absent, whole;
    long at_page;  // a part, up to a page boundary, as the kernel leaves it
    long in_page;  // a part that ends inside a page
    long gap;      // the shared offset had moved on, the bytes had not come
};

struct verdict {
    long kills, starts, episodes;
    long acknowledged; // writes
    long checked;      // acknowledged writes that nothing later replaced, compared byte by byte
    long lost, torn, foreign, wrong_reads, hangs, failed, statistics;
    struct in_flight in_flight;
};

// Compares the slots of a lane that nobody works on; settles those that were in flight.
void check_slots(struct ledger *ledger, int lane, struct verdict *verdict);
// Compares all logs; nobody works any more.
void check_logs(struct ledger *ledger, struct verdict *verdict);
void make_files(const struct ledger *ledger);
// Says what is wrong, with the seed; not more than some lines in all.
void complain(const struct ledger *ledger, const char *format, ...) __attribute__((format(printf, 2, 3)));
void die(const char *what);

// ---- supervision --------------------------------------------------------------------------------------------------
struct settings {
    const char *directory, *library, *mounts, *runtime, *shimctl, *documents;
    uint64_t seed;
    long kills;
    long every;   // so many kills between two looks at the statistics
    int patience; // seconds without progress that are a hang
    enum sabotage sabotage;
    int only;   // one topology, or -1
    bool trace; // say who is killed after how much work
};

struct figures {
    uint64_t served_writes, passed_writes, served_reads, passed_reads;
    int live, notes;
};

void run_episode(const struct settings *settings, struct ledger *ledger, long kills, struct verdict *verdict);
// Whether `shimctl stats` answers; every answer is kept in settings->documents where that is given.
bool statistics_answer(const struct settings *settings);
// What all processes so far have counted. Nobody may be at work.
struct figures read_figures(const struct settings *settings);

#endif
