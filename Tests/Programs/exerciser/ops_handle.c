// Operations that are there without this mode too, with the functions that dlsym and dlvsym give (handles.c).
#include "exerciser.h"

#include <stdlib.h>

static const struct {
    const char *name;
    int weight;
} taken[] = {
    {"handle-dup2", 10}, {"handle-dup3", 5}, {"handle-close", 6}, {"handle-setfl", 6}, {"handle-ftruncate", 8},
    {"handle-fallocate", 8}, {"handle-pread", 10}, {"handle-pwrite", 10},
};

enum { COUNT = sizeof taken / sizeof *taken, PREFIX = 7 };

static void run_by_handle(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    struct side through = *side;
    const struct kind *plain = kind_at((size_t)kind_named(kind_of(op)->name + PREFIX));
    through.calls = side->calls->by_handle;
    handle_way = op->variant;
    plain->run(&through, op, place, result);
    through.calls = side->calls;
    *side = through; // its descriptors
}

static struct kind kinds[COUNT];

const struct group handle_group = {"handles", kinds, COUNT};

// Each is what its plain form is.
__attribute__((constructor)) static void fill(void)
{
    for (size_t index = 0; index < COUNT; index++) {
        int plain = kind_named(taken[index].name + PREFIX);
        if (plain < 0) abort();
        kinds[index] = *kind_at((size_t)plain);
        kinds[index].name = taken[index].name;
        kinds[index].weight = taken[index].weight;
        kinds[index].fields |= VARIANT;
        kinds[index].run = run_by_handle;
    }
}
