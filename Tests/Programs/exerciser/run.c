// One sequence, from fresh directories to the last comparison, in this process.
#include "exerciser.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void trace(size_t step, const struct op *op, const struct place *place, const struct result *result)
{
    const struct kind *kind = kind_of(op);
    printf("%4zu  ", step);
    op_print(stdout, op);
    printf("        ->");
    if ((kind->fields & OFFSET) != 0) printf(" offset %lld,", (long long)place->offset);
    if ((kind->traits & IMPLICIT) != 0) printf(" at %lld,", (long long)place->position);
    if ((kind->fields & OFFSET2) != 0) printf(" second offset %lld,", (long long)place->offset2);
    if ((kind->fields & LENGTH) != 0) printf(" length %zu,", place->length);
    printf(" size before %lld: reference returned %lld%s%s\n", (long long)place->size, (long long)result->ret,
           result->ret < 0 ? " " : "", result->ret < 0 ? strerrorname_np(result->err) : "");
    fflush(stdout);
}

static bool step_outside(struct comparison *comparison, const struct op *op, const struct place *place,
                         struct result *served, struct result *reference)
{
    return (helper_run(comparison->helper, 0, op, place, served) &&
            helper_run(comparison->helper, 1, op, place, reference)) ||
           differs(comparison, "the second process is gone");
}

// What the shim cannot know of holes from here on. By the number of blocks, space set aside behind the end makes up for
// holes before it; and space set aside is a hole until it is read through a mapping (docs/limitations.md).
static void note_holes(struct side *side, const struct kind *kind, const struct place *place)
{
    bool allocates = strcmp(kind->name, "fallocate") == 0 && (place->value & FALLOC_FL_PUNCH_HOLE) == 0;
    bool keeps = allocates && (place->value & FALLOC_FL_KEEP_SIZE) != 0;
    if (keeps || (kind->traits & UNSEEN) != 0) side->holes = side->seeks = false;
    if (allocates || strcmp(kind->name, "posix_fallocate") == 0) side->seeks = false;
}

static bool step(struct comparison *comparison, const struct op *op, bool tracing)
{
    const struct kind *kind = kind_of(op);
    struct report *report = comparison->report;
    struct place place;
    struct result served = {0}, reference = {0};
    struct clocks clocks;
    if (!place_resolve(comparison->reference, op, &place)) {
        report->skipped++;
        if (tracing) trace(report->step, op, &place, &reference);
        return true;
    }
    if ((kind->traits & OUTSIDE) != 0) comparison->unseen = true;
    note_holes(comparison->served, kind, &place);
    note_holes(comparison->reference, kind, &place);
    clocks_before(comparison, op, &clocks);
    if ((kind->traits & OUTSIDE) != 0) {
        if (!step_outside(comparison, op, &place, &served, &reference)) return false;
    } else {
        kind->run(comparison->served, op, &place, &served);
        if ((kind->traits & ONCE) != 0) reference = served;
        else kind->run(comparison->reference, op, &place, &reference);
    }
    report->counts[op->kind]++;
    report->successes[op->kind] += reference.ret >= 0;
    if (tracing) trace(report->step, op, &place, &reference);
    if ((kind->traits & CHECKS) != 0) return compare_everything(comparison, op);
    return compare_step(comparison, op, &place, &served, &reference) && clocks_after(comparison, op, &clocks);
}

static void lift_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static bool steps(struct comparison *comparison, const struct sequence *sequence, bool tracing)
{
    for (size_t index = 0; index < sequence->count; index++) {
        comparison->report->step = (uint32_t)index;
        if (!step(comparison, &sequence->ops[index], tracing)) return false;
    }
    comparison->report->step = (uint32_t)sequence->count;
    if (!compare_everything(comparison, NULL)) return false;
    side_close_all(comparison->served);
    side_close_all(comparison->reference);
    return compare_windows_gone(comparison);
}

int run_sequence(const struct options *options, const struct sequence *sequence, struct report *report)
{
    static struct side served, reference;
    struct helper helper;
    const struct calls *calls = &libc_calls;
    const char *defect = getenv("EXERCISER_SABOTAGE");
    if (defect != NULL && (calls = sabotage(calls, defect)) == NULL) {
        fprintf(stderr, "exerciser: no sabotage named %s; there are:\n", defect);
        sabotage_list(stderr);
        return STATUS_USAGE;
    }
    char outside[2][512] = {"", ""};
    if (options->outside != NULL) {
        snprintf(outside[0], sizeof outside[0], "%s/served", options->outside);
        snprintf(outside[1], sizeof outside[1], "%s/reference", options->outside);
    }
    if (!side_prepare(&served, calls, "served", options->served, outside[0], sequence->huge, true) ||
        !side_prepare(&reference, options->libc_reference ? &libc_calls : &raw_calls, "reference", options->reference,
                      outside[1], sequence->huge, true)) {
        fprintf(stderr, "exerciser: cannot prepare %s and %s: %s\n", options->served, options->reference,
                strerror(errno));
        return STATUS_USAGE;
    }
    guards_install();
    if (!helper_start(&helper, &served, &reference, sequence->huge)) {
        fprintf(stderr, "exerciser: cannot start the second process\n");
        return STATUS_USAGE;
    }
    struct comparison comparison = {&served, &reference, &helper, report, options->times, false};
    bool equal = steps(&comparison, sequence, options->trace);
    lift_limit();
    helper_stop(&helper);
    return equal ? STATUS_EQUAL : STATUS_DIFFERS;
}
