// The one seam for system calls. Raw, so that no interposed libc symbol is entered (ours or another preload's), errno
// is untouched, and none of them is a cancellation point. Results are the kernel's: >= 0, or -errno.
#ifndef PS_SYS_H
#define PS_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#if !defined(__x86_64__)
#error "pmemshim is written for x86-64: system call ABI, guarded copies and memory ordering"
#endif

static inline long ps_sys_call6(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long ps_sys_call0(long number) { return ps_sys_call6(number, 0, 0, 0, 0, 0, 0); }
static inline long ps_sys_call1(long number, long a) { return ps_sys_call6(number, a, 0, 0, 0, 0, 0); }
static inline long ps_sys_call2(long number, long a, long b) { return ps_sys_call6(number, a, b, 0, 0, 0, 0); }
static inline long ps_sys_call3(long number, long a, long b, long c)
{
    return ps_sys_call6(number, a, b, c, 0, 0, 0);
}
static inline long ps_sys_call4(long number, long a, long b, long c, long d)
{
    return ps_sys_call6(number, a, b, c, d, 0, 0);
}

// What one statx of an open description tells. Fields the file system does not report are 0.
struct ps_file_facts {
    uint64_t device;     // dev_t as major << 32 | minor: only compared, never passed to libc
    uint64_t inode;
    int64_t size;        // bytes
    int64_t blocks;      // of 512 bytes
    uint64_t mount;      // which mount: an id that is never used again (Linux 6.8), else that of /proc/self/mountinfo
    uint64_t attributes; // STATX_ATTR_* that are set
    int64_t birth;       // when the inode was made, ns since 1970
    uint32_t mode;
    uint32_t links;
};

#define PS_ATTRIBUTE_COMPRESSED 0x4u
#define PS_ATTRIBUTE_ENCRYPTED 0x800u
#define PS_ATTRIBUTE_MOUNT_ROOT 0x2000u
#define PS_ATTRIBUTE_VERITY 0x100000u
#define PS_ATTRIBUTE_DAX 0x200000u

// Facts of `fd`. -ENOSYS where the kernel has no statx.
long ps_sys_facts_of_descriptor(int fd, struct ps_file_facts *_Nonnull facts);
// Whether `fd` is open on the inode with those facts: one fstat. It asks for times, too, but comes before calls that
// are served, which change none: a statx that does not made those of PMEMSHIM_PARANOID 5 to 14 per cent slower.
bool ps_sys_is_inode(int fd, uint64_t device, uint64_t number);
// What one fstat tells that a kernel sync makes durable: whatever changes the file in a way that a crash could undo
// changes one of these (but see docs/durability.md for the clock tick). Times in ns since the epoch.
struct ps_sync_facts {
    uint64_t device; // as in ps_file_facts
    uint64_t inode;
    int64_t size;   // bytes
    int64_t blocks; // of 512 bytes
    int64_t ctime;
};
long ps_sys_sync_facts(int fd, struct ps_sync_facts *_Nonnull facts);
// The mount of `fd` as /proc/self/mountinfo numbers it. The kernel gives a number again once its mount is gone.
long ps_sys_mount_number(int fd, uint64_t *_Nonnull number);
// Whether every write to `fd` is to be on the device before it returns, whatever its own flags: the mount has the
// option sync, or the inode the attribute S (chattr(1)).
bool ps_sys_is_synchronous(int fd);
// Facts of `path` (symbolic links followed), without opening it.
long ps_sys_facts_of_path(const char *_Nonnull path, struct ps_file_facts *_Nonnull facts);

// The number of the block device whose node `path` is, as `device` in ps_file_facts. -ENOTBLK for anything else.
long ps_sys_block_device(const char *_Nonnull path, uint64_t *_Nonnull number);

// Whether `fd` is open on that block device.
bool ps_sys_is_block_device(int fd, uint64_t number);

// Where the kernel says `fd` is: the link text of /proc/self/fd/N, not NUL-terminated; its length.
long ps_sys_location(int fd, char *_Nonnull buffer, size_t capacity);
// The canonical path of directory `path`, and its file system's magic (statfs f_type). Opens it with O_PATH: no lock
// can be lost with that descriptor, since O_PATH descriptors carry none.
long ps_sys_directory(const char *_Nonnull path, char *_Nonnull buffer, size_t capacity, int64_t *_Nonnull magic);
// statfs f_type of the file system `fd` is on.
long ps_sys_file_system(int fd, int64_t *_Nonnull magic);

// Memory of the machine, bytes (sysinfo(2)); 0: the kernel does not say.
uint64_t ps_sys_memory(void);
long ps_sys_open(const char *_Nonnull path, int flags, unsigned mode);
long ps_sys_close(int fd);
long ps_sys_read(int fd, void *_Nonnull buffer, size_t count);
long ps_sys_write(int fd, const void *_Nonnull buffer, size_t count);
long ps_sys_pread(int fd, void *_Nullable buffer, size_t count, int64_t offset);
long ps_sys_pwrite(int fd, const void *_Nullable buffer, size_t count, int64_t offset);
long ps_sys_preadv(int fd, const struct iovec *_Nullable vector, int count, int64_t offset);
// flags: RWF_*.
long ps_sys_pwritev(int fd, const struct iovec *_Nullable vector, int count, int64_t offset, int flags);
long ps_sys_sync(int fd, bool data_only); // fdatasync or fsync
long ps_sys_seek_by(int fd, int64_t distance); // lseek(SEEK_CUR): the resulting offset
long ps_sys_status_flags(int fd);              // F_GETFL
long ps_sys_truncate_descriptor(int fd, int64_t size);
long ps_sys_make_directory(const char *_Nonnull path, unsigned mode);
// Owner, mode and type of an open file, for files of our own that must be checked after opening.
long ps_sys_owner(int fd, uint32_t *_Nonnull uid, uint32_t *_Nonnull mode, int64_t *_Nonnull size);

long ps_sys_process(void);
long ps_sys_thread(void);
bool ps_sys_process_exists(int pid);
bool ps_sys_thread_exists(int process, int thread);
// `pid` is a child of this process that has ended and has not been waited for; it stays to be waited for.
bool ps_sys_is_zombie_of_ours(int pid);
// Soft limit of RLIMIT_AS / RLIMIT_FSIZE is finite.
bool ps_sys_address_space_limited(void);
bool ps_sys_file_size_limited(void);
void ps_sys_yield(void);
// Sleeps; a signal handler may end it early.
void ps_sys_rest(unsigned microseconds);

// Blocks every signal for the calling thread; the mask that was in force comes back for ps_sys_unblock.
uint64_t ps_sys_block_signals(void);
uint64_t ps_sys_blocked_signals(void); // the mask in force: for the checks of test builds
void ps_sys_unblock_signals(uint64_t mask);
// Whether the eight bytes there can be read: for arguments that may be bad, where no handler stands yet.
bool ps_sys_readable(const void *_Nullable address);

// A full barrier in every running thread of this process; false: the kernel cannot (never reuse addresses then).
bool ps_sys_barrier_all_threads(void);

// CLOCK_REALTIME_COARSE, ns: the clock the kernel stamps inodes with; it moves once a tick (4 ms at HZ=250).
int64_t ps_sys_coarse_now(void);
uint32_t ps_sys_thread_faults(void); // of the calling thread, without those that waited for a disk; modulo 2^32
int64_t ps_sys_realtime_now(void);

// ---- address space ----
long ps_sys_reserve(size_t length);                                             // PROT_NONE, no memory
long ps_sys_map_file(uintptr_t address, size_t length, bool writable, int fd); // address 0: anywhere, else MAP_FIXED
// For reading alone, over what is there. What cannot be written is the same private as shared, but for the kernel: it
// does not go through a private mapping to protect a page that it writes back.
long ps_sys_map_file_to_read(uintptr_t address, size_t length, int fd);
// A shared one with MAP_SYNC, over a reservation: once a page can be written, all that is needed to find it again is
// durable. -EOPNOTSUPP where the device cannot promise that.
long ps_sys_map_file_sync(uintptr_t address, size_t length, bool writable, int fd);
// Whether the device under `fd` takes MAP_SYNC at all: maps a page of it, for reading, and lets go of it.
bool ps_sys_maps_synchronously(int fd);
long ps_sys_map_shared_file(size_t length, int fd, int64_t offset);             // read and write
long ps_sys_map_shared_over(uintptr_t address, size_t length, int fd, int64_t offset); // the same, over a reservation
long ps_sys_map_closed(uintptr_t address, size_t length, int fd);               // over it, private, PROT_NONE
bool ps_sys_set_readable(uintptr_t page, bool readable);                        // 4 KiB of that
long ps_sys_cover(uintptr_t address, size_t length);                            // PROT_NONE over it, in place
long ps_sys_unmap(uintptr_t address, size_t length);
void ps_sys_private_to_process(uintptr_t address, size_t length);               // not in children, not in dumps
// Anonymous, zero-filled, wiped to zero again in every child by the kernel; NULL on failure or an old kernel.
void *_Nullable ps_sys_arena(size_t length);

#endif
