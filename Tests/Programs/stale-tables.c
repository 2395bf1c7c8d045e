// Descriptor tables that are shared, or not shared, with somebody: a number changes its meaning where this process
// makes no call, or keeps it while another thread's changes.
#include <pthread.h>
#include <sys/prctl.h>

#include "process.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

static int one, two;

static void open_both(void)
{
    one = open_file("one", 1, O_RDWR);
    two = open_file("two", 2, O_RDWR);
}

// ---- taking turns ----------------------------------------------------------------------------------------------
// Shared with every child, by memory or by mapping.
static struct turns {
    volatile int turn;
    volatile long result[8];
    unsigned char bytes[16384];
} *turns;

static void make_turns(void)
{
    turns = mmap(NULL, sizeof *turns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (turns == MAP_FAILED)
        die("mmap");
}

static void take_turn(int turn)
{
    for (long i = 0; turns->turn != turn; i++) {
        raw(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        if (i > 20000000)
            raw(SYS_exit_group, 98, 0, 0, 0, 0, 0);
    }
}

static void pass_turn(void) { __atomic_add_fetch(&turns->turn, 1, __ATOMIC_SEQ_CST); }

static void say_turns(const char *who, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        say("  %s: %ld", who, turns->result[i]);
        say_origin(who, turns->bytes + 4096 * (i % 4), turns->result[i], 40960);
    }
}

// In a child: no stdio, no errno, whose memory may be its parent's.
static void look_quietly(int index, int fd)
{
    unsigned char *bytes = turns->bytes + 4096 * (index % 4);
    for (int i = 0; i < 3; i++)
        turns->result[index] = pread(fd, bytes, 4096, 40960);
}

// ---- children with their own stack, by every call ---------------------------------------------------------------
static char *stack_top;
static int (*body)(void *);

static int run_body(void *unused) { return body(unused); }

__attribute__((noreturn, used)) static void enter_body(void)
{
    raw(SYS_exit, run_body(NULL), 0, 0, 0, 0, 0);
    __builtin_unreachable();
}

// syscall() returns in the child on the new stack, so its return address must be there.
static long stack_with_return(void)
{
    void **top = (void **)((uintptr_t)stack_top & ~63ul) - 8;
    *top = (void *)enter_body;
    return (long)top;
}

static pid_t by_clone(int flags) { return clone(run_body, stack_top, flags | SIGCHLD, NULL); }
static pid_t by_syscall_clone(int flags)
{
    return (pid_t)syscall(SYS_clone, flags | SIGCHLD, flags & CLONE_VM ? stack_with_return() : 0, 0, 0, 0);
}
static pid_t by_syscall_clone3(int flags)
{
    struct clone_args arguments = {.flags = (unsigned)flags, .exit_signal = SIGCHLD};
    if (flags & CLONE_VM) {
        arguments.stack = (uintptr_t)stack_top - (512 << 10);
        arguments.stack_size = (size_t)(stack_with_return() - (long)arguments.stack);
    }
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

static const struct {
    const char *name;
    pid_t (*clone)(int flags);
} clones[] = {
    {"clone", by_clone}, {"syscall(SYS_clone)", by_syscall_clone}, {"syscall(SYS_clone3)", by_syscall_clone3}};

static pid_t cloned(size_t way, int flags, int (*what)(void *))
{
    static char *stack;
    if (stack == NULL)
        stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_top = stack + (1 << 20);
    body = what;
    fflush(stdout);
    pid_t child = clones[way].clone(flags);
    if (child == 0)
        enter_body();
    return child;
}

// ---- the same table, other memory -------------------------------------------------------------------------------
// The parent has the number served; the child closes it and opens another file in its place, and so on in turns.
static int changes_table(void *unused)
{
    (void)unused;
    take_turn(1);
    close(one);
    pass_turn();
    take_turn(3);
    turns->result[4] = open("two", O_RDWR) == one;
    pass_turn();
    take_turn(5);
    look_quietly(5, one); // the parent has put file one there again
    dup2(two, one);
    pass_turn();
    take_turn(7);
    return 0;
}

static int flags_too;

static void table_shared(size_t way)
{
    make_turns();
    open_both();
    pid_t child = cloned(way, CLONE_FILES | flags_too, changes_table);
    look("before", one);
    pass_turn();
    take_turn(2);
    look("closed by the child", one);
    pass_turn();
    take_turn(4);
    say("  the same number: %ld", turns->result[4]);
    look("file two by the child", one);
    step("file two by the child", one);
    dup2(two, one); // ours, for once
    close(one);
    say("  the same number: %d", open("one", O_RDWR) == one);
    look("file one by us", one);
    pass_turn();
    take_turn(6);
    say_turns("the child, file one", 5, 1);
    look("file two by the child's dup2", one);
    pass_turn();
    wait_for(child);
    look("after", one);
    truth("one");
    truth("two");
    close(one);
    close(two);
}

// Each way in a child of its own: that the shim gives way is for good.
#define BY_EVERY_CLONE(test)                                                                                           \
    for (size_t way = 0; way < sizeof clones / sizeof *clones; way++) {                                                \
        say("-- %s", clones[way].name);                                                                                \
        IN_CHILD(test(way));                                                                                           \
    }

static void table_shared_with_a_process(void) { BY_EVERY_CLONE(table_shared); }

static void table_and_memory_shared(void)
{
    flags_too = CLONE_VM;
    BY_EVERY_CLONE(table_shared);
}

// Both at once: the number of one is opened and closed by the child for ever, and never read wrong by the parent.
static int flips_for_ever(void *unused)
{
    (void)unused;
    for (int i = 0; turns->turn == 0; i++) {
        close(one);
        open(i % 2 ? "one" : "two", O_RDWR);
    }
    return 0;
}

static void table_changed_at_any_moment(void)
{
    make_turns();
    open_both();
    pid_t child = cloned(0, CLONE_FILES, flips_for_ever);
    long wrong = 0;
    for (int i = 0; i < 20000; i++) {
        long count = pread(one, buffer, 4096, 40960);
        for (long k = 1; k < count; k++)
            wrong += buffer[k] != pattern(1, 40960 + k) && buffer[k] != pattern(2, 40960 + k);
    }
    pass_turn();
    wait_for(child);
    dup2(two, one);
    say("%ld bytes of nothing", wrong);
    look("at the end", one);
}

// ---- the same memory, another table -------------------------------------------------------------------------------
static int has_its_own_table(void *unused)
{
    (void)unused;
    take_turn(1);
    dup2(two, one);
    pass_turn();
    take_turn(3);
    look_quietly(4, one);
    close(two);
    pass_turn();
    take_turn(5);
    look_quietly(5, one);
    look_quietly(6, two);
    pass_turn();
    take_turn(7);
    return 0;
}

static void memory_shared(size_t way)
{
    make_turns();
    open_both();
    pid_t child = cloned(way, CLONE_VM, has_its_own_table);
    look("one", one);
    pass_turn();
    take_turn(2);
    look("one, still", one);
    pass_turn();
    take_turn(4);
    look("two, still", two);
    pass_turn();
    take_turn(6);
    pass_turn();
    wait_for(child);
    say_turns("the child", 4, 3);
    look("one, at the end", one);
    step("one, at the end", one);
    truth("one");
    close(one);
    close(two);
}

static void memory_shared_with_a_process(void) { BY_EVERY_CLONE(memory_shared); }

// ---- threads that part from the table -----------------------------------------------------------------------------
static int how;

static void part(void)
{
    switch (how) {
    case 0: CALL(close_range((unsigned)one, (unsigned)one, CLOSE_RANGE_UNSHARE)); break;
    case 1: CALL(syscall(SYS_close_range, one, one, CLOSE_RANGE_UNSHARE)); break;
    case 2:
        CALL(close_range((unsigned)one, (unsigned)one, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC));
        close(one);
        break;
    case 3:
        CALL(syscall(SYS_close_range, one, one, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC));
        close(one);
        break;
    case 4:
        CALL(close_range(4000000, 4000001, CLOSE_RANGE_UNSHARE)); // closes nothing, parts all the same
        close(one);
        break;
    case 5:
        CALL(unshare(CLONE_FILES));
        close(one);
        break;
    case 6:
        CALL(syscall(SYS_unshare, CLONE_FILES));
        close(one);
        break;
    }
}

static void *parts(void *unused)
{
    (void)unused;
    take_turn(1);
    part();
    look("thread, closed", one);
    pass_turn();
    take_turn(3);
    look("thread, still closed", one);
    say("  the same number: %d", dup(two) == one);
    look("thread, two", one);
    pass_turn();
    take_turn(5);
    look("thread, still two", one);
    pass_turn();
    return NULL;
}

// Each way in a child: parting is for good.
static void threads_that_part(void)
{
    for (how = 0; how < 7; how++) {
        say("-- way %d", how);
        IN_CHILD({
            make_turns();
            open_both();
            pthread_t thread;
            pthread_create(&thread, NULL, parts, NULL);
            pass_turn();
            take_turn(2);
            look("main, one", one);
            pass_turn();
            take_turn(4);
            look("main, still one", one);
            pass_turn();
            take_turn(6);
            look("main, always one", one);
            pthread_join(thread, NULL);
            step("main", one);
        });
    }
}

// With one thread nothing parts, and nothing changes but what is closed.
static void one_thread_that_parts(void)
{
    for (how = 0; how < 7; how++) {
        say("-- way %d", how);
        IN_CHILD({
            open_both();
            part();
            look("closed", one);
            say("  the same number: %d", dup(two) == one);
            look("two", one);
            step("two", one);
        });
    }
}

// CLOSE_RANGE_CLOEXEC closes nothing until exec.
static void marked_for_exec(void)
{
    open_both();
    fcntl(one, F_SETFD, 0);
    fcntl(two, F_SETFD, 0);
    CALL(close_range((unsigned)one, (unsigned)one, CLOSE_RANGE_CLOEXEC));
    CALL(syscall(SYS_close_range, one, one, CLOSE_RANGE_CLOEXEC));
    look("still one", one);
    step("still one", one);
    for (int shim = 0; shim < 2; shim++) {
        say("-- exec %s", shim_names[shim]);
        IN_CHILD(EXEC_HELPER(shim, "probe", text_of(one), text_of(two)));
    }
    step("still one", one);
}

PROGRAM({"table-shared-with-a-process", table_shared_with_a_process},
        {"table-and-memory-shared", table_and_memory_shared},
        {"table-changed-at-any-moment", table_changed_at_any_moment},
        {"memory-shared-with-a-process", memory_shared_with_a_process}, {"threads-that-part", threads_that_part},
        {"one-thread-that-parts", one_thread_that_parts}, {"marked-for-exec", marked_for_exec})
