// The reading half, after the power came back. Of each place the last acknowledged step must be there, or a later one:
// acknowledgements were still on their way when the power went. At most one place, that of the step that was under way,
// may hold lines of two steps.
#include "power.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned char found[BLOCKS * BLOCK], wanted[LONGEST];
static unsigned lost, torn, compared;

static ssize_t read_file(const char *name, size_t room, off_t offset)
{
    int fd = open(name, O_RDONLY);
    if (fd < 0)
        return -1;
    ssize_t count = pread(fd, found, room, offset);
    close(fd);
    return count;
}

static void lose(const char *name, uint32_t place, uint64_t number, const char *how)
{
    if (lost++ < 20)
        printf("FAILED: %s, place %u: step %lu was acknowledged: %s\n", name, place, (unsigned long)number, how);
}

// One place of a file: `last` is the last acknowledged step there. Compares line by line.
static void check_place(uint64_t seed, const char *name, const struct step *place, uint64_t last,
                        const unsigned char *bytes)
{
    uint64_t first = 0;
    compared++;
    for (uint32_t at = 0; at < place->length; at += LINE) {
        uint64_t number;
        memcpy(&number, bytes + at, sizeof number);
        const struct step step = step_of(seed, number);
        if (number != 0 && (step.kind != place->kind || step.place != place->place)) {
            lose(name, place->place, last, "bytes of no step of this place");
            return;
        }
        struct step whole = *place;
        step_bytes(seed, number, &whole, wanted);
        if (number < last) {
            lose(name, place->place, last, "an earlier step is there");
            return;
        }
        if (memcmp(bytes + at, wanted + at, LINE) != 0) {
            torn++;
            return;
        }
        if (at == 0)
            first = number;
        else if (number != first) {
            torn++;
            return;
        }
    }
}

static void check_blocks(uint64_t seed, enum kind kind, const uint64_t *last)
{
    struct step step = {.kind = kind, .length = kind == SMALL ? LINE : BLOCK};
    if (read_file(block_files[kind], sizeof found, 0) != (ssize_t)sizeof found) {
        lose(block_files[kind], 0, 0, "the file is missing or short");
        return;
    }
    for (step.place = 0; step.place < BLOCKS * BLOCK / step.length; step.place++)
        check_place(seed, block_files[kind], &step, last[step.place], found + (size_t)step.place * step.length);
}

static void check_replaced(uint64_t seed, const uint64_t *last)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        char name[32];
        snprintf(name, sizeof name, "replaced.%u", slot);
        ssize_t count = read_file(name, LONGEST, 0);
        uint64_t number = 0;
        if (count >= LINE)
            memcpy(&number, found, sizeof number);
        const struct step step = step_of(seed, number);
        compared++;
        if (last[slot] == 0 && number == 0)
            continue; // never written; or replaced by nobody knows what, which the next line tells
        if (number < last[slot] || step.kind != REPLACED || step.place != slot || count != (ssize_t)step.length)
            lose(name, slot, last[slot],
                 count < 0 ? "the file is missing" : "not the file of a step, or of an earlier one");
        else {
            step_bytes(seed, number, &step, wanted);
            if (memcmp(found, wanted, step.length) != 0)
                lose(name, slot, last[slot], "other bytes");
        }
    }
}

int power_check(uint64_t seed, uint64_t acknowledged)
{
    static uint64_t last[KINDS][BLOCKS * BLOCK / LINE];
    off_t end = 0;
    for (uint64_t number = 1; number <= acknowledged; number++) {
        const struct step step = step_of(seed, number);
        last[step.kind][step.place] = number;
        if (step.kind != APPENDED)
            continue;
        step_bytes(seed, number, &step, wanted);
        compared++;
        if (read_file("appended", step.length, end) != (ssize_t)step.length || memcmp(found, wanted, step.length) != 0)
            lose("appended", 0, number, "missing or other bytes");
        end += step.length;
    }
    for (int kind = 0; kind < KINDS; kind++)
        if (block_files[kind] != NULL)
            check_blocks(seed, (enum kind)kind, last[kind]);
    check_replaced(seed, last[REPLACED]);
    if (torn > 1) {
        printf("FAILED: %u blocks hold two steps, and only one can have been under way\n", torn);
        lost++;
    }
    printf("own: %lu steps acknowledged, %u places compared, %u lost, %u torn under way\n", (unsigned long)acknowledged,
        compared, lost, torn);
    return lost != 0;
}
