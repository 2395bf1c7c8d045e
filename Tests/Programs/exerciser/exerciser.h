// The differential exerciser: one sequence of file operations, executed step by step in a served and in an unserved
// directory, and compared after every step. docs/exerciser.md tells how it is run and read.
//
// A sequence is data: an array of `struct op`. Offsets and lengths in it are relative to what the file looks like when
// the step is reached ("17 bytes before the end"), and are resolved against the reference side, so any subsequence of
// a sequence is again a sensible sequence. That is what makes shortening work.
#ifndef EXERCISER_H
#define EXERCISER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#define SLOTS 8    // open descriptors under test
#define NAMES 10   // file names under test; the last one lies outside the served tree where --outside is given
#define MAPS 4     // mappings made by the exerciser itself
#define STREAMS 3  // stdio streams
#define SLOT_MINUS_ONE SLOTS         // a slot that always means descriptor -1
#define SLOT_UNUSED (SLOTS + 1)      // a slot that always means a descriptor number nobody has opened
#define PAGE 4096
#define MARGIN 64  // bytes around a buffer that must stay as they were
#define MAX_KINDS 128

// ---- operations as data

enum anchor { AT_ZERO, AT_END, AT_CURRENT, AT_LAST_PAGE, AT_MIDDLE, AT_EXACT, ANCHOR_COUNT };

// Where a buffer lies, and what is wrong with it.
enum fault { FAULT_NONE, FAULT_HALF, FAULT_WHOLE, FAULT_NULL, FAULT_NEGATIVE, FAULT_GIANT, FAULT_COUNT };
#define ALIGN_EDGE 255 // the buffer ends exactly where a PROT_NONE page begins

struct op {
    uint8_t kind, choice, slot, other, name, to, map, stream, variant;
    uint8_t align, fault, shape;
    uint8_t anchor, anchor2;
    uint8_t length_to_end; // length counts from the end of file: "up to one byte past it"
    uint32_t pattern;      // seed of the bytes written
    int64_t delta, delta2, length;
};

// What a sequence does beyond one thread of one undisturbed process. Each is a group of kinds of its own.
enum mode {
    MODE_THREADS = 1 << 0,    // other threads, signal handlers, and several at once
    MODE_FORK = 1 << 1,       // several processes, by turns
    MODE_EXEC = 1 << 2,       // the program replaced by itself
    MODE_KILL = 1 << 3,       // processes killed by -9 between operations and within one
    MODE_TRUNCATION = 1 << 4, // files cut and punched by another process during operations
    MODE_FAULTS = 1 << 5,     // memory, space, signals and system calls taken away
    MODE_JUMPS = 1 << 6,      // masks put back by jumps and contexts, with the two signals in them
    MODE_VECTORS = 1 << 7,    // vectors that lie in what they transfer
    MODE_COUNTS = 1 << 8,     // more in one call than the kernel moves
    MODE_HANDLES = 1 << 9,    // functions taken from libc by dlsym
    MODE_RUNTIME = 1 << 10,   // the shim's own files damaged
    MODE_HUGE = 1 << 11,      // huge pages that come and go
    MODE_SEALS = 1 << 12,     // files in memory that are sealed
    MODE_SYNC = 1 << 13,      // writes that become synchronous
    MODE_AIO = 1 << 14,       // asynchronous input and output
    MODES_ALL = (1 << 15) - 1,
};

struct sequence {
    uint64_t seed;
    bool huge;   // files of several MiB that cross 2 MiB borders
    unsigned modes;
    struct op *ops;
    size_t count;
};

enum field {
    SLOT = 1 << 0, OTHER = 1 << 1, NAME = 1 << 2, TO = 1 << 3, MAP = 1 << 4, STREAM = 1 << 5, VARIANT = 1 << 6,
    BUFFER = 1 << 7, SHAPE = 1 << 8, OFFSET = 1 << 9, OFFSET2 = 1 << 10, LENGTH = 1 << 11, CHOICE = 1 << 12,
};

enum trait {
    EXTENDS = 1 << 0,    // may make the file longer: kept below the limit of the sequence
    IMPLICIT = 1 << 1,   // at the descriptor's own offset
    BY_NAME = 1 << 2,    // acts on a name, not on a descriptor
    IN_MAPPING = 1 << 3, // offset and length lie inside a mapping
    OUTSIDE = 1 << 4,    // done by the second process, which has no shim
    ONCE = 1 << 5,       // acts on the whole process: done once, not once per side
    FILLS = 1 << 6,      // the buffer is filled with the pattern beforehand; otherwise with a constant
    LONG_READ = 1 << 7,  // may be given a length far larger than its buffer
    BY_STREAM = 1 << 8,
    UNTIMED = 1 << 9,    // the kernel itself moves times at moments of its own choice (mapped stores, stdio buffers)
    CHECKS = 1 << 10,    // compares everything; always the last step too
    UNSEEN = 1 << 12,    // may make holes that no shim in this process sees: another process, libc's own writes
    TOUCHES = 1 << 11,   // loads or stores in its buffer itself, which therefore must be good
    CONTROL = 1 << 13,   // decides which process goes on: done once, and it may be another one that returns
    BESIDE = 1 << 14,    // the second process does its part of it at the same time
    RESTRICTS = 1 << 15, // takes something away until its first choice gives it back: done soon
};

struct choice {
    const char *text;
    int value;
    int weight;
};

// A step as it was resolved: concrete numbers, the same for both sides.
struct place {
    int64_t offset, offset2;
    size_t length;
    int64_t size;     // of the file acted on, before the step; 0 if there is none
    int64_t position; // where data will be read or written; -1 if the step moves no data
    int value;        // of the choice
    bool skip;        // would leave the limits of the sequence, or has no defined result
};

struct result {
    int64_t ret;
    int err;     // errno where ret < 0
    int signal;  // SIGBUS or SIGSEGV met in a mapping
    int64_t extra;
    uint64_t hash; // of bytes that only the second process has
    bool skipped;  // was not possible after all
    const char *wrong; // found wrong by the operation itself, which has no reference for it; NULL: nothing
    const unsigned char *bytes; // buffer and its surroundings
    size_t bytes_length;
};

struct side;
typedef void run_fn(struct side *side, const struct op *op, const struct place *place, struct result *result);

struct kind {
    const char *name;
    int weight;
    unsigned fields, traits;
    const struct choice *choices; // ends with text == NULL
    run_fn *run;
};

// Kinds come in groups; a further mode is a further group.
struct group {
    const char *name;
    const struct kind *kinds;
    size_t count;
};

extern const struct group data_group, descriptor_group, name_group, size_group, map_group, stdio_group, lock_group,
    process_group, outside_group, thread_group, fork_group, exec_group, kill_group, truncation_group, fault_group,
    jump_group, vector_group, count_group, handle_group, runtime_group, huge_group, seal_group, sync_group,
    aio_group;

const struct kind *kind_of(const struct op *op);
const struct kind *kind_at(size_t index); // NULL past the last one
int kind_named(const char *name);         // -1 if there is none
unsigned kind_mode(size_t index);         // the mode it belongs to; 0 for those that are always there
bool kind_is(const struct kind *kind, const char *name); // it, or the same call by handle

// ---- text form (text.c)

void op_print(FILE *out, const struct op *op);
bool op_parse(const char *line, struct op *op);
bool modes_parse(const char *text, unsigned *modes); // "fork,exec", "all", "none"
void modes_print(FILE *out, unsigned modes);
bool sequence_save(FILE *out, const struct sequence *sequence);
bool sequence_load(FILE *in, struct sequence *sequence); // says on stderr what is wrong

// ---- generation (generate.c)

uint64_t random_next(uint64_t *state);
void sequence_generate(struct sequence *sequence, uint64_t seed, size_t count, bool huge, unsigned modes);

// ---- the two sides

// One of the requests that are begun together.
struct aio_part {
    int fd;
    unsigned char *buffer;
    size_t length;
    int64_t offset;
    int64_t result; // bytes moved, or -errno
};

long plain_aio(int way, bool writes, struct aio_part *parts, int count);

// System calls as the program under test makes them (libc, which the preload serves) and past every preload (raw).
struct calls {
    long (*read)(int variant, int fd, void *buffer, size_t count);
    long (*write)(int variant, int fd, const void *buffer, size_t count);
    long (*pread)(int variant, int fd, void *buffer, size_t count, off_t offset);
    long (*pwrite)(int variant, int fd, const void *buffer, size_t count, off_t offset);
    long (*readv)(int variant, int fd, const struct iovec *vectors, int count);
    long (*writev)(int variant, int fd, const struct iovec *vectors, int count);
    long (*preadv)(int variant, int fd, const struct iovec *vectors, int count, off_t offset);
    long (*pwritev)(int variant, int fd, const struct iovec *vectors, int count, off_t offset);
    long (*preadv2)(int variant, int fd, const struct iovec *vectors, int count, off_t offset, int flags);
    long (*pwritev2)(int variant, int fd, const struct iovec *vectors, int count, off_t offset, int flags);
    long (*lseek)(int variant, int fd, off_t offset, int whence);
    long (*ftruncate)(int variant, int fd, off_t length);
    long (*truncate)(int variant, const char *path, off_t length);
    long (*fallocate)(int variant, int fd, int mode, off_t offset, off_t length);
    long (*copy_file_range)(int in, off_t *in_offset, int out, off_t *out_offset, size_t count);
    long (*sendfile)(int variant, int out, int in, off_t *offset, size_t count);
    long (*splice)(int in, off_t *in_offset, int out, off_t *out_offset, size_t count);
    long (*fsync)(int fd);
    long (*fdatasync)(int fd);
    long (*sync_file_range)(int fd, off_t offset, off_t length, unsigned flags);
    long (*open)(int variant, int directory, const char *path, int flags, mode_t mode);
    long (*close)(int variant, int fd);
    long (*dup)(int fd);
    long (*dup2)(int fd, int target);
    long (*dup3)(int fd, int target, int flags);
    long (*fcntl)(int variant, int fd, int command, long argument);
    long (*pipe2)(int *ends, int flags);
    long (*memfd_create)(const char *name, unsigned flags);
    void *(*mmap)(int variant, size_t length, int protection, int flags, int fd, off_t offset);
    long (*munmap)(void *address, size_t length);
    long (*aio)(int way, bool writes, struct aio_part *parts, int count); // 0: each part has a result
    long (*msync)(void *address, size_t length, int flags);
    const struct calls *by_handle; // the same, each function as dlsym or dlvsym gives it (handles.c)
};

extern const struct calls libc_calls, handle_calls, raw_calls;
struct rlimit;
long handle_setrlimit(int resource, const struct rlimit *limit);
long handle_mlockall(int flags); // 0: munlockall
extern int handle_way; // which way handle_calls that have no variant look their function up

struct mapping {
    unsigned char *address;
    size_t length;
    int64_t offset; // in the file
    int protection;
    bool shared;
    dev_t device;
    ino_t inode;
};

struct side {
    const struct calls *calls;
    const char *label;
    char directory[512], outside[512];
    int directory_fd;
    int fd[SLOTS];
    struct mapping map[MAPS];
    FILE *stream[STREAMS];
    int direction[STREAMS]; // of the last transfer: 1 in, 2 out; C wants a seek or flush in between
    unsigned char *arena; // ends where as much PROT_NONE begins
    size_t arena_size;
    int64_t limit; // no file grows past it
    bool strict;   // ordinary tmpfs: also bytes past the end of file are well defined
    bool holes;    // and so are allocated blocks, as long as the shim could see every hole come into being
    bool seeks;    // and so are SEEK_DATA and SEEK_HOLE, as long as nothing was set aside unwritten
    bool huge_pages; // tmpfs mounted with huge=
    bool memory;     // tmpfs of any kind
    int letters[2];  // a pair of sockets in which descriptors are sent and received
    bool alone;      // on a small file system of its own, which may be filled
    bool own_mount;  // on one that may be mounted anew with other options
};

bool side_prepare(struct side *side, const struct calls *calls, const char *label, const char *directory,
                  const char *outside, bool huge, bool create);
void side_close_all(struct side *side);
bool side_file_system(struct side *side, const char *directory); // what holds without any of its files
void side_loosen(struct side *side); // huge pages may be met from here on: what they leave open is compared no more
// Into the slot, in place of what was there: the descriptor, or the error, as open gives it (ops_descriptor.c).
void slot_take(struct side *side, unsigned slot, long fd, struct result *result);
bool sides_alone(const struct side *a, const struct side *b); // on two small file systems, which may be filled
bool letters_make(struct side *side);
int side_fd(const struct side *side, unsigned slot);
int side_flags(const struct side *side, int flags); // as far as they have a defined outcome there
void side_path(const struct side *side, unsigned name, unsigned variant, char *out, size_t size);
// The names of an operation that has two.
struct two_paths {
    char from[1024], to[1024];
};
void side_two_paths(const struct side *side, const struct op *op, unsigned variant, struct two_paths *paths);
unsigned char *side_buffer(struct side *side, const struct op *op, size_t length, struct result *result);
void pattern_fill(unsigned char *bytes, size_t length, uint32_t pattern);
void result_set(struct result *result, int64_t ret);
bool slot_stat(const struct side *side, unsigned slot, struct stat *status);
bool name_stat(const struct side *side, unsigned name, struct stat *status);

bool place_resolve(const struct side *reference, const struct op *op, struct place *place);

// Runs `body` with SIGBUS and SIGSEGV caught; returns the signal, or 0.
int guarded(void (*body)(void *), void *argument);
void guards_install(void);

// Copies forward byte by byte, so that both sides stop at the same byte when a page faults.
size_t copy_forward(volatile unsigned char *to, const volatile unsigned char *from, size_t length,
                    volatile size_t *progress);

// Copies forwards, with faults caught: returns the signal, or 0; `*done` becomes the number of bytes copied.
int copy_guarded(unsigned char *to, const unsigned char *from, size_t length, int64_t *done);

// ---- the second process (helper.c, outside.c)

struct helper {
    int to, from;
    pid_t pid;
};

bool helper_start(struct helper *helper, const struct side *served, const struct side *reference, bool huge);
bool helper_run(struct helper *helper, int side, const struct op *op, const struct place *place,
                struct result *result);
// The second process's part of an operation that both do at once; helper_end waits for it.
bool helper_begin(struct helper *helper, int side, const struct op *op, const struct place *place);
bool helper_end(struct helper *helper, struct result *result);
bool helper_compare(struct helper *helper, char *message, size_t size); // false: differs, see message
// It ends when all processes under test have.
int helper_main(int argc, char **argv);
extern bool in_helper; // this is the second process
bool directories_compare(const struct side *a, const struct side *b, char *message, size_t size);

// ---- running (run.c, compare.c), supervising (supervise.c), shortening (minimise.c)

// ---- processes under test (actors.c): they take turns, so that the order of operations stays that of the sequence

#define ACTORS 5

struct actors {
    struct {
        _Atomic int32_t pid;   // 0: no such process now
        _Atomic uint32_t ended; // may end now: by itself at its end, or killed on purpose
    } list[ACTORS];
    _Atomic uint32_t holder; // whose turn it is
    int32_t leaving;         // whoever goes on first waits for the end of this one; 0 none
};

// Lives in memory shared by the supervisor and all processes under test: true also after a crash.
struct report {
    uint32_t step; // about to be executed, or being executed
    uint32_t next; // after it
    _Atomic uint32_t differs;
    _Atomic uint32_t done; // to the end, by all processes
    uint32_t actor;        // that was at it
    int32_t supervisor;
    struct actors actors;
    _Atomic uint64_t scratch[8]; // between an operation and the child it makes
    _Atomic uint32_t loosened; // huge pages may be met (side_loosen), by all processes
    uint64_t counts[MAX_KINDS], successes[MAX_KINDS], skipped;
    char message[4096];
};

enum { STATUS_EQUAL = 0, STATUS_DIFFERS = 1, STATUS_USAGE = 2 };

struct options {
    uint64_t seed;
    size_t operations, sequences;
    const char *served, *reference, *outside, *load, *save;
    const char *runtime; // the shim's runtime directory, which may be damaged
    bool huge, minimise, times, trace, print, libc_reference, quiet, own_mount;
    bool beside; // another program opens the files now and then
    unsigned modes;
    int tries, timeout, minimise_seconds, resume, seconds;
};

int run_sequence(const struct options *options, const struct sequence *sequence, struct report *report);

// Descriptors of the exerciser's own that outlive exec.
#define SEQUENCE_FD 3
#define REPORT_FD 4

struct comparison {
    struct side *served, *reference;
    struct helper *helper;
    struct report *report;
    bool times;
    bool unseen; // another process has been at the files
    const struct options *options;
    const struct sequence *sequence;
};

extern struct comparison *running; // the one of this process
extern char **own_arguments;       // main's argv

int run_on(struct comparison *comparison); // from report->next to the end, the last comparison included

extern unsigned actor_self; // index in actors.list
bool actors_others(void);   // is another one alive?
int actors_pick(unsigned which); // one of the others; -1 if there is none
int actors_free(void);           // an index without a process; -1 if all are taken
void actors_enter(unsigned index); // this process is from now on the one of this index
void actors_give(unsigned to);     // the turn
void actors_wait(void);            // for the turn, and for the end of the one that is leaving
void actors_expect_end(unsigned index);
void await_end(pid_t pid); // until all its descriptors are closed

// ---- where in the process an operation runs (context.c)

enum handler_kind { HANDLER_NONE, HANDLER_PLAIN, HANDLER_ALL_BLOCKED, HANDLER_OTHER_STACK };

struct context {
    unsigned worker; // 0: the thread of the loop itself
    enum handler_kind handler; // the next operation that can runs in a signal handler
    bool in_handler;
    int blocked[4];     // by worker: 1 SIGBUS, 2 SIGSEGV, 4 SIGUSR1
    bool memory_limited, memory_locked, maps_refused, maps_kill, space_limited;
    bool jumped; // the mask of the thread that runs now is one that a jump put back
};

extern struct context context;
#define WORKERS 3 // besides the loop's own thread

void context_run(const struct op *op, void (*body)(void *), void *argument);
bool context_workers_start(void); // all of them; false: the memory is not there
bool context_has_workers(void);
void context_forked(void);        // in a child: the other threads are gone, this one is now the loop's
bool context_forbids(const struct op *op);
bool context_file_limited(void); // by RLIMIT_FSIZE
bool context_block(int signals, unsigned how); // in the thread that runs now

// ---- jumps back to the loop (ops_jump.c), which must itself call sigsetjmp

extern sigjmp_buf home_buffer;
bool home_wanted(void);  // the loop is to come to be a place to jump to; its mask is now what will be put back
void home_made(void);    // it has: the mask is again what it was
const char *home_go(void); // jumps there if it is time to; when it has jumped, what is wrong, else NULL
void home_lost(void);    // another frame is the loop's from here on

void resume_save_and_exec(struct comparison *comparison, int how, struct result *result); // returns only if it failed
// In the image that exec started: everything but the report as it was. False: the state cannot be had.
bool resume_restore(int fd, struct comparison *comparison, const struct calls *const calls[2], bool huge);
int spawned_main(int argc, char **argv);

bool differs(struct comparison *comparison, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool compare_step(struct comparison *comparison, const struct op *op, const struct place *place,
                  const struct result *served, const struct result *reference);
bool compare_slots(struct comparison *comparison); // what the kernel says of every descriptor
bool compare_everything(struct comparison *comparison, const struct op *op);
bool compare_windows_gone(struct comparison *comparison);

// Moments of a step, for --times (times.c).
struct clocks {
    bool known;
    ino_t inode[2];
    struct timespec modified[2], changed[2], began;
};

void clocks_before(struct comparison *comparison, const struct op *op, struct clocks *clocks);
bool clocks_after(struct comparison *comparison, const struct op *op, const struct clocks *clocks);

int supervise(const struct options *options);
// Runs the sequence in fresh directories, in a fresh process. True: it ran to its end without a difference.
bool supervise_once(const struct options *options, const struct sequence *sequence, bool trace, struct report *report);
void sequence_minimise(const struct options *options, struct sequence *sequence, struct report *report);

void runtime_clear(const char *directory); // the shim's files there (ops_runtime.c)

// ---- file systems mounted anew with other options (mounts.c)

bool mount_set_huge(const char *directory, const char *setting);
bool mount_set_synchronous(const char *directory, bool synchronous);
void mounts_note(const struct options *options);
void mounts_restore(const struct options *options, const struct sequence *sequence);

// ---- proof that the exerciser can fail (sabotage.c)

struct defect {
    const char *name, *what;
    struct calls wrong; // those that are
};

// The named defect over `calls`, or NULL if there is none of this name.
const struct calls *sabotage(const struct calls *calls, const char *name);
void sabotage_list(FILE *out);
extern const struct calls *real; // what a defect is over
// Those that only one of the modes shows (sabotage_modes.c).
extern const struct defect mode_defects[];
extern const size_t mode_defect_count;
extern const struct defect way_defects[]; // of the later modes (sabotage_ways.c)
extern const size_t way_defect_count;
extern const struct defect change_defects[]; // of what changes after it was learnt (sabotage_changes.c)
extern const size_t change_defect_count;
extern bool was_resumed; // this image was started by exec in the middle of a sequence

#endif
