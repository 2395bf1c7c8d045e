// What the kernel says of a file: statx, fstat, statfs, the link of its descriptor. Declared in ps_sys.h.
#include "ps_sys.h"

#include "ps_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U
#endif
#ifndef STATX_MNT_ID_UNIQUE // Linux 6.8: in place of the other, where the kernel knows it
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif
_Static_assert(STATX_ATTR_DAX == PS_ATTRIBUTE_DAX, "statx(2)");
_Static_assert(STATX_ATTR_MOUNT_ROOT == PS_ATTRIBUTE_MOUNT_ROOT, "statx(2)");
_Static_assert(STATX_ATTR_VERITY == PS_ATTRIBUTE_VERITY, "statx(2)");
_Static_assert(STATX_ATTR_ENCRYPTED == PS_ATTRIBUTE_ENCRYPTED, "statx(2)");
_Static_assert(STATX_ATTR_COMPRESSED == PS_ATTRIBUTE_COMPRESSED, "statx(2)");

// glibc 2.36's struct statx has no stx_mnt_id by that name on every release: our own copy of the kernel's layout.
struct kernel_statx {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, spare0;
    uint64_t inode, size, blocks, attributes_mask;
    struct { int64_t seconds; uint32_t nanoseconds; int32_t unused; } access, birth, change, modification;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mount;
    uint64_t spare[13];
};
_Static_assert(sizeof(struct kernel_statx) == 256, "statx(2): 256 bytes");
_Static_assert(offsetof(struct kernel_statx, mount) == 144, "statx(2): stx_mnt_id");

// No times: since Linux 6.13 a file whose ctime or mtime somebody has asked for gets exact stamps from then on, which
// the kernel reads a clock for (multigrain timestamps). The next write, and each read in the same tick, were 300 ns
// slower for it.
enum { TIMES = STATX_ATIME | STATX_MTIME | STATX_CTIME };

static long facts_in(struct kernel_statx *s, int directory, const char *path, int flags, struct ps_file_facts *out)
{
    const long wanted = (STATX_BASIC_STATS & ~TIMES) | STATX_BTIME | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;
    long r = ps_sys_call6(SYS_statx, directory, (long)path, flags, wanted, (long)s, 0);
    if (r < 0)
        return r;
    out->device = (uint64_t)s->dev_major << 32 | s->dev_minor;
    out->inode = s->inode;
    out->size = (int64_t)s->size;
    out->blocks = (int64_t)s->blocks;
    out->mount = s->mask & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE) ? s->mount : 0;
    out->attributes = s->attributes & s->attributes_mask;
    out->birth = s->mask & STATX_BTIME ? s->birth.seconds * 1000000000 + s->birth.nanoseconds : 0;
    out->mode = s->mode;
    out->links = s->links;
    return 0;
}

static __attribute__((noinline)) long facts_on_stack(int directory, const char *path, int flags,
                                                     struct ps_file_facts *out)
{
    struct kernel_statx s;
    return facts_in(&s, directory, path, flags, out);
}

static long facts(int directory, const char *path, int flags, struct ps_file_facts *out)
{
    struct kernel_statx *room = ps_scratch_take();
    if (room == NULL)
        return facts_on_stack(directory, path, flags, out);
    long r = facts_in(room, directory, path, flags, out);
    ps_scratch_give(room);
    return r;
}

long ps_sys_facts_of_descriptor(int fd, struct ps_file_facts *out) { return facts(fd, "", AT_EMPTY_PATH, out); }
long ps_sys_facts_of_path(const char *path, struct ps_file_facts *out) { return facts(AT_FDCWD, path, 0, out); }

long ps_sys_mount_number(int fd, uint64_t *number)
{
    struct kernel_statx *room = ps_scratch_take();
    if (room == NULL)
        return -ENOMEM; // as a kernel that does not tell
    long r = ps_sys_call6(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_MNT_ID, (long)room, 0);
    *number = r == 0 && (room->mask & STATX_MNT_ID) ? room->mount : 0;
    ps_scratch_give(room);
    return r;
}

bool ps_sys_is_synchronous(int fd)
{
    struct statfs mount;
    int flags = 0;
    if (ps_sys_call2(SYS_fstatfs, fd, (long)&mount) == 0 && (mount.f_flags & ST_SYNCHRONOUS))
        return true;
    return ps_sys_call3(SYS_ioctl, fd, FS_IOC_GETFLAGS, (long)&flags) == 0 && (flags & FS_SYNC_FL);
}

bool ps_sys_is_inode(int fd, uint64_t device, uint64_t number)
{
    struct stat s;
    return ps_sys_call2(SYS_fstat, fd, (long)&s) == 0 && s.st_ino == number
           && ((uint64_t)major(s.st_dev) << 32 | minor(s.st_dev)) == device;
}

long ps_sys_block_device(const char *path, uint64_t *number)
{
    struct kernel_statx s;
    long r = ps_sys_call6(SYS_statx, AT_FDCWD, (long)path, 0, STATX_TYPE, (long)&s, 0);
    if (r < 0)
        return r;
    if ((s.mode & S_IFMT) != S_IFBLK)
        return -ENOTBLK;
    *number = (uint64_t)s.rdev_major << 32 | s.rdev_minor;
    return 0;
}

long ps_sys_sync_facts(int fd, struct ps_sync_facts *out)
{
    struct stat s;
    long r = ps_sys_call2(SYS_fstat, fd, (long)&s); // x86-64: libc's struct stat is the kernel's
    if (r < 0)
        return r;
    out->device = (uint64_t)major(s.st_dev) << 32 | minor(s.st_dev);
    out->inode = s.st_ino;
    out->size = s.st_size;
    out->blocks = s.st_blocks;
    out->ctime = (int64_t)s.st_ctim.tv_sec * 1000000000 + s.st_ctim.tv_nsec;
    return 0;
}

bool ps_sys_is_block_device(int fd, uint64_t number)
{
    struct stat s;
    return ps_sys_call2(SYS_fstat, fd, (long)&s) == 0 && S_ISBLK(s.st_mode)
           && ((uint64_t)major(s.st_rdev) << 32 | minor(s.st_rdev)) == number;
}

static long link_of(int fd, char *buffer, size_t capacity)
{
    char path[32] = "/proc/self/fd/", digits[12];
    int n = 0, at = 14;
    unsigned value = (unsigned)fd;
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        path[at++] = digits[--n];
    path[at] = 0;
    return ps_sys_call3(SYS_readlink, (long)path, (long)buffer, (long)capacity);
}

long ps_sys_location(int fd, char *buffer, size_t capacity) { return link_of(fd, buffer, capacity); }

long ps_sys_file_system(int fd, int64_t *magic)
{
    struct statfs s;
    long r = ps_sys_call2(SYS_fstatfs, fd, (long)&s);
    if (r == 0)
        *magic = s.f_type;
    return r;
}

long ps_sys_directory(const char *path, char *buffer, size_t capacity, int64_t *magic)
{
    long fd = ps_sys_open(path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    long r = ps_sys_file_system((int)fd, magic);
    if (r == 0)
        r = link_of((int)fd, buffer, capacity);
    ps_sys_close((int)fd);
    return r;
}

long ps_sys_owner(int fd, uint32_t *uid, uint32_t *mode, int64_t *size)
{
    struct stat s;
    long r = ps_sys_call2(SYS_fstat, fd, (long)&s); // x86-64: libc's struct stat is the kernel's
    if (r < 0)
        return r;
    *uid = s.st_uid;
    *mode = s.st_mode;
    *size = s.st_size;
    return 0;
}
