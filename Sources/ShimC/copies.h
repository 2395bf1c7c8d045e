// Copies inside the kernel, by name or by number.
#ifndef PS_COPIES_H
#define PS_COPIES_H

#include "face.h"

enum ps_copy_kind { PS_COPY_RANGE, PS_COPY_SENDFILE, PS_COPY_SPLICE };
struct ps_copy_call {
    enum ps_copy_kind kind;
    int from, to;
    off64_t *from_offset, *to_offset;
    size_t length;
    unsigned flags;
};
// The call by libc's entry, alone in the stripes of the file it writes to; its result and errno.
ssize_t ps_copy_inside(const struct ps_copy_call *call);

#endif
