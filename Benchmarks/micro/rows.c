// The rows of the table, in the order in which they are printed.
#include "micro.h"

#include <string.h>

const struct micro_row micro_rows[] = {
    {"pread-64", "pread 64 B, random", MICRO_PREAD, 64, 1, false, true},
    {"pread-64-in-order", "pread 64 B, in order", MICRO_PREAD_SEQUENTIAL, 64, 1, false, true},
    {"pread-4k", "pread 4 KiB, random", MICRO_PREAD, 4096, 1, false, true},
    {"pread-64k", "pread 64 KiB, random", MICRO_PREAD, 65536, 1, false, true},
    {"preadv-4k", "preadv 4 x 1 KiB, random", MICRO_PREADV, 4096, 4, false, true},
    {"read-4k", "read 4 KiB, sequential", MICRO_READ, 4096, 1, false, true},
    {"readv-4k", "readv 4 x 1 KiB, sequential", MICRO_READV, 4096, 4, false, true},
    {"pwrite-64", "overwrite 64 B, random", MICRO_PWRITE, 64, 1, false, true},
    {"pwrite-512", "overwrite 512 B, random", MICRO_PWRITE, 512, 1, false, true},
    {"pwrite-1k", "overwrite 1 KiB, random", MICRO_PWRITE, 1024, 1, false, true},
    {"pwrite-2k", "overwrite 2 KiB, random", MICRO_PWRITE, 2048, 1, false, true},
    {"pwrite-4k", "overwrite 4 KiB, random", MICRO_PWRITE, 4096, 1, false, true},
    {"pwrite-8k", "overwrite 8 KiB, random", MICRO_PWRITE, 8192, 1, false, true},
    {"pwrite-64k", "overwrite 64 KiB, random", MICRO_PWRITE, 65536, 1, false, true},
    {"pwritev-4k", "overwrite 4 x 1 KiB by pwritev, random", MICRO_PWRITEV, 4096, 4, false, true},
    {"write-4k", "overwrite 4 KiB by write, sequential", MICRO_WRITE, 4096, 1, false, true},
    {"write-read-back", "overwrite 4 KiB and read it back", MICRO_WRITE_READ_BACK, 4096, 1, false, true},
    {"pwrite-fsync", "overwrite 4 KiB and fsync", MICRO_PWRITE_FSYNC, 4096, 1, false, false},
    {"extend", "extend by 4 KiB write", MICRO_EXTEND, 4096, 1, true, false},
    {"extend-again", "extend by 4 KiB write, once cut to nothing", MICRO_EXTEND_AGAIN, 4096, 1, true, false},
    {"extend-append", "extend by 4 KiB write, O_APPEND", MICRO_EXTEND_APPEND, 4096, 1, true, false},
    {"extend-mapped", "extend a file in use by 4 KiB write", MICRO_EXTEND_MAPPED, 4096, 1, true, false},
    {"open-read-close", "open, read 4 KiB, close", MICRO_OPEN_READ_CLOSE, 4096, 1, true, false},
    {"open-3read-close", "open, 3 x read 4 KiB, close", MICRO_OPEN_READ_CLOSE, 4096, 3, true, false},
    {"small-files", "open, read to the end, close, 256 files", MICRO_SMALL_FILES_READ, 4096, 1, true, false},
};

const size_t micro_row_count = sizeof micro_rows / sizeof micro_rows[0];

const struct micro_row *micro_find_row(const char *id)
{
    for (size_t i = 0; i < micro_row_count; i++) {
        if (strcmp(micro_rows[i].id, id) == 0)
            return &micro_rows[i];
    }
    return NULL;
}
