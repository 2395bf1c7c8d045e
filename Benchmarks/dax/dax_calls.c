// Rows of single calls: reads, overwrites, appends, stores through a mapping.
#define _GNU_SOURCE
#include "dax_rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PREALLOCATED_SIZE (32ll << 20)

static int fd = -1;
static unsigned char *map;
static char path[4096];
static unsigned char buffer[1 << 16] __attribute__((aligned(4096)));

static void make_file(const char *directory, const char *name, uint64_t size)
{
    if (fd >= 0)
        close(fd);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    unlink(path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        dax_fail(path);
    memset(buffer, 0x5a, sizeof buffer);
    for (uint64_t done = 0; done < size; done += sizeof buffer)
        if (write(fd, buffer, sizeof buffer) != sizeof buffer)
            dax_fail(path);
    if (fsync(fd) != 0)
        dax_fail("fsync");
}

// A file in full use: its blocks written, its pages in the page tables of whoever maps it.
static void begin_in_place(const struct dax_row *row, const char *directory, unsigned slice)
{
    (void)row;
    if (slice > 0)
        return;
    make_file(directory, "in-place", DAX_FILE_SIZE);
    for (uint64_t offset = 0; offset < DAX_FILE_SIZE; offset += 4096)
        if (pread(fd, buffer, 4096, (off_t)offset) != 4096)
            dax_fail("pread");
    for (uint64_t offset = 0; offset < DAX_FILE_SIZE; offset += 4096)
        if (pwrite(fd, buffer, 4096, (off_t)offset) != 4096)
            dax_fail("pwrite");
    if (fdatasync(fd) != 0)
        dax_fail("fdatasync");
}

// Not within the last page, which nobody can serve.
static off_t random_place(const struct dax_row *row)
{
    return (off_t)(dax_random() % (DAX_FILE_SIZE / 4096 - 1) * 4096 + dax_random() % (4096 / row->size) * row->size);
}

static void run_pread(const struct dax_row *row, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++)
        if (pread(fd, buffer, row->size, random_place(row)) != (ssize_t)row->size)
            dax_fail("pread");
}

static void run_pwrite(const struct dax_row *row, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        if (pwrite(fd, buffer, row->size, random_place(row)) != (ssize_t)row->size)
            dax_fail("pwrite");
        if (row->sync && fdatasync(fd) != 0)
            dax_fail("fdatasync");
    }
}

static void begin_append(const struct dax_row *row, const char *directory, unsigned slice)
{
    (void)row, (void)slice;
    make_file(directory, "append", 0);
}

static void run_append(const struct dax_row *row, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        if (write(fd, buffer, row->size) != (ssize_t)row->size)
            dax_fail("write");
        if (row->sync && fdatasync(fd) != 0)
            dax_fail("fdatasync");
    }
}

// Space that a log is given before it is written.
static void begin_preallocated(const struct dax_row *row, const char *directory, unsigned slice)
{
    (void)row, (void)slice;
    make_file(directory, "preallocated", 0);
    if (posix_fallocate(fd, 0, PREALLOCATED_SIZE) != 0 || fsync(fd) != 0)
        dax_fail("posix_fallocate");
}

static void run_in_order(const struct dax_row *row, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        if (pwrite(fd, buffer, row->size, (off_t)i * row->size) != (ssize_t)row->size)
            dax_fail("pwrite");
        if (row->sync && fdatasync(fd) != 0)
            dax_fail("fdatasync");
    }
}

static void begin_mapped(const struct dax_row *row, const char *directory, unsigned slice)
{
    begin_in_place(row, directory, slice);
    if (slice > 0)
        return;
    map = mmap(NULL, DAX_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        dax_fail("mmap");
    for (uint64_t offset = 0; offset < DAX_FILE_SIZE; offset += 4096)
        map[offset] = 1;
    if (msync(map, DAX_FILE_SIZE, MS_SYNC) != 0)
        dax_fail("msync");
}

static void run_msync(const struct dax_row *row, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        unsigned char *page = map + random_place(row);
        page[i % 4096] ^= 1;
        if (msync(page, 4096, MS_SYNC) != 0)
            dax_fail("msync");
    }
}

const struct dax_row dax_call_rows[] = {
    {"pread-64", "pread 64 B, random", 20000, begin_in_place, run_pread, 64, 0},
    {"pread-4k", "pread 4 KiB, random", 10000, begin_in_place, run_pread, 4096, 0},
    {"pwrite-64", "overwrite 64 B, random", 10000, begin_in_place, run_pwrite, 64, 0},
    {"pwrite-4k", "overwrite 4 KiB, random", 10000, begin_in_place, run_pwrite, 4096, 0},
    {"pwrite-4k-sync", "overwrite 4 KiB and fdatasync", 5000, begin_in_place, run_pwrite, 4096, 1},
    {"append-4k", "append 4 KiB", 1000, begin_append, run_append, 4096, 0},
    {"append-4k-sync", "append 4 KiB and fdatasync", 300, begin_append, run_append, 4096, 1},
    {"prealloc-4k", "write 4 KiB in order to preallocated space", 6000, begin_preallocated, run_in_order, 4096, 0},
    {"prealloc-4k-sync", "the same and fdatasync", 6000, begin_preallocated, run_in_order, 4096, 1},
    {"msync-page", "store to a mapping and msync of the page", 300, begin_mapped, run_msync, 4096, 0},
    {.id = NULL},
};
