// Mappings that the program makes itself: loads and stores in them, and system calls whose buffers lie in them.
#include "exerciser.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHARED_READ (PROT_READ | 0x100)
#define SHARED_BOTH (PROT_READ | PROT_WRITE | 0x100)
#define PRIVATE_READ (PROT_READ)
#define PRIVATE_BOTH (PROT_READ | PROT_WRITE)

static void run_mmap(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    struct mapping *mapping = &side->map[op->map];
    if (mapping->address != NULL) result->extra = side->calls->munmap(mapping->address, mapping->length);
    memset(mapping, 0, sizeof *mapping);
    struct stat status;
    // Every eighth offset stays unaligned, for EINVAL; the end of a device has no defined content.
    off_t offset = op->pattern % 8 == 0 ? place->offset : place->offset & ~(off_t)(PAGE - 1);
    int protection = place->value & (PROT_READ | PROT_WRITE);
    bool shared = (place->value & 0x100) != 0;
    bool regular = slot_stat(side, op->slot, &status) && S_ISREG(status.st_mode);
    void *address = side->calls->mmap(op->variant, place->length, protection, shared ? MAP_SHARED : MAP_PRIVATE,
                                      side_fd(side, op->slot), offset);
    if (address == MAP_FAILED) {
        result_set(result, -1);
        return;
    }
    if (!regular) {
        side->calls->munmap(address, place->length);
        return;
    }
    *mapping = (struct mapping){address, place->length, offset, protection, shared, status.st_dev, status.st_ino};
}

static void run_munmap(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    struct mapping *mapping = &side->map[op->map];
    if (mapping->address == NULL) return;
    result_set(result, side->calls->munmap(mapping->address, mapping->length));
    memset(mapping, 0, sizeof *mapping);
}

static void run_load(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result->signal = copy_guarded(buffer, side->map[op->map].address + place->offset, place->length, &result->ret);
}

static void run_store(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    result->signal = copy_guarded(side->map[op->map].address + place->offset, buffer, place->length, &result->ret);
}

static void run_msync(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    const struct mapping *mapping = &side->map[op->map];
    if (mapping->address == NULL) return;
    unsigned char *address = mapping->address + place->offset;
    if (op->pattern % 8 != 0) address -= (uintptr_t)address % PAGE;
    result_set(result, side->calls->msync(address, place->length, place->value));
}

// A write whose source, a read whose target, is a mapping of another file.
static void run_write_mapped(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    const struct mapping *mapping = &side->map[op->map];
    result_set(result, side->calls->pwrite(op->variant, side_fd(side, op->slot), mapping->address + place->offset,
                                           place->length, place->offset2));
}

static void run_read_mapped(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    const struct mapping *mapping = &side->map[op->map];
    result_set(result, side->calls->pread(op->variant, side_fd(side, op->slot), mapping->address + place->offset,
                                          place->length, place->offset2));
}

static const struct choice protections[] = {
    {"shared-rw", SHARED_BOTH, 6}, {"shared-r", SHARED_READ, 3}, {"private-rw", PRIVATE_BOTH, 1},
    {"private-r", PRIVATE_READ, 1}, {NULL, 0, 0},
};

static const struct choice msync_flags[] = {
    {"sync", MS_SYNC, 3}, {"async", MS_ASYNC, 2}, {"sync|invalidate", MS_SYNC | MS_INVALIDATE, 1},
    {"unknown", 64, 1}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"mmap", 14, MAP | SLOT | OFFSET | LENGTH | VARIANT | CHOICE, 0, protections, run_mmap},
    {"munmap", 4, MAP, 0, NULL, run_munmap},
    {"load", 16, MAP | OFFSET | LENGTH | BUFFER, IN_MAPPING | TOUCHES | UNTIMED, NULL, run_load},
    {"store", 16, MAP | OFFSET | LENGTH | BUFFER, IN_MAPPING | FILLS | TOUCHES | UNTIMED, NULL, run_store},
    {"msync", 4, MAP | OFFSET | LENGTH | CHOICE, IN_MAPPING | UNTIMED, msync_flags, run_msync},
    {"pwrite-mapped", 8, SLOT | MAP | OFFSET | OFFSET2 | LENGTH | VARIANT, IN_MAPPING | EXTENDS | UNTIMED, NULL,
     run_write_mapped},
    {"pread-mapped", 8, SLOT | MAP | OFFSET | OFFSET2 | LENGTH | VARIANT, IN_MAPPING | UNTIMED, NULL, run_read_mapped},
};

const struct group map_group = {"map", kinds, sizeof kinds / sizeof *kinds};
