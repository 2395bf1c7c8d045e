// Kernel numbers the engine needs, by name: Embedded Swift imports no libc module.
#ifndef PS_CONSTANTS_H
#define PS_CONSTANTS_H

#include <stdint.h>

enum ps_open_flag { // open(2), x86-64
    PS_O_ACCMODE = 3, PS_O_RDONLY = 0, PS_O_WRONLY = 1, PS_O_RDWR = 2,
    PS_O_CREAT = 0100, PS_O_NOCTTY = 0400, PS_O_APPEND = 02000, PS_O_NONBLOCK = 04000, PS_O_DSYNC = 010000,
    PS_O_DIRECT = 040000,
    PS_O_SYNC = 04000000 /* without O_DSYNC, which comes with it */,
    PS_O_NOFOLLOW = 0400000, PS_O_CLOEXEC = 02000000, PS_O_DIRECTORY = 0200000, PS_O_NOATIME = 01000000,
    PS_O_PATH = 010000000
};
enum ps_mode { PS_S_IFMT = 0170000, PS_S_IFREG = 0100000, PS_S_IFDIR = 0040000 };
enum ps_errno { PS_ENOENT = 2, PS_EIO = 5, PS_EINVAL = 22, PS_EROFS = 30 };
enum ps_rwf { PS_RWF_HIPRI = 1, PS_RWF_DSYNC = 2, PS_RWF_SYNC = 4 };

#endif
