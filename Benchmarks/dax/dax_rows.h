// The rows of the DAX benchmark: what one operation of each does.
#ifndef DAX_ROWS_H
#define DAX_ROWS_H

#include <stdint.h>

#define DAX_FILE_SIZE (8ull << 20) // of files that are read and overwritten

struct dax_row {
    const char *id;
    const char *title;
    unsigned operations; // per slice
    // Not measured, before each slice; `slice` counts from 0, and 0 is the warm-up.
    void (*begin)(const struct dax_row *row, const char *directory, unsigned slice);
    void (*run)(const struct dax_row *row, unsigned operations);
    uint32_t size; // bytes per operation
    int sync;      // whether an fdatasync follows each
};

extern const struct dax_row dax_call_rows[], dax_sqlite_rows[]; // end with an id of NULL

uint64_t dax_random(void);
_Noreturn void dax_fail(const char *what);

#endif
