// What is known of file systems: the one list for the engine, which knows a file system by its magic number
// (statfs(2)), and for shimctl, which knows it by the name of its type.
#ifndef PS_FILE_SYSTEMS_H
#define PS_FILE_SYSTEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_NFS_MAGIC 0x6969

// magic, type. Their files are their pages in memory, and nothing else: they are served where they are named.
#define PS_MEMORY(ROW)                                                                                                 \
    ROW(0x01021994, "tmpfs")                                                                                           \
    ROW(0x01021994, "devtmpfs")                                                                                        \
    ROW(0x858458f6, "ramfs")

// magic. The file system tells where on its block device a file lies: ext2 to ext4, xfs, f2fs. btrfs tells of places
// in a space of its own, and vfat nothing.
#define PS_TELLS_EXTENTS(ROW)                                                                                          \
    ROW(0xef53)                                                                                                        \
    ROW(0x58465342)                                                                                                    \
    ROW(0xf2f52010)

// The files of these are never served, not even where they are named.
//
// Their caches are coherent at open and close at best: another machine or a program changes files without this kernel's
// being told.
#define PS_NEVER_REMOTE "its files can change without this machine's kernel being told"
// A mapping shows pages of another inode than the one that is written to.
#define PS_NEVER_STACKED "a write can put another file behind a name"
#define PS_NEVER_UNREAL "its files are made up by the kernel and have no pages"
#define PS_NEVER_UNWRITTEN "it has no write(2)"

// magic, type, why. A type with a dot behind it ("fuse.sshfs") is of the type before the dot.
#define PS_NEVER_SERVED(ROW)                                                                                           \
    ROW(PS_NFS_MAGIC, "nfs", PS_NEVER_REMOTE)                                                                          \
    ROW(PS_NFS_MAGIC, "nfs4", PS_NEVER_REMOTE)                                                                         \
    ROW(0xff534d42, "cifs", PS_NEVER_REMOTE)                                                                           \
    ROW(0xfe534d42, "smb3", PS_NEVER_REMOTE)                                                                           \
    ROW(0x517b, "smbfs", PS_NEVER_REMOTE)                                                                              \
    ROW(0x01021997, "9p", PS_NEVER_REMOTE)                                                                             \
    ROW(0x00c36400, "ceph", PS_NEVER_REMOTE)                                                                           \
    ROW(0x6b414653, "afs", PS_NEVER_REMOTE)                                                                            \
    ROW(0x5346414f, "openafs", PS_NEVER_REMOTE)                                                                        \
    ROW(0x73757245, "coda", PS_NEVER_REMOTE)                                                                           \
    ROW(0x65735546, "fuse", PS_NEVER_REMOTE)                                                                           \
    ROW(0x65735546, "fuseblk", PS_NEVER_REMOTE)                                                                        \
    ROW(0x65735546, "virtiofs", PS_NEVER_REMOTE)                                                                       \
    ROW(0x786f4256, "vboxsf", PS_NEVER_REMOTE)                                                                         \
    ROW(0x0bd00bd0, "lustre", PS_NEVER_REMOTE)                                                                         \
    ROW(0x01161970, "gfs2", PS_NEVER_REMOTE)                                                                           \
    ROW(0x7461636f, "ocfs2", PS_NEVER_REMOTE)                                                                          \
    ROW(0x20030528, "orangefs", PS_NEVER_REMOTE)                                                                       \
    ROW(0x19830326, "beegfs", PS_NEVER_REMOTE)                                                                         \
    ROW(0x47504653, "gpfs", PS_NEVER_REMOTE)                                                                           \
    ROW(0xbacbacbc, "vmhgfs", PS_NEVER_REMOTE)                                                                         \
    ROW(0x794c7630, "overlay", PS_NEVER_STACKED)                                                                       \
    ROW(0xf15f, "ecryptfs", PS_NEVER_STACKED)                                                                          \
    ROW(0x61756673, "aufs", PS_NEVER_STACKED)                                                                          \
    ROW(0x958458f6, "hugetlbfs", PS_NEVER_UNWRITTEN)                                                                   \
    ROW(0x9fa0, "proc", PS_NEVER_UNREAL)                                                                               \
    ROW(0x62656572, "sysfs", PS_NEVER_UNREAL)                                                                          \
    ROW(0x27e0eb, "cgroup", PS_NEVER_UNREAL)                                                                           \
    ROW(0x63677270, "cgroup2", PS_NEVER_UNREAL)                                                                        \
    ROW(0x64626720, "debugfs", PS_NEVER_UNREAL)                                                                        \
    ROW(0x74726163, "tracefs", PS_NEVER_UNREAL)                                                                        \
    ROW(0x73636673, "securityfs", PS_NEVER_UNREAL)                                                                     \
    ROW(0x1cd1, "devpts", PS_NEVER_UNREAL)                                                                             \
    ROW(0x19800202, "mqueue", PS_NEVER_UNREAL)                                                                         \
    ROW(0x6165676c, "pstore", PS_NEVER_UNREAL)                                                                         \
    ROW(0xcafe4a11, "bpf", PS_NEVER_UNREAL)                                                                            \
    ROW(0x62656570, "configfs", PS_NEVER_UNREAL)                                                                       \
    ROW(0xde5e81e4, "efivarfs", PS_NEVER_UNREAL)                                                                       \
    ROW(0x42494e4d, "binfmt_misc", PS_NEVER_UNREAL)                                                                    \
    ROW(0x65735543, "fusectl", PS_NEVER_UNREAL)                                                                        \
    ROW(0x0187, "autofs", PS_NEVER_UNREAL)                                                                             \
    ROW(0x6e736673, "nsfs", PS_NEVER_UNREAL)                                                                           \
    ROW(0xf97cff8c, "selinuxfs", PS_NEVER_UNREAL)                                                                      \
    ROW(0x43415d53, "smackfs", PS_NEVER_UNREAL)                                                                        \
    ROW(0x67596969, "rpc_pipefs", PS_NEVER_UNREAL)                                                                     \
    ROW(0x7655821, "resctrl", PS_NEVER_UNREAL)

static inline bool ps_is_never_served(int64_t magic)
{
#define ROW(number, type, why)                                                                                         \
    if ((uint32_t)magic == (number))                                                                                   \
        return true;
    PS_NEVER_SERVED(ROW)
#undef ROW
    return false;
}

static inline bool ps_is_memory(int64_t magic)
{
#define ROW(number, type)                                                                                              \
    if ((uint32_t)magic == (number))                                                                                   \
        return true;
    PS_MEMORY(ROW)
#undef ROW
    return false;
}

static inline bool ps_tells_extents(int64_t magic)
{
#define ROW(number)                                                                                                    \
    if ((uint32_t)magic == (number))                                                                                   \
        return true;
    PS_TELLS_EXTENTS(ROW)
#undef ROW
    return false;
}

// Type `index` of those in memory; NULL behind the last.
static inline const char *_Nullable ps_memory_type(size_t index)
{
    static const char *_Nonnull const types[] = {
#define ROW(number, type) type,
        PS_MEMORY(ROW)
#undef ROW
    };
    return index < sizeof types / sizeof *types ? types[index] : NULL;
}

struct ps_never_served {
    uint32_t magic;
    const char *_Nonnull type;
    const char *_Nonnull why;
};
// Row `index` of the list; NULL behind the last.
static inline const struct ps_never_served *_Nullable ps_never_served_row(size_t index)
{
    static const struct ps_never_served rows[] = {
#define ROW(number, type, why) {number, type, why},
        PS_NEVER_SERVED(ROW)
#undef ROW
    };
    return index < sizeof rows / sizeof *rows ? &rows[index] : NULL;
}

#endif
