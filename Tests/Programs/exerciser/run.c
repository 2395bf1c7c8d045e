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
    if (actor_self != 0) printf("[process %u] ", actor_self);
    if (context.worker != 0) printf("[thread %u] ", context.worker);
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
    bool allocates = kind_is(kind, "fallocate") && (place->value & FALLOC_FL_PUNCH_HOLE) == 0;
    bool keeps = allocates && (place->value & FALLOC_FL_KEEP_SIZE) != 0;
    if (keeps || (kind->traits & UNSEEN) != 0) side->holes = side->seeks = false;
    if (allocates || strcmp(kind->name, "posix_fallocate") == 0) side->seeks = false;
}

struct execution {
    struct comparison *comparison;
    const struct op *op;
    struct place place;
    struct result served, reference;
};

static void execute(void *argument)
{
    struct execution *execution = argument;
    struct comparison *comparison = execution->comparison;
    run_fn *run = kind_of(execution->op)->run;
    run(comparison->served, execution->op, &execution->place, &execution->served);
    if ((kind_of(execution->op)->traits & ONCE) != 0) execution->reference = execution->served;
    else run(comparison->reference, execution->op, &execution->place, &execution->reference);
}

// Each side in turn, with the second process at work on it at the same time.
static void execute_beside(void *argument)
{
    struct execution *execution = argument;
    struct comparison *comparison = execution->comparison;
    struct side *sides[2] = {comparison->served, comparison->reference};
    struct result *results[2] = {&execution->served, &execution->reference}, ignored;
    for (int each = 0; each < 2; each++) {
        if (!helper_begin(comparison->helper, each, execution->op, &execution->place)) return;
        kind_of(execution->op)->run(sides[each], execution->op, &execution->place, results[each]);
        if (!helper_end(comparison->helper, &ignored)) return;
    }
}

// Another process may go on in the meantime, and this one return from here long after. So it is counted beforehand.
static bool step_control(struct comparison *comparison, const struct op *op, bool tracing)
{
    struct report *report = comparison->report;
    struct execution execution = {.comparison = comparison, .op = op};
    uint32_t step = report->step;
    if (context_forbids(op)) {
        report->skipped++;
        return true;
    }
    execution.place.value = (kind_of(op)->fields & CHOICE) != 0 ? kind_of(op)->choices[op->choice].value : 0;
    report->counts[op->kind]++;
    report->successes[op->kind]++;
    if (tracing) trace(step, op, &execution.place, &execution.served);
    context_run(op, execute, &execution);
    if (execution.served.skipped) {
        report->counts[op->kind]--;
        report->successes[op->kind]--;
        report->skipped++;
    }
    if (execution.served.wrong != NULL) return differs(comparison, "%s", execution.served.wrong);
    return compare_slots(comparison);
}

static bool step(struct comparison *comparison, const struct op *op, bool tracing)
{
    const struct kind *kind = kind_of(op);
    struct report *report = comparison->report;
    struct execution execution = {.comparison = comparison, .op = op};
    struct place *place = &execution.place;
    struct result *served = &execution.served, *reference = &execution.reference;
    struct clocks clocks;
    // Also where another process under test, or the image before exec, has met them.
    if (kind_mode(op->kind) == MODE_HUGE) report->loosened = 1;
    if (report->loosened) {
        side_loosen(comparison->served);
        side_loosen(comparison->reference);
    }
    if ((kind->traits & CONTROL) != 0) return step_control(comparison, op, tracing);
    if (!place_resolve(comparison->reference, op, place) || context_forbids(op)) {
        report->skipped++;
        if (tracing) trace(report->step, op, place, reference);
        return true;
    }
    if ((kind->traits & (OUTSIDE | BESIDE)) != 0) comparison->unseen = true;
    note_holes(comparison->served, kind, place);
    note_holes(comparison->reference, kind, place);
    clocks_before(comparison, op, &clocks);
    if ((kind->traits & OUTSIDE) != 0) {
        if (!step_outside(comparison, op, place, served, reference)) return false;
    } else {
        context_run(op, (kind->traits & BESIDE) != 0 ? execute_beside : execute, &execution);
    }
    if (tracing) trace(report->step, op, place, reference);
    if (served->skipped != reference->skipped) return differs(comparison, "possible on one side only");
    report->skipped += reference->skipped;
    report->counts[op->kind] += !reference->skipped;
    report->successes[op->kind] += !reference->skipped && reference->ret >= 0;
    if ((kind->traits & CHECKS) != 0) return compare_everything(comparison, op);
    return compare_step(comparison, op, place, served, reference) && clocks_after(comparison, op, &clocks);
}

static void lift_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

// What this process still has must be equal, and then be gone.
static bool finish(struct comparison *comparison)
{
    comparison->report->step = (uint32_t)comparison->sequence->count;
    lift_limit();
    if (!compare_everything(comparison, NULL)) return false;
    side_close_all(comparison->served);
    side_close_all(comparison->reference);
    return compare_windows_gone(comparison);
}

int run_on(struct comparison *comparison)
{
    const struct sequence *sequence = comparison->sequence;
    struct report *report = comparison->report;
    while (report->next < sequence->count) {
        report->step = report->next++;
        if (!step(comparison, &sequence->ops[report->step], comparison->options->trace)) return STATUS_DIFFERS;
        if (home_wanted()) {
            if (sigsetjmp(home_buffer, 1) == 0) home_made();
        }
        const char *wrong = home_go();
        if (wrong != NULL) {
            differs(comparison, "%s", wrong);
            return STATUS_DIFFERS;
        }
    }
    if (!finish(comparison)) return STATUS_DIFFERS;
    int other = actors_pick(0);
    if (other < 0) report->done = 1;
    actors_expect_end(actor_self);
    if (other >= 0) {
        report->actors.leaving = getpid();
        actors_give((unsigned)other);
    }
    return STATUS_EQUAL;
}

struct comparison *running;

int run_sequence(const struct options *options, const struct sequence *sequence, struct report *report)
{
    static struct side served, reference;
    static struct helper helper;
    static struct comparison comparison;
    const struct calls *calls[2] = {&libc_calls, options->libc_reference ? &libc_calls : &raw_calls};
    const char *defect = getenv("EXERCISER_SABOTAGE");
    if (defect != NULL && (calls[0] = sabotage(calls[0], defect)) == NULL) {
        fprintf(stderr, "exerciser: no sabotage named %s; there are:\n", defect);
        sabotage_list(stderr);
        return STATUS_USAGE;
    }
    comparison = (struct comparison){&served, &reference, &helper, report, options->times, false, options, sequence};
    running = &comparison;
    guards_install();
    if (options->resume >= 0) {
        if (resume_restore(options->resume, &comparison, calls, sequence->huge)) {
            served.alone = reference.alone = sides_alone(&served, &reference);
            return run_on(&comparison);
        }
        differs(&comparison, "what was handed over exec is lost, or the signal mask is not what was set");
        return STATUS_DIFFERS;
    }
    char outside[2][512] = {"", ""};
    if (options->outside != NULL) {
        snprintf(outside[0], sizeof outside[0], "%s/served", options->outside);
        snprintf(outside[1], sizeof outside[1], "%s/reference", options->outside);
    }
    if (!side_prepare(&served, calls[0], "served", options->served, outside[0], sequence->huge, true) ||
        !side_prepare(&reference, calls[1], "reference", options->reference, outside[1], sequence->huge, true)) {
        fprintf(stderr, "exerciser: cannot prepare %s and %s: %s\n", options->served, options->reference,
                strerror(errno));
        return STATUS_USAGE;
    }
    served.alone = reference.alone = sides_alone(&served, &reference);
    served.own_mount = reference.own_mount = options->own_mount;
    if (!helper_start(&helper, &served, &reference, sequence->huge)) {
        fprintf(stderr, "exerciser: cannot start the second process\n");
        return STATUS_USAGE;
    }
    if ((sequence->modes & MODE_FORK) != 0 && !(letters_make(&served) && letters_make(&reference))) return STATUS_USAGE;
    actors_enter(0);
    return run_on(&comparison);
}
