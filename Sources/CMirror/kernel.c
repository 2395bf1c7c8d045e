// The kernel's requests of cmirror.h.
#include "cmirror.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fsmap.h>
#include <linux/stat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int cmirror_freeze(int fd) { return ioctl(fd, FIFREEZE, 0) == 0 ? 0 : -errno; }

int cmirror_thaw(int fd) { return ioctl(fd, FITHAW, 0) == 0 ? 0 : -errno; }

// Room for one descriptor, aligned as its head is.
union descriptor_room {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr head;
};

int cmirror_send(int socket, uint8_t byte, int fd)
{
    union descriptor_room room = {0};
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = room.bytes;
        message.msg_controllen = sizeof room.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    while (sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int cmirror_receive(int socket, uint8_t *byte, int *fd)
{
    union descriptor_room room = {0};
    struct iovec part = {.iov_base = byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    *fd = -1;
    ssize_t count;
    while ((count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            return -errno;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (count > 0 && head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(head), sizeof *fd);
    return count > 0;
}

int cmirror_synchronise(int fd) { return syncfs(fd) == 0 ? 0 : -errno; }

void cmirror_forget_buffers(int fd) { ioctl(fd, BLKFLSBUF, 0); }

enum { MOST = 512 };

int cmirror_extents(int fd, uint64_t start, struct cmirror_extent *extents, int most)
{
    static const uint32_t uncertain = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED |
                                      FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL;
    union {
        struct fiemap map;
        uint8_t room[sizeof(struct fiemap) + MOST * sizeof(struct fiemap_extent)];
    } request;
    memset(&request.map, 0, sizeof request.map);
    request.map.fm_start = start;
    request.map.fm_length = ~0ull - start;
    request.map.fm_extent_count = (uint32_t)(most < MOST ? most : MOST);
    if (ioctl(fd, FS_IOC_FIEMAP, &request.map) != 0)
        return -errno;
    const struct fiemap_extent *found = (const struct fiemap_extent *)(request.room + sizeof(struct fiemap));
    for (uint32_t i = 0; i < request.map.fm_mapped_extents; i++)
        extents[i] = (struct cmirror_extent){found[i].fe_logical, found[i].fe_physical, found[i].fe_length,
                                             !(found[i].fe_flags & uncertain),
                                             !!(found[i].fe_flags & FIEMAP_EXTENT_LAST)};
    return (int)request.map.fm_mapped_extents;
}

int cmirror_spaces(int fd, uint64_t device, uint64_t start, struct cmirror_space *spaces, int most)
{
    union {
        struct fsmap_head head;
        uint8_t room[sizeof(struct fsmap_head) + MOST * sizeof(struct fsmap)];
    } request;
    // A device number as the kernel hands it to programs: the old form, in 32 bits.
    uint32_t number = (minor(device) & 0xffu) | major(device) << 8 | (minor(device) & ~0xffu) << 12;
    memset(&request.head, 0, sizeof request.head);
    request.head.fmh_count = (uint32_t)(most < MOST ? most : MOST);
    request.head.fmh_keys[0].fmr_device = start ? number : 0;
    request.head.fmh_keys[0].fmr_physical = start;
    memset(&request.head.fmh_keys[1], 0xff, sizeof request.head.fmh_keys[1]);
    memset(request.head.fmh_keys[1].fmr_reserved, 0, sizeof request.head.fmh_keys[1].fmr_reserved);
    // xfs wants it so.
    request.head.fmh_keys[1].fmr_length = 0;
    if (ioctl(fd, FS_IOC_GETFSMAP, &request.head) != 0)
        return -errno;
    const struct fsmap *found = (const struct fsmap *)(request.room + sizeof(struct fsmap_head));
    for (uint32_t i = 0; i < request.head.fmh_entries; i++)
        spaces[i] = (struct cmirror_space){found[i].fmr_physical, found[i].fmr_length,
                                           found[i].fmr_flags & FMR_OF_SPECIAL_OWNER &&
                                               found[i].fmr_owner == FMR_OWN_FREE,
                                           found[i].fmr_device != number};
    return (int)request.head.fmh_entries;
}

int cmirror_handle(int directory, const char *name, struct cmirror_handle *handle)
{
    int mount;
    handle->bytes = sizeof handle->data;
    return name_to_handle_at(directory, name, (struct file_handle *)handle, &mount, 0) == 0 ? 0 : -errno;
}

int cmirror_open_directory(int mount, struct cmirror_handle *handle)
{
    int fd = open_by_handle_at(mount, (struct file_handle *)handle,
                               O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int cmirror_tree(const char *path)
{
    enum { SYS_OPEN_TREE = 428, CLONE = 1 };
    int tree = (int)syscall(SYS_OPEN_TREE, AT_FDCWD, path, CLONE | O_CLOEXEC);
    if (tree < 0)
        return -errno;
    int root = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC);
    int reason = errno;
    close(tree);
    return root >= 0 ? root : -reason;
}

int cmirror_facts(int directory, const char *name, struct cmirror_facts *facts)
{
    // STATX_ATTR_DAX, which older headers do not have.
    static const uint64_t dax = 0x200000;
    struct statx found;
    if (syscall(SYS_statx, directory, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &found) != 0)
        return -errno;
    *facts = (struct cmirror_facts){
        .device = makedev(found.stx_dev_major, found.stx_dev_minor),
        .inode = found.stx_ino,
        .blocks = found.stx_blocks,
        .changed = found.stx_ctime.tv_sec * 1000000000 + found.stx_ctime.tv_nsec,
        .mode = found.stx_mode,
        .is_direct = !(found.stx_attributes_mask & dax) || found.stx_attributes & dax,
    };
    return 0;
}

uint64_t cmirror_mount_identity(int fd)
{
    // Of statx(2): STATX_MNT_ID (5.8), STATX_MNT_ID_UNIQUE (6.8); the field is at byte 144.
    enum { MNT_ID = 0x1000, MNT_ID_UNIQUE = 0x4000, FIELD = 144 };
    union {
        struct statx facts;
        uint8_t bytes[256];
    } found;
    memset(&found, 0, sizeof found);
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, MNT_ID | MNT_ID_UNIQUE, &found) != 0)
        return 0;
    uint64_t identity;
    memcpy(&identity, found.bytes + FIELD, sizeof identity);
    return identity;
}
