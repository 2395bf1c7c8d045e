// Where in a process an operation runs: in the loop's own thread, in one of its other threads (while the loop waits, so
// that results stay the same), or in a signal handler. And what the process has been denied so far.
#include "exerciser.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define STACK_SIZE (256 << 10)
#define OTHER_STACK_SIZE (64 << 10)

struct context context;

static struct worker {
    bool made;
    pthread_t thread;
    sem_t start, end;
    void (*body)(void *);
    void *argument;
} workers[WORKERS];

static __thread unsigned self; // index in context.blocked of the thread that runs now

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0) continue;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    self = 1 + (unsigned)(worker - workers);
    for (;;) {
        wait_for(&worker->start);
        worker->body(worker->argument);
        sem_post(&worker->end);
    }
    return NULL;
}

static bool start(struct worker *worker)
{
    pthread_attr_t attributes;
    if (worker->made) return true;
    sem_init(&worker->start, 0, 0);
    sem_init(&worker->end, 0, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    worker->made = pthread_create(&worker->thread, &attributes, work, worker) == 0;
    pthread_attr_destroy(&attributes);
    // A new thread has the mask of the one that made it.
    if (worker->made) context.blocked[1 + (worker - workers)] = context.blocked[self];
    return worker->made;
}

bool context_workers_start(void)
{
    bool all = true;
    for (size_t index = 0; index < WORKERS; index++) all &= start(&workers[index]);
    return all;
}

bool context_has_workers(void)
{
    for (size_t index = 0; index < WORKERS; index++)
        if (workers[index].made) return true;
    return false;
}

void context_forked(void)
{
    memset(workers, 0, sizeof workers);
    context.blocked[0] = context.blocked[context.worker];
    if (context.worker != 0) home_lost();
    context.worker = self = 0;
    context.memory_locked = false; // locks are not inherited
}

// ---- in a handler

static struct {
    void (*body)(void *);
    void *argument;
} interrupted;

static void on_signal(int number)
{
    (void)number;
    context.in_handler = true;
    interrupted.body(interrupted.argument);
    context.in_handler = false;
}

static void run_in_handler(enum handler_kind kind, void (*body)(void *), void *argument)
{
    static _Alignas(64) unsigned char memory[WORKERS + 1][OTHER_STACK_SIZE];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = kind == HANDLER_OTHER_STACK ? SA_ONSTACK : 0};
    stack_t stack = {.ss_sp = memory[context.worker], .ss_size = OTHER_STACK_SIZE}, before;
    sigemptyset(&action.sa_mask);
    if (kind == HANDLER_ALL_BLOCKED) sigfillset(&action.sa_mask);
    if (kind == HANDLER_OTHER_STACK) sigaltstack(&stack, &before);
    interrupted.body = body;
    interrupted.argument = argument;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    if (kind == HANDLER_OTHER_STACK) sigaltstack(&before, NULL);
}

struct handled {
    enum handler_kind kind;
    void (*body)(void *);
    void *argument;
};

static void handle(void *argument)
{
    struct handled *handled = argument;
    run_in_handler(handled->kind, handled->body, handled->argument);
}

// Only what a program may do in a handler, and what cannot need SIGBUS or SIGSEGV itself.
static bool fits_handler(const struct op *op)
{
    const struct kind *kind = kind_of(op);
    if ((context.blocked[context.worker] & 4) != 0) return false;
    return (kind->fields & (SLOT | OFFSET | LENGTH)) != 0 && (kind->fields & (STREAM | MAP)) == 0 &&
           (kind->traits & (CONTROL | TOUCHES | BY_STREAM | ONCE | OUTSIDE | BESIDE)) == 0 &&
           (kind_mode(op->kind) & (MODE_THREADS | MODE_FORK | MODE_KILL | MODE_JUMPS | MODE_HUGE)) == 0;
}

void context_run(const struct op *op, void (*body)(void *), void *argument)
{
    struct handled handled = {context.handler, body, argument};
    struct worker *worker = context.worker == 0 ? NULL : &workers[context.worker - 1];
    unsigned meant = context.worker;
    // No memory for it: then in the loop's own thread. Before anything is asked about it: its mask is its maker's.
    if (worker != NULL && !start(worker)) worker = NULL;
    if (worker == NULL) context.worker = 0;
    if (context.handler != HANDLER_NONE && fits_handler(op)) {
        context.handler = HANDLER_NONE;
        body = handle;
        argument = &handled;
    }
    if (worker == NULL) {
        body(argument);
        if (meant != 0) context.worker = meant;
        return;
    }
    worker->body = body;
    worker->argument = argument;
    sem_post(&worker->start);
    wait_for(&worker->end);
}

// ---- what is denied

bool context_file_limited(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != limit.rlim_max;
}

bool context_forbids(const struct op *op)
{
    const struct kind *kind = kind_of(op);
    bool maps = strcmp(kind->name, "mmap") == 0;
    // A load that faults while its signal is blocked ends the process, and rightly.
    if ((kind->traits & IN_MAPPING) != 0 && (kind->traits & TOUCHES) != 0 && (context.blocked[context.worker] & 3) != 0)
        return true;
    // What they do is checked against calls that succeed.
    bool writes = strcmp(kind->name, "race") == 0 || strcmp(kind->name, "killed") == 0 ||
                  strcmp(kind->name, "shaken") == 0;
    if (writes && (context_file_limited() || context.space_limited)) return true;
    // Holes that the shim cannot see take space when it reads them (docs/limitations.md): less is left on that side.
    bool allocates = kind_is(kind, "fallocate") || strcmp(kind->name, "out-allocate") == 0 ||
                     strcmp(kind->name, "posix_fallocate") == 0;
    if (context.space_limited && ((kind->traits & UNSEEN) != 0 || allocates)) return true;
    // A program started under a filter that kills is killed by the shim's own tables (docs/limitations.md).
    bool starts = strcmp(kind->name, "exec") == 0 || strcmp(kind->name, "spawn") == 0;
    if (starts && context.maps_kill) return true;
    // Whether there is room depends on what the other side, in the same process, has just taken.
    if (maps && (context.memory_limited || context.maps_kill)) return true;
    // libc refuses an unaligned offset by itself, before the filter is asked.
    if (maps && context.maps_refused && op->pattern % 8 == 0) return true;
    // Flags that another process sets on a shared description are not seen (docs/limitations.md).
    bool sets_append = kind_is(kind, "setfl") ||
                       (strcmp(kind->name, "fdopen") == 0 && kind->choices[op->choice].text[0] == 'a');
    if (sets_append && actors_others()) return true;
    return false;
}

bool context_block(int signals, unsigned how)
{
    sigset_t set, was;
    sigemptyset(&set);
    if ((signals & 1) != 0) sigaddset(&set, SIGBUS);
    if ((signals & 2) != 0) sigaddset(&set, SIGSEGV);
    if ((signals & 4) != 0) sigfillset(&set);
    switch (how % 3) {
    case 0: sigprocmask(SIG_SETMASK, &set, NULL); break;
    case 1: pthread_sigmask(SIG_SETMASK, &set, NULL); break;
    default: // in two steps
        sigprocmask(SIG_BLOCK, &set, NULL);
        sigfillset(&was);
        for (int number = 1; number < 65; number++)
            if (sigismember(&set, number) == 1) sigdelset(&was, number);
        sigprocmask(SIG_UNBLOCK, &was, NULL);
        break;
    }
    context.blocked[context.worker] = (signals & 4) != 0 ? 7 : signals;
    context.jumped = false;
    // What was asked for is what it says.
    if (sigprocmask(SIG_BLOCK, NULL, &was) != 0) return false;
    return sigismember(&was, SIGBUS) == ((context.blocked[context.worker] & 1) != 0) &&
           sigismember(&was, SIGSEGV) == ((context.blocked[context.worker] & 2) != 0) &&
           sigismember(&was, SIGUSR1) == ((context.blocked[context.worker] & 4) != 0);
}
