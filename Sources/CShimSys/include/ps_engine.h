// What the C face (ShimC) asks of the engine (PmemShim, Swift). Everything here is async-signal-safe, allocates
// nothing and may be called before the constructor has run (it then does nothing, or says PS_PASS_ON).
//
// Convention: results are those of the raw system call: >= 0, or -errno. PS_PASS_ON: the engine has done nothing
// that the caller must undo; run the next libc symbol, unchanged.
#ifndef PS_ENGINE_H
#define PS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ps_stats.h"

#define PS_PASS_ON INT64_MIN
// The same, from ps_engine_write only: hints and figures are set already, as if all bytes will have moved. Say so with
// ps_engine_fell_short if they have not; otherwise nothing more is to be done.
#define PS_PASS_ON_SETTLED (INT64_MIN + 1)

// The name under which Swift implements the function.
#define PS_NAMED(name) __attribute__((swift_name(name)))

// ---- data calls ----------------------------------------------------------------------------------------------
// `family` says for which line of the statistics the call counts.
// pread as a whole, its cancellation point and errno included. At random over a large file a served call waits for
// memory, and the fewer stores and loads it has, the more such calls the processor works on at once: so nothing is kept
// for a second half, and where the fast way declines, the arguments go on from where they are.
int64_t ps_engine_fast_pread(int fd, void *_Nullable buffer, size_t count, int64_t offset)
    PS_NAMED("engineFastPread(fd:buffer:count:offset:)");
// The face's: gives the caller what the engine has answered, or makes the call by the next libc symbol. Not there in
// tests of the engine alone, which do not use ps_engine_fast_pread.
int64_t ps_face_end_pread(int fd, void *_Nullable buffer, size_t count, int64_t offset, int64_t served)
    __attribute__((weak, visibility("hidden")));
// The general way alone; PS_PASS_ON: the next libc symbol must make the call.
int64_t ps_engine_general_pread(int fd, void *_Nullable buffer, size_t count, int64_t offset)
    PS_NAMED("engineGeneralPread(fd:buffer:count:offset:)");
int64_t ps_engine_read(int fd, void *_Nullable buffer, size_t count)
    PS_NAMED("engineRead(fd:buffer:count:)");
int64_t ps_engine_pwrite(int fd, const void *_Nullable buffer, size_t count, int64_t offset)
    PS_NAMED("enginePwrite(fd:buffer:count:offset:)");
int64_t ps_engine_write(int fd, const void *_Nullable buffer, size_t count)
    PS_NAMED("engineWrite(fd:buffer:count:)");
// offset -1: the current one. `flags`: RWF_*; only RWF_HIPRI is served.
int64_t ps_engine_readv(int fd, const struct iovec *_Nullable vector, int count, int64_t offset, int flags,
                        bool positioned)
    PS_NAMED("engineReadv(fd:vector:count:offset:flags:positioned:)");
int64_t ps_engine_writev(int fd, const struct iovec *_Nullable vector, int count, int64_t offset, int flags,
                         bool positioned)
    PS_NAMED("engineWritev(fd:vector:count:offset:flags:positioned:)");
// After a data call that was passed on: what the kernel answered (>= 0, or -errno), so that hints follow.
// Only where `pending` in the thread's state asks for it (ps_thread.h): the face looks before it calls.
void ps_engine_passed_on(int fd, enum ps_family family, int64_t result)
    PS_NAMED("enginePassedOn(fd:family:result:)");

// After PS_PASS_ON_SETTLED, when the kernel moved other than `count` bytes (`result`: or -errno).
void ps_engine_fell_short(int fd, size_t count, int64_t result)
    PS_NAMED("engineFellShort(fd:count:result:)");
// Before the process ends: what is tallied with descriptors goes into the figures.
void ps_engine_settle(void)
    PS_NAMED("engineSettle()");

// ---- sync family: 0, or PS_PASS_ON ----------------------------------------------------------------------------
int64_t ps_engine_sync(int fd, enum ps_family family)
    PS_NAMED("engineSync(fd:family:)");

// ---- the application's own mappings ---------------------------------------------------------------------------
// Whether any file may be on DAX: no look at a file is needed otherwise. From ps_engine_note_dax on.
bool ps_engine_may_have_dax(void)
    PS_NAMED("engineMayHaveDAX()");
void ps_engine_note_dax(void)
    PS_NAMED("engineNoteDAX()");
// Before `fd` is mapped shared, for writing. If it is on DAX: from now on no sync of its inode is left out, since
// stores are not seen; and how many bytes of [offset, offset + length), from its start, lie in whole written pages: a
// mapping of them with MAP_SYNC costs nothing. `statistics` is then set, for ps_engine_count_msync. Else 0.
size_t ps_engine_map_shared(int fd, int64_t offset, size_t length, int *_Nonnull statistics)
    PS_NAMED("engineMapShared(fd:offset:length:statistics:)");
// One msync served.
void ps_engine_count_msync(int statistics)
    PS_NAMED("engineCountMsync(statistics:)");

// ---- descriptors ---------------------------------------------------------------------------------------------
// Forget `fd` (any value; out of range is ignored). Before a close: also drops the window that pins fd's description
// or swaps it onto another descriptor of the inode. After a call that returned a new descriptor: the same.
void ps_engine_evict(int fd)
    PS_NAMED("engineEvict(fd:)");
// Forget `fd` before a call that gives it to another description in one step (dup2), and let nobody learn it until
// ps_engine_evict, which must follow whatever the call returns. Waits for reads and writes of other threads that have
// moved the old description's offset: at most about 100 ms.
void ps_engine_bar(int fd)
    PS_NAMED("engineBar(fd:)");
// The same as ps_engine_evict for first...last, both included (last may be ~0u).
void ps_engine_evict_range(unsigned first, unsigned last)
    PS_NAMED("engineEvictRange(first:last:)");
// Before fcntl(fd, F_SETFL, flags): whether it may change O_APPEND, O_DIRECT or O_NOATIME of what is ours.
bool ps_engine_changes_flags(int fd, int flags)
    PS_NAMED("engineChangesFlags(fd:flags:)");
// Forget every descriptor (F_SETFL that changes O_APPEND, O_DIRECT or O_NOATIME: dup'ed descriptors share the flags).
void ps_engine_evict_all(void)
    PS_NAMED("engineEvictAll()");

// ---- files ---------------------------------------------------------------------------------------------------
// After a call on `fd` that may have changed size or holes has returned (whatever it returned): learn them again.
void ps_engine_resized(int fd)
    PS_NAMED("engineResized(fd:)");
// The same of ftruncate, fallocate and kin, which may have made holes in [from, to), bytes.
void ps_engine_emptied(int fd, int64_t from, int64_t to)
    PS_NAMED("engineEmptied(fd:from:to:)");
// After a call on `fd` has resized the file as it was asked to: to `size` bytes, or, not `is_exact`, at least to that
// many, without a hole from `start` on. False: that says too little, and ps_engine_emptied must follow.
bool ps_engine_resized_to(int fd, int64_t start, int64_t size, bool is_exact)
    PS_NAMED("engineResizedTo(fd:start:size:isExact:)");
// The same by path (truncate): forgets what is known of the inode's size, if it is a known one.
void ps_engine_resized_path(const char *_Nullable path)
    PS_NAMED("engineResizedPath(path:)");
// Counts a call of a family that always goes to the kernel (mmap, copy, resize), if fd is ours.
void ps_engine_count(int fd, enum ps_family family)
    PS_NAMED("engineCount(fd:family:)");

// ---- copies inside the kernel ---------------------------------------------------------------------------------
// Whether a call that writes to `fd` inside the kernel may meet a served write: `fd` is ours, and there is more than
// one thread.
bool ps_engine_must_be_alone(int fd)
    PS_NAMED("engineMustBeAlone(fd:)");
// What such a call holds from its begin to its end; `call` is 0 where it could not have the stripes.
struct ps_alone {
    uintptr_t call, inode;
};
// `frame`: ps_frame() of the function that makes the call, which is called by a function of ours.
void ps_engine_begin_copy(int fd, uintptr_t frame, struct ps_alone *_Nonnull alone)
    PS_NAMED("engineBeginCopy(fd:frame:alone:)");
void ps_engine_end_copy(const struct ps_alone *_Nonnull alone)
    PS_NAMED("engineEndCopy(alone:)");

// ---- giving way ----------------------------------------------------------------------------------------------
enum ps_give_way {
    PS_GIVE_WAY_MLOCKALL = 1,     // MCL_FUTURE or MCL_CURRENT in force; munlockall resumes
    PS_GIVE_WAY_SECCOMP = 2,      // for good
    PS_GIVE_WAY_UNSHARE_FILES = 4, // for good: threads' descriptor tables differ
    PS_GIVE_WAY_ADDRESS_SPACE = 8, // RLIMIT_AS is set; lifted when it is RLIM_INFINITY again
    PS_GIVE_WAY_FILE_SIZE = 16,    // RLIMIT_FSIZE is set: writes only are passed on
};
// Before the call that makes it necessary: drops all windows, forgets all descriptors, maps no more.
void ps_engine_give_way(enum ps_give_way reason)
    PS_NAMED("engineGiveWay(reason:)");
void ps_engine_resume(enum ps_give_way reason)
    PS_NAMED("engineResume(reason:)");

// ---- log -----------------------------------------------------------------------------------------------------
// One line to PMEMSHIM_LOG, if asked for: each `bit` (below 32) once per process.
void ps_engine_log_once(unsigned bit, const char *_Nonnull text)
    PS_NAMED("engineLogOnce(bit:text:)");

// ---- life ----------------------------------------------------------------------------------------------------
// From ShimC's constructor, once, with the environment block as it is then.
void ps_engine_start(char *_Nullable const *_Nullable environment)
    PS_NAMED("engineStart(environment:)");
// Whether `address` lies in a window of ours. For the signal handler: looks at all of them.
bool ps_engine_is_window(uintptr_t address)
    PS_NAMED("engineIsWindow(address:)");
// True once the first window has been mapped in this process: from then on SIGBUS and SIGSEGV are virtualised.
bool ps_engine_windows_exist(void)
    PS_NAMED("engineWindowsExist()");

#endif
