// Shortening: leave out as much as possible while the sequence still fails (each try in a fresh process), then make
// what is left plainer.
#include "exerciser.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct shortening {
    const struct options *options;
    struct sequence *sequence; // the shortest failing one so far
    struct report *report;     // of its failure
    struct op *room;
    time_t deadline;
    unsigned runs;
};

static bool time_left(const struct shortening *shortening)
{
    return time(NULL) < shortening->deadline;
}

// What depends on clock ticks may need several tries to fail again.
static bool still_fails(struct shortening *shortening, const struct op *ops, size_t count)
{
    struct sequence candidate = *shortening->sequence;
    static struct report report;
    candidate.ops = (struct op *)ops;
    candidate.count = count;
    for (int attempt = 0; attempt < shortening->options->tries && time_left(shortening); attempt++) {
        shortening->runs++;
        if (supervise_once(shortening->options, &candidate, false, &report)) continue;
        if (report.differs != 1) return false;
        // It may fail earlier than before: what follows is not needed.
        size_t needed = report.step < count ? report.step + 1 : count;
        memmove(shortening->sequence->ops, ops, needed * sizeof *ops);
        shortening->sequence->count = needed;
        *shortening->report = report;
        return true;
    }
    return false;
}

static bool leave_out(struct shortening *shortening, size_t from, size_t length)
{
    const struct sequence *sequence = shortening->sequence;
    size_t tail = sequence->count - from - length;
    memcpy(shortening->room, sequence->ops, from * sizeof *shortening->room);
    memcpy(shortening->room + from, sequence->ops + from + length, tail * sizeof *shortening->room);
    return still_fails(shortening, shortening->room, from + tail);
}

// From the end towards the beginning: the cause is as a rule near the failure, so the long beginning goes first.
static bool leave_out_pieces(struct shortening *shortening, size_t length)
{
    bool shorter = false;
    size_t end = shortening->sequence->count;
    while (end >= length && end > 0 && time_left(shortening)) {
        if (end > shortening->sequence->count) end = shortening->sequence->count;
        if (end < length) break;
        if (leave_out(shortening, end - length, length)) shorter = true;
        end -= length;
    }
    return shorter;
}

static void leave_out_all(struct shortening *shortening)
{
    size_t length = shortening->sequence->count / 2;
    while (length >= 1 && time_left(shortening)) {
        bool shorter = leave_out_pieces(shortening, length);
        if (length == 1 && !shorter) break;
        if (length > 1 || !shorter) length = length / 2;
    }
}

// Plainer values, tried one at a time.
static bool plainer(struct op *op, unsigned attempt)
{
    struct op before = *op;
    switch (attempt) {
    case 0: op->variant = 0; break;
    case 1: op->align = 0; break;
    case 2: op->shape = op->shape == 0 ? 0 : 1; break;
    case 3: op->fault = FAULT_NONE; break;
    case 4: op->length_to_end = 0; break;
    case 5: op->anchor = AT_ZERO, op->delta = 0; break;
    case 6: op->delta = 0; break;
    case 7: op->delta &= ~(int64_t)(PAGE - 1); break;
    case 8: op->anchor2 = AT_ZERO, op->delta2 = 0; break;
    case 9: if (op->length > PAGE) op->length = PAGE; break;
    case 10: if (op->length > 1) op->length = 1; break;
    case 11: if (op->length > 2 * PAGE) op->length = 2 * PAGE; break;
    case 12: op->length &= ~(int64_t)(PAGE - 1); break;
    case 13: if (op->length > 512) op->length = 512; break;
    case 14: op->length /= 2; break;
    case 15: if (op->pattern > 9) op->pattern = op->pattern % 8 + 1; break;
    default: break;
    }
    return memcmp(&before, op, sizeof before) != 0;
}

static void make_plainer(struct shortening *shortening)
{
    for (size_t index = 0; index < shortening->sequence->count && time_left(shortening); index++) {
        for (unsigned attempt = 0; attempt < 16 && index < shortening->sequence->count; attempt++) {
            memcpy(shortening->room, shortening->sequence->ops, shortening->sequence->count * sizeof(struct op));
            if (plainer(&shortening->room[index], attempt))
                still_fails(shortening, shortening->room, shortening->sequence->count);
        }
    }
}

enum { BY_SLOT, BY_FILE, MERGES };

// Everything done with one slot (or name) is done with another one instead: two files may be one.
static bool merge(struct shortening *shortening, int what, unsigned from, unsigned into)
{
    size_t count = shortening->sequence->count;
    bool changed = false;
    memcpy(shortening->room, shortening->sequence->ops, count * sizeof(struct op));
    for (size_t index = 0; index < count; index++) {
        struct op *op = &shortening->room[index];
        unsigned fields = kind_of(op)->fields;
        uint8_t *values[2] = {what == BY_SLOT ? &op->slot : &op->name, what == BY_SLOT ? &op->other : &op->to};
        unsigned used[2] = {what == BY_SLOT ? SLOT : NAME, what == BY_SLOT ? OTHER : TO};
        for (int each = 0; each < 2; each++) {
            if ((fields & used[each]) == 0 || *values[each] != from) continue;
            *values[each] = (uint8_t)into;
            changed = true;
        }
    }
    return changed && still_fails(shortening, shortening->room, count);
}

static void merge_all(struct shortening *shortening)
{
    for (int what = 0; what < MERGES; what++)
        for (unsigned from = 1; from < NAMES && time_left(shortening); from++)
            for (unsigned into = 0; into < from; into++)
                if (merge(shortening, what, from, into)) break;
}

void sequence_minimise(const struct options *options, struct sequence *sequence, struct report *report)
{
    struct shortening shortening = {options, sequence, report, NULL, time(NULL) + options->minimise_seconds, 0};
    shortening.room = calloc(sequence->count + 1, sizeof *shortening.room);
    if (shortening.room == NULL) return;
    if (report->step < sequence->count) sequence->count = report->step + 1;
    leave_out_all(&shortening);
    if (sequence->count <= 60) {
        merge_all(&shortening);
        leave_out_all(&shortening);
        make_plainer(&shortening);
        leave_out_all(&shortening);
    }
    printf("shortening took %u runs%s\n", shortening.runs, time_left(&shortening) ? "" : " and all its time");
    free(shortening.room);
}
