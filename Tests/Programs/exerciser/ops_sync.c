// Synchronous writes, by the flag of a description, by the attribute of a file (chattr +S), by an option of the mount:
// what they return and what is then in the file is what it is without. Attribute and option are another process's
// doing, while files are in use.
#include "exerciser.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void run_sync_open(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    side_path(side, op->name, op->variant, path, sizeof path);
    slot_take(side, op->slot, side->calls->open(op->variant, AT_FDCWD, path, place->value, 0644), result);
}

// tmpfs has no such attribute, and says so.
static void run_sync_attribute(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    int flags = 0;
    side_path(side, op->name, 0, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    result_set(result, fd < 0 ? -1 : ioctl(fd, FS_IOC_GETFLAGS, &flags));
    flags = place->value != 0 ? flags | FS_SYNC_FL : flags & ~FS_SYNC_FL;
    if (result->ret == 0) result_set(result, ioctl(fd, FS_IOC_SETFLAGS, &flags));
    if (fd >= 0) close(fd);
}

static void run_sync_mount(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)op;
    result->skipped = side->memory || !side->own_mount || !mount_set_synchronous(side->directory, place->value != 0);
}

static const struct choice open_flags[] = {
    {"rdwr|dsync", O_RDWR | O_DSYNC | O_CREAT, 3}, {"rdwr|sync", O_RDWR | O_SYNC | O_CREAT, 3},
    {"wronly|dsync", O_WRONLY | O_DSYNC, 1}, {"append|dsync", O_RDWR | O_APPEND | O_DSYNC, 1}, {NULL, 0, 0},
};

static const struct choice switches[] = {{"off", 0, 2}, {"on", 1, 3}, {NULL, 0, 0}};

static const struct kind kinds[] = {
    {"sync-open", 8, SLOT | NAME | VARIANT | CHOICE, 0, open_flags, run_sync_open},
    {"sync-attribute", 8, NAME | CHOICE, OUTSIDE | BY_NAME | RESTRICTS | UNTIMED, switches, run_sync_attribute},
    {"sync-mount", 2, CHOICE, OUTSIDE | RESTRICTS | UNTIMED, switches, run_sync_mount},
};

const struct group sync_group = {"sync", kinds, sizeof kinds / sizeof *kinds};
