// The writing half: does a step, makes it durable, says so.
#include "power.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int files[KINDS], directory;
static unsigned char *map;
static unsigned char bytes[LONGEST];

static void write_all(int fd, uint32_t length)
{
    if (write(fd, bytes, length) != (ssize_t)length)
        power_fail("write");
}

// Files of blocks are there in full before the first step: what is overwritten had been written.
static void prepare(uint64_t seed)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (block_files[kind] == NULL)
            continue;
        int fd = open(block_files[kind], O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
            power_fail(block_files[kind]);
        struct step step = {.kind = (enum kind)kind, .length = kind == SMALL ? LINE : BLOCK};
        const uint32_t places = BLOCKS * BLOCK / step.length;
        for (step.place = 0; step.place < places; step.place++) {
            step_bytes(seed, 0, &step, bytes);
            write_all(fd, step.length);
        }
        if (fsync(fd) != 0)
            power_fail("fsync");
        close(fd);
        files[kind] = open(block_files[kind], kind == DSYNC ? O_RDWR | O_DSYNC : O_RDWR);
        if (files[kind] < 0)
            power_fail(block_files[kind]);
    }
    files[APPENDED] = open("appended", O_WRONLY | O_CREAT | O_EXCL, 0600);
    directory = open(".", O_RDONLY | O_DIRECTORY);
    if (files[APPENDED] < 0 || directory < 0)
        power_fail("open");
    map = mmap(NULL, BLOCKS * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, files[MAPPED], 0);
    if (map == MAP_FAILED)
        power_fail("mmap");
    if (fsync(directory) != 0)
        power_fail("fsync");
}

static void replace(const struct step *step)
{
    char name[32];
    int fd = open("replacing", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        power_fail("replacing");
    write_all(fd, step->length);
    snprintf(name, sizeof name, "replaced.%u", step->place);
    if (fsync(fd) != 0 || close(fd) != 0 || rename("replacing", name) != 0 || fsync(directory) != 0)
        power_fail(name);
}

static void do_step(const struct step *step)
{
    const int fd = files[step->kind];
    switch (step->kind) {
    case APPENDED: write_all(fd, step->length); break;
    case MAPPED:
        memcpy(map + (size_t)step->place * BLOCK, bytes, BLOCK);
        if (msync(map + (size_t)step->place * BLOCK, BLOCK, MS_SYNC) != 0)
            power_fail("msync");
        return;
    case REPLACED: replace(step); return;
    default:
        if (pwrite(fd, bytes, step->length, (off_t)step->place * step->length) != (ssize_t)step->length)
            power_fail("pwrite");
        break;
    }
    if (step->kind != DSYNC && fdatasync(fd) != 0)
        power_fail("fdatasync");
}

void power_write(uint64_t seed)
{
    prepare(seed);
    for (uint64_t number = 1;; number++) {
        const struct step step = step_of(seed, number);
        step_bytes(seed, number, &step, bytes);
        do_step(&step);
        char line[32];
        const int length = snprintf(line, sizeof line, "own %lu\n", (unsigned long)number);
        if (write(STDOUT_FILENO, line, (size_t)length) != length)
            power_fail("standard output");
    }
}
