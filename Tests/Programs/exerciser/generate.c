// From a seed to a sequence. Every sequence leans towards some kinds of operation and does without others, so that
// rare ones meet often somewhere; sizes and places lean towards the borders where mistakes live.
#include "exerciser.h"

#include <stdlib.h>
#include <string.h>

uint64_t random_next(uint64_t *state)
{
    uint64_t value = (*state += 0x9e3779b97f4a7c15ull);
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

struct generator {
    uint64_t state;
    bool huge;
    unsigned weights[MAX_KINDS];
    unsigned total, kinds;
    struct op last;
    int64_t last_delta;
    uint8_t memory; // the slot that was last given a file in memory, which may be sealed
    int closed;   // a slot that is likely closed, or no file any more; -1 none
    bool limited; // a file size limit is in force: lift it soon
    int restricted[8]; // so with other things taken away, by kind
    unsigned restrictions, modes;
    unsigned bad; // of 1,000: operations with something wrong about them
};

static uint64_t below(struct generator *generator, uint64_t limit)
{
    return random_next(&generator->state) % limit;
}

static bool chance(struct generator *generator, unsigned of_thousand)
{
    return below(generator, 1000) < of_thousand;
}

static void choose_weights(struct generator *generator)
{
    const struct kind *kind;
    // In a third of the sequences nobody else touches the files, and so holes too can be compared to their end.
    bool alone = chance(generator, 333);
    unsigned others = MODE_FORK | MODE_KILL | MODE_TRUNCATION | MODE_HUGE;
    if ((generator->modes & others) != 0) alone = alone && chance(generator, 400);
    static const unsigned leaning[] = {0, 1, 2, 2, 2, 3, 8};
    for (generator->kinds = 0; (kind = kind_at(generator->kinds)) != NULL; generator->kinds++) {
        // Without a mode, sequences are what they were before there was one: nothing is drawn for it.
        unsigned mode = kind_mode(generator->kinds);
        if ((mode & generator->modes) != mode) continue;
        unsigned factor = leaning[below(generator, sizeof leaning / sizeof *leaning)];
        // Without these the rest has nothing to work on.
        bool needed = strcmp(kind->name, "open") == 0 || strcmp(kind->name, "pread") == 0 ||
                      strcmp(kind->name, "pwrite") == 0 || strcmp(kind->name, "check") == 0;
        // Sleeping and synchronising cost more time than they find.
        if (factor > 2 && (kind->fields == 0 || kind->fields == SLOT)) factor = 2;
        if (mode == MODE_COUNTS && factor > 1) factor = 1;
        if (needed && factor < 2) factor = 2;
        if (alone && (kind->traits & (OUTSIDE | UNSEEN)) != 0) factor = 0;
        if (alone && (mode & others) != 0) factor = 0;
        // A mode asked for is a mode seen.
        else if (mode != 0 && factor == 0) factor = 1;
        generator->weights[generator->kinds] = (unsigned)kind->weight * factor;
        generator->total += generator->weights[generator->kinds];
    }
    static const unsigned rates[] = {0, 5, 15, 40};
    generator->bad = rates[below(generator, 4)];
}

static int64_t border(struct generator *generator)
{
    static const int64_t offsets[] = {0, 0, 0, 1, -1, 1, -1, 511, 512, 513, -512, 64, -64, 2048};
    return offsets[below(generator, sizeof offsets / sizeof *offsets)];
}

static int64_t length(struct generator *generator)
{
    uint64_t kind = below(generator, 100);
    if (kind < 3) return 0;
    if (kind < 15) return (int64_t)below(generator, 128);
    if (kind < 27) return 512 + (int64_t)below(generator, 3) - 1;
    if (kind < 37) return (int64_t)below(generator, PAGE);
    if (kind < 57) return PAGE * (int64_t)(1 + below(generator, 3)) + (int64_t)below(generator, 3) - 1;
    if (kind < 70) return PAGE;
    if (kind < 82) return 8192;
    if (kind < 94) return (int64_t)below(generator, 65536);
    if (!generator->huge || kind < 98) return (int64_t)below(generator, 300 << 10);
    return (int64_t)below(generator, 3 << 20);
}

static int64_t somewhere(struct generator *generator)
{
    uint64_t kind = below(generator, 10);
    if (generator->huge && kind < 4) return (int64_t)(below(generator, 4) << 21) + border(generator);
    if (generator->huge && kind < 6) return (int64_t)below(generator, 7 << 20);
    if (kind < 7) return (int64_t)(below(generator, 40) * PAGE) + border(generator);
    if (kind < 9) return (int64_t)below(generator, 64 << 10);
    return (int64_t)below(generator, 300 << 10);
}

static void choose_place(struct generator *generator, uint8_t *anchor, int64_t *delta)
{
    uint64_t kind = below(generator, 100);
    *delta = border(generator);
    if (kind < 45) {
        *anchor = AT_ZERO;
        *delta = somewhere(generator);
        // Often where something was done just before: served writes need a second one in the same tick.
        if (chance(generator, 350)) *delta = generator->last_delta + border(generator);
        generator->last_delta = *delta;
    } else if (kind < 58) {
        *anchor = AT_ZERO;
    } else if (kind < 72) {
        *anchor = AT_END;
        if (chance(generator, 300)) *delta = -(int64_t)below(generator, 3 * PAGE);
    } else if (kind < 82) {
        *anchor = AT_LAST_PAGE;
    } else if (kind < 92) {
        *anchor = AT_MIDDLE;
    } else {
        *anchor = AT_CURRENT;
    }
    if (chance(generator, generator->bad)) {
        static const int64_t exact[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX - 4095, -PAGE};
        *anchor = AT_EXACT;
        *delta = exact[below(generator, sizeof exact / sizeof *exact)];
    }
}

static uint8_t choose_choice(struct generator *generator, const struct choice *choices)
{
    unsigned total = 0, index = 0;
    for (int each = 0; choices[each].text != NULL; each++) total += (unsigned)choices[each].weight;
    uint64_t left = below(generator, total);
    while (left >= (unsigned)choices[index].weight) left -= (unsigned)choices[index++].weight;
    return (uint8_t)index;
}

static uint8_t choose_slot(struct generator *generator)
{
    if (chance(generator, generator->bad / 3)) return chance(generator, 500) ? SLOT_MINUS_ONE : SLOT_UNUSED;
    return (uint8_t)below(generator, SLOTS);
}

static void fill_fields(struct generator *generator, const struct kind *kind, struct op *op)
{
    bool stay = chance(generator, 550);
    op->slot = stay && generator->last.slot < SLOTS ? generator->last.slot : choose_slot(generator);
    op->other = choose_slot(generator);
    op->name = stay ? generator->last.name : (uint8_t)below(generator, NAMES);
    op->to = (uint8_t)below(generator, NAMES);
    op->map = (uint8_t)below(generator, MAPS);
    op->stream = (uint8_t)below(generator, STREAMS);
    op->variant = chance(generator, 500) ? 0 : (uint8_t)below(generator, 60);
    op->align = chance(generator, 400) ? 0 : chance(generator, 200) ? ALIGN_EDGE : (uint8_t)below(generator, 64);
    if (chance(generator, generator->bad)) op->fault = (uint8_t)(1 + below(generator, FAULT_COUNT - 1));
    if (op->fault == FAULT_GIANT && (kind->traits & LONG_READ) == 0) op->fault = FAULT_HALF;
    if ((kind->traits & TOUCHES) != 0) op->fault = FAULT_NONE;
    op->shape = (uint8_t)below(generator, 250);
    if (chance(generator, generator->bad)) op->shape = (uint8_t)(250 + below(generator, 6));
    choose_place(generator, &op->anchor, &op->delta);
    choose_place(generator, &op->anchor2, &op->delta2);
    op->length = length(generator);
    if (chance(generator, 80)) {
        op->length_to_end = 1;
        op->length = border(generator);
    }
    op->pattern = 1 + (uint32_t)below(generator, 1u << 30);
    if (kind->choices != NULL) op->choice = choose_choice(generator, kind->choices);
}

// Fields that the kind does not use stay zero, so that a sequence is the same after a round through its text.
static void clear_unused(const struct kind *kind, struct op *op)
{
    unsigned fields = kind->fields;
    if ((fields & SLOT) == 0) op->slot = 0;
    if ((fields & OTHER) == 0) op->other = 0;
    if ((fields & NAME) == 0) op->name = 0;
    if ((fields & TO) == 0) op->to = 0;
    if ((fields & MAP) == 0) op->map = 0;
    if ((fields & STREAM) == 0) op->stream = 0;
    if ((fields & VARIANT) == 0) op->variant = 0;
    if ((fields & BUFFER) == 0) op->align = op->fault = 0;
    if ((fields & SHAPE) == 0) op->shape = 0;
    if ((fields & OFFSET) == 0) op->anchor = 0, op->delta = 0;
    if ((fields & OFFSET2) == 0) op->anchor2 = 0, op->delta2 = 0;
    if ((fields & LENGTH) == 0) op->length_to_end = 0, op->length = 0;
    if ((fields & CHOICE) == 0) op->choice = 0;
    if ((fields & (BUFFER | OFFSET)) == 0) op->pattern = 0;
}

static struct op next_op(struct generator *generator)
{
    struct op op = {0};
    uint64_t left = below(generator, generator->total);
    while (left >= generator->weights[op.kind]) left -= generator->weights[op.kind++];
    const struct kind *kind = kind_of(&op);
    if (generator->restrictions > 0 && chance(generator, 60)) {
        op.kind = (uint8_t)generator->restricted[--generator->restrictions];
        return op; // choice 0: given back
    }
    if (generator->limited && chance(generator, 150)) {
        op.kind = (uint8_t)kind_named("limit");
        generator->limited = false;
        return op; // choice 0: none
    }
    if (generator->closed >= 0 && chance(generator, 250)) {
        op.kind = (uint8_t)kind_named("open");
        kind = kind_of(&op);
        fill_fields(generator, kind, &op);
        op.slot = (uint8_t)generator->closed;
        op.choice = 1; // made where it is missing
        generator->closed = -1;
    } else {
        fill_fields(generator, kind, &op);
    }
    if (strcmp(kind->name, "memfd") == 0) generator->memory = op.slot;
    if (strcmp(kind->name, "seal") == 0 && chance(generator, 700)) op.slot = generator->memory;
    bool closes = kind_is(kind, "close") || strcmp(kind->name, "special") == 0;
    if (closes && op.slot < SLOTS) generator->closed = op.slot;
    if ((kind->fields & SLOT) != 0) generator->last.slot = op.slot;
    if ((kind->fields & NAME) != 0) generator->last.name = op.name;
    clear_unused(kind, &op);
    if (strcmp(kind->name, "limit") == 0) generator->limited = op.choice != 0;
    if ((kind->traits & RESTRICTS) != 0 && op.choice != 0 && generator->restrictions < 8)
        generator->restricted[generator->restrictions++] = op.kind;
    return op;
}

// A few files to begin with, open, most of them with several pages in them.
static size_t begin(struct generator *generator, struct op *ops, size_t count)
{
    size_t made = 0;
    // Before there is a window: a mask saved here has the two signals as the kernel had them.
    if ((generator->modes & MODE_JUMPS) != 0 && made < count) {
        struct op mark = {.kind = (uint8_t)kind_named("mark")};
        mark.choice = choose_choice(generator, kind_of(&mark)->choices);
        ops[made++] = mark;
    }
    if ((generator->modes & MODE_HUGE) != 0 && made < count) {
        ops[made++] = (struct op){.kind = (uint8_t)kind_named("align")};
    }
    for (unsigned slot = 0; slot < SLOTS - 1 && made + 2 <= count; slot++) {
        struct op open = {.kind = (uint8_t)kind_named("open"), .slot = (uint8_t)slot, .choice = 1};
        open.name = (uint8_t)below(generator, NAMES);
        ops[made++] = open;
        struct op write = {.kind = (uint8_t)kind_named("pwrite"), .slot = (uint8_t)slot, .pattern = slot + 1};
        write.length = (int64_t)below(generator, generator->huge ? 6 << 20 : 100 << 10);
        if (chance(generator, 300)) write.length &= ~(int64_t)(PAGE - 1);
        ops[made++] = write;
    }
    return made;
}

void sequence_generate(struct sequence *sequence, uint64_t seed, size_t count, bool huge, unsigned modes)
{
    struct generator generator = {.state = seed * 0x2545f4914f6cdd1dull + huge, .huge = huge, .modes = modes};
    choose_weights(&generator);
    *sequence = (struct sequence){.seed = seed, .huge = huge, .modes = modes, .count = count};
    generator.closed = -1;
    sequence->ops = calloc(count, sizeof *sequence->ops);
    if (sequence->ops == NULL) {
        sequence->count = 0;
        return;
    }
    size_t made = begin(&generator, sequence->ops, count);
    while (made < count) sequence->ops[made++] = next_op(&generator);
}
