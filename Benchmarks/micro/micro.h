// What driver and worker of the micro benchmark agree on: the rows, and the words on the pipe between them.
//
// The driver starts a native worker, one under the preload and, where a row has a limit, one that copies from or to
// the mapping of the same file. It lets them work in turns, one slice of a few milliseconds each, on one CPU: what
// disturbs the machine disturbs all of them, and the median of the ratios of neighbouring slices stays true.
#ifndef MICRO_H
#define MICRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MICRO_FILE_SIZE (256ull << 20)
#define MICRO_BASE_SIZE (64ull << 20) // of the file that "extend-mapped" grows
#define MICRO_SMALL_FILES 256u

enum micro_mode { MICRO_CALLS, MICRO_MEMCPY };

// What one operation of a row does.
enum micro_operation {
    MICRO_PREAD,
    MICRO_PREAD_SEQUENTIAL,
    MICRO_PREADV,
    MICRO_READ,
    MICRO_READV,
    MICRO_PWRITE,
    MICRO_PWRITEV,
    MICRO_WRITE,
    MICRO_WRITE_READ_BACK,
    MICRO_PWRITE_FSYNC,
    MICRO_EXTEND,          // write() on a new file
    MICRO_EXTEND_AGAIN,    // write() on a file cut to nothing and rewound on the same descriptor, as logs are
    MICRO_EXTEND_APPEND,   // the same with O_APPEND
    MICRO_EXTEND_MAPPED,   // write() at the end of a file that has been read, so that a window exists
    MICRO_OPEN_READ_CLOSE, // of one file; `count` reads
    MICRO_SMALL_FILES_READ // open, read to the end, close, of many files in turn
};

struct micro_row {
    const char *id;
    const char *title;
    enum micro_operation operation;
    uint32_t size;   // bytes per call
    uint32_t count;  // segments of a vectored call, or reads between open and close
    bool cost;       // the question is what the shim adds (a few per cent), not what it gains
    bool has_memcpy; // a bare memcpy is the limit of this row
};

extern const struct micro_row micro_rows[];
extern const size_t micro_row_count;
const struct micro_row *micro_find_row(const char *id);

// Driver to worker: do so many operations. 0: end.
struct micro_command {
    uint64_t operations;
};

// Worker to driver, once when warmed up (with the figures of its last warm-up slice) and after each command.
struct micro_reply {
    uint64_t operations;
    uint64_t wall_ns;
    uint64_t cpu_ns;     // of the thread: without what other processes took
    uint64_t preempted;  // how often the kernel took the CPU away during the slice
    uint64_t sum;        // of bytes seen; keeps the compiler from dropping copies
};

// Names of files below the benchmark's directory. The driver makes the first; the workers the others.
#define MICRO_DATA_NAME "data"
#define MICRO_SMALL_NAME "small.%u"

#endif
