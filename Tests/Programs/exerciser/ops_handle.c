// Operations that are there without this mode too, with the functions that dlsym and dlvsym give (handles.c).
#include "exerciser.h"

#include <stdlib.h>
#include <sys/resource.h>

static void run_limit(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return;
    limit.rlim_cur = place->value < 0 ? limit.rlim_max : (rlim_t)place->value;
    handle_way = op->variant;
    result_set(result, handle_setrlimit(RLIMIT_FSIZE, &limit));
}

static void run_lock_memory(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    context.memory_locked = place->value != 0;
    handle_way = op->variant;
    result_set(result, handle_mlockall(place->value));
    if (result->ret < 0) result->wrong = "mlockall failed";
}

static const struct {
    const char *name;
    int weight;
    run_fn *run; // NULL: the plain one's, with other functions
} taken[] = {
    {"handle-dup2", 10, NULL}, {"handle-dup3", 5, NULL}, {"handle-close", 6, NULL}, {"handle-setfl", 6, NULL},
    {"handle-ftruncate", 8, NULL}, {"handle-fallocate", 8, NULL}, {"handle-pread", 10, NULL},
    {"handle-pwrite", 10, NULL}, {"handle-limit", 2, run_limit}, {"handle-lock-memory", 2, run_lock_memory},
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
        kinds[index].run = taken[index].run != NULL ? taken[index].run : run_by_handle;
        // What is taken away is given back.
        if (taken[index].run != NULL) kinds[index].traits |= RESTRICTS;
    }
}
