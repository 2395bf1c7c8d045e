// Block devices: what stands on one (libblkid), loop devices, device numbers. What the kernel's headers give as macros
// that Swift cannot import is spelt out.
#include <blkid/blkid.h>
#include <grp.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static inline unsigned cblock_major(dev_t device) { return gnu_dev_major(device); }
static inline unsigned cblock_minor(dev_t device) { return gnu_dev_minor(device); }
// The request of ioctl(2) for the least that a block device reads and writes at once.
static const unsigned long cblock_sector_size = BLKSSZGET;
static inline dev_t cblock_device(unsigned major, unsigned minor) { return gnu_dev_makedev(major, minor); }

// Of glibc's headers for programs that define _GNU_SOURCE, which the Glibc module does not.
enum { CBLOCK_SEEK_DATA = 3, CBLOCK_SEEK_HOLE = 4, CBLOCK_F_SETLEASE = 1024 };
