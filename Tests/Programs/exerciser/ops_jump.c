// Jumps that put back a signal mask with SIGBUS and SIGSEGV in it: out of a function, out of a handler, to a context,
// to a stack of its own and back. A call that is served after one of them and meets a file that was cut gives what the
// kernel gives, and the mask is what the jump put back.
//
// sigsetjmp and getcontext may store a mask without the two (docs/limitations.md); whoever jumps finds in the buffer
// what will be put back, and what is in the buffer is what must be in force. A buffer that was filled before the first
// window has the two in it: `mark` is such a one, and the forged ones are like it.
#include "exerciser.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK = 64 << 10 };

static sigset_t set_of(int signals)
{
    sigset_t set;
    sigemptyset(&set);
    // All others without the two: so is a mask that sigsetjmp has stored where they are never blocked.
    if ((signals & 4) != 0) sigfillset(&set), sigdelset(&set, SIGBUS), sigdelset(&set, SIGSEGV);
    if ((signals & 1) != 0) sigaddset(&set, SIGBUS);
    if ((signals & 2) != 0) sigaddset(&set, SIGSEGV);
    return set;
}

// 1 SIGBUS, 2 SIGSEGV, 4 all others, as `context.blocked` has it.
static int signals_of(const sigset_t *set)
{
    return (sigismember(set, SIGBUS) == 1 ? 1 : 0) | (sigismember(set, SIGSEGV) == 1 ? 2 : 0) |
           (sigismember(set, SIGUSR1) == 1 ? 4 : 0);
}

static int signals_now(void)
{
    sigset_t set;
    return sigprocmask(SIG_BLOCK, NULL, &set) != 0 ? -1 : signals_of(&set);
}

static const char *arrived(int expected)
{
    context.blocked[context.worker] = expected;
    context.jumped = true;
    return signals_now() == expected ? NULL : "after a jump the signal mask is not the one that was saved";
}

// ---- ways to come to have a mask

static sigjmp_buf out_of_handler;

static void leave_handler(int number)
{
    (void)number;
    siglongjmp(out_of_handler, 1);
}

static void set_mask(int signals)
{
    sigset_t set = set_of(signals);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

// The mask is saved while it is in force, and put back from another one.
static const char *jump_honestly(int signals)
{
    sigjmp_buf here;
    volatile int stored = 0, before = signals_now();
    set_mask(signals);
    if (sigsetjmp(here, 1) == 0) {
        stored = signals_of(&here[0].__saved_mask);
        set_mask(before);
        siglongjmp(here, 1);
    }
    return arrived(stored);
}

// The buffer is as one would be that was filled when the kernel's mask had them.
static const char *jump_forged(int signals)
{
    sigjmp_buf here;
    if (sigsetjmp(here, 1) == 0) {
        here[0].__saved_mask = set_of(signals);
        siglongjmp(here, 1);
    }
    return arrived(signals);
}

static const char *jump_out_of_handler(int signals)
{
    struct sigaction action = {.sa_handler = leave_handler};
    if ((signals_now() & 4) != 0) return jump_forged(signals);
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    if (sigsetjmp(out_of_handler, 1) == 0) {
        out_of_handler[0].__saved_mask = set_of(signals);
        raise(SIGUSR1);
    }
    return arrived(signals);
}

static const char *set_context(int signals)
{
    ucontext_t here;
    volatile bool again = false;
    getcontext(&here);
    if (!again) {
        again = true;
        here.uc_sigmask = set_of(signals);
        setcontext(&here);
    }
    return arrived(signals);
}

static ucontext_t inner, outer;
static volatile int seen_inside;

static void inside(void)
{
    seen_inside = signals_now();
    setcontext(&outer);
}

// A coroutine that has them blocked, and back; then on to where they stay blocked.
static const char *swap_context(int signals)
{
    static _Alignas(64) unsigned char stack[STACK];
    int before = signals_now();
    getcontext(&inner);
    inner.uc_stack = (stack_t){.ss_sp = stack, .ss_size = sizeof stack};
    inner.uc_link = NULL;
    inner.uc_sigmask = set_of(signals);
    makecontext(&inner, inside, 0);
    swapcontext(&outer, &inner);
    if (seen_inside != signals) return "in a context that was swapped to the signal mask is not the one it has";
    if (signals_now() != before) return "after swapcontext and back the signal mask is not what it was";
    return set_context(signals);
}

static const char *jump(int signals, unsigned how)
{
    switch (how % 5) {
    case 0: return jump_forged(signals);
    case 1: return jump_honestly(signals);
    case 2: return jump_out_of_handler(signals);
    case 3: return set_context(signals);
    default: return swap_context(signals);
    }
}

static void run_jump(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side;
    result->wrong = jump(place->value, op->variant);
}

// ---- a read of a file that is cut while its signals are blocked by a jump

static void run_jump_cut(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    side_path(side, op->name, op->variant, path, sizeof path);
    if (in_helper) {
        result_set(result, truncate(path, place->offset));
        return;
    }
    struct result ignored;
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    int fd = (int)side->calls->open(op->variant, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0 || place->offset < 0) {
        result_set(result, -1);
        if (fd >= 0) side->calls->close(op->variant, fd);
        return;
    }
    running->unseen = true;
    int before = signals_now();
    // The window, and what the shim knows of the size.
    int64_t from = place->offset - (int64_t)(op->pattern % (2 * PAGE));
    if (from < 0) from = 0;
    for (int call = 0; call < 3; call++) side->calls->pread(op->variant, fd, buffer, place->length, from);
    const char *wrong = jump(place->value, op->variant);
    // A served call in between: what it does must not depend on the jump either.
    if (op->pattern % 3 == 0) side->calls->pread(op->variant, fd, buffer, place->length, 0);
    bool cut = helper_run(running->helper, side == running->served ? 0 : 1, op, place, &ignored);
    result_set(result, side->calls->pread(op->variant, fd, buffer, place->length, from));
    result->extra = signals_now();
    if (wrong == NULL && result->extra != place->value && op->variant % 5 != 1)
        wrong = "after a read the signal mask is not the one that a jump put back";
    if (!cut) wrong = "the second process is gone";
    // The mask goes back as it came.
    if (wrong == NULL) wrong = jump(before, op->variant % 5 == 1 ? 0 : op->variant);
    side->calls->close(op->variant, fd);
    result->wrong = wrong;
}

// ---- back to the loop, from wherever in the sequence

sigjmp_buf home_buffer;

static struct {
    enum { NO_HOME, WANTED, MADE } state;
    enum { STAYING, LEAVING, ON_THE_WAY } going;
    int wanted, before, stored;
    unsigned how;
} home;

static void run_mark(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)op, (void)result;
    home.state = WANTED;
    home.wanted = place->value;
}

static void run_home(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)place;
    if (home.state != MADE) result->skipped = true;
    else home.going = LEAVING;
    home.how = op->variant;
}

bool home_wanted(void)
{
    if (home.state != WANTED) return false;
    home.before = signals_now();
    set_mask(home.wanted);
    return true;
}

void home_made(void)
{
    home.state = MADE;
    home.stored = signals_of(&home_buffer[0].__saved_mask);
    set_mask(home.before);
}

static void leave_handler_for_home(int number)
{
    (void)number;
    siglongjmp(home_buffer, 1);
}

const char *home_go(void)
{
    if (home.going == LEAVING) {
        struct sigaction action = {.sa_handler = leave_handler_for_home};
        home.going = ON_THE_WAY;
        sigemptyset(&action.sa_mask);
        if (home.how % 2 != 0 && (signals_now() & 4) == 0) {
            sigaction(SIGUSR1, &action, NULL);
            raise(SIGUSR1);
        }
        siglongjmp(home_buffer, 1);
    }
    if (home.going == STAYING) return NULL;
    home.going = STAYING;
    // The loop's own thread, whichever one does the steps.
    context.blocked[0] = home.stored;
    context.jumped = true;
    return signals_now() == home.stored ? NULL : "after a jump to the loop the signal mask is another one";
}

void home_lost(void)
{
    home.state = NO_HOME;
    home.going = STAYING;
}

static const struct choice masks[] = {
    {"none", 0, 1}, {"bus", 1, 2}, {"segv", 2, 2}, {"both", 3, 3}, {"all", 7, 2}, {NULL, 0, 0},
};

static const struct choice saved_masks[] = {{"none", 0, 1}, {"bus", 1, 2}, {"both", 3, 4}, {"all", 7, 3}, {NULL, 0, 0}};

static const struct kind kinds[] = {
    {"mark", 2, CHOICE, ONCE | CONTROL, saved_masks, run_mark},
    {"jump-home", 4, VARIANT, ONCE | CONTROL, NULL, run_home},
    {"jump", 8, VARIANT | CHOICE, ONCE | RESTRICTS, masks, run_jump},
    {"jump-cut", 8, NAME | OFFSET | LENGTH | BUFFER | VARIANT | CHOICE, BY_NAME | UNSEEN | UNTIMED, masks,
     run_jump_cut},
};

const struct group jump_group = {"jumps", kinds, sizeof kinds / sizeof *kinds};
