// What is where, and every byte that can ever be written: all of it follows from the seed.
#include <stdio.h>
#include <string.h>

#include "kill.h"

const char *const topology_names[TOPOLOGIES] = {"single", "threads", "several", "family"};
const char *const sabotage_names[SABOTAGES] = {
    "none", "acknowledge-early", "split-small", "lose-some", "hold-lock",
};

uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15ull;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ value >> 27) * 0x94d049bb133111ebull;
    return value ^ value >> 31;
}

uint64_t below(uint64_t *state, uint64_t bound)
{
    *state = mix(*state);
    return *state % bound;
}

// Every word differs from its neighbours and from the same word of any other stream.
static void stream(uint64_t start, void *bytes, long count)
{
    unsigned char *at = bytes;
    for (; count >= 8; count -= 8, at += 8) {
        start += 0xd1342543de82ef95ull;
        uint64_t word = start ^ start >> 29;
        memcpy(at, &word, 8);
    }
    start += 0xd1342543de82ef95ull;
    memcpy(at, &start, (size_t)count);
}

// Small ones, which the kernel writes; pages; and some that take long enough to be hit in the middle.
static long slot_length(uint64_t *state)
{
    uint64_t kind = below(state, 100);
    if (kind < 25)
        return 1 + (long)below(state, SMALL - 1);
    if (kind < 60)
        return SMALL + (long)below(state, 2 * PAGE - SMALL);
    if (kind < 70)
        return PAGE << below(state, 3);
    if (kind < 96)
        return 2 * PAGE + (long)below(state, 6 * PAGE);
    return 64 * 1024 + (long)below(state, LONGEST - 64 * 1024);
}

void make_plan(struct plan *plan, uint64_t seed, enum topology topology)
{
    static const int lanes[TOPOLOGIES] = {1, 2, 3, 3};
    uint64_t state = mix(seed);
    memset(plan, 0, sizeof *plan);
    plan->seed = seed;
    plan->topology = topology;
    plan->lanes = lanes[topology];
    for (int file = 0; file < SLOT_FILES; file++)
        for (long offset = 0; offset < SLOT_FILE_SIZE && plan->slots < SLOTS;) {
            struct slot *slot = &plan->slot[plan->slots++];
            slot->file = file;
            slot->lane = (int)below(&state, (uint64_t)plan->lanes);
            slot->offset = offset;
            slot->length = slot_length(&state);
            if (slot->length > SLOT_FILE_SIZE - offset)
                slot->length = SLOT_FILE_SIZE - offset;
            offset += slot->length;
        }
}

void slot_bytes(const struct plan *plan, int slot, uint32_t version, void *bytes)
{
    stream(mix(plan->seed ^ mix((uint64_t)slot << 32 | version)), bytes, plan->slot[slot].length);
}

static uint64_t record_seed(const struct plan *plan, enum log_kind log, int lane, uint32_t number)
{
    return mix(plan->seed ^ mix(0x10000000000ull * (uint64_t)(log * LANES + lane + 1) + number));
}

long record_length(const struct plan *plan, enum log_kind log, int lane, uint32_t number)
{
    uint64_t state = record_seed(plan, log, lane, number);
    long head = sizeof(struct record_head);
    // The shared offset is of most interest where writes are served: above the small ones.
    if (log != LOG_SHARED && below(&state, 2) == 0)
        return head + (long)below(&state, (uint64_t)(SMALL - head));
    return SMALL + (long)below(&state, log == LOG_SHARED ? 3000 : 9000);
}

void record_bytes(const struct plan *plan, enum log_kind log, int lane, uint32_t number, void *bytes)
{
    struct record_head head = {
        RECORD_MAGIC, (uint32_t)lane, number, (uint64_t)record_length(plan, log, lane, number),
    };
    memcpy(bytes, &head, sizeof head);
    stream(record_seed(plan, log, lane, number), (char *)bytes + sizeof head, (long)(head.length - sizeof head));
}

void background(const struct plan *plan, long offset, long count, void *bytes)
{
    for (long i = 0; i < count; i++) {
        uint64_t word = plan->seed + (uint64_t)((offset + i) >> 3) * 0xd1342543de82ef95ull;
        ((unsigned char *)bytes)[i] =
            offset + i < SHARED_LOG_SIZE ? (unsigned char)((word ^ word >> 29) >> ((offset + i) & 7) * 8) : 0;
    }
}

void slot_path(char *path, size_t size, const char *directory, int file)
{
    snprintf(path, size, "%s/slots.%d", directory, file);
}

void log_path(char *path, size_t size, const char *directory, enum log_kind log, int lane)
{
    if (log == LOG_OWN)
        snprintf(path, size, "%s/own.%d", directory, lane);
    else
        snprintf(path, size, "%s/%s", directory, log == LOG_APPEND ? "append" : "shared");
}
