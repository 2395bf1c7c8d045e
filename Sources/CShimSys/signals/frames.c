// A thread that makes its first copy inside a signal handler has, on its stack, the mask that the kernel puts back when
// the handler returns. It must not have SIGBUS and SIGSEGV in it, or the next fault in a copy kills.
//
// The stack is read in pieces, into memory of our own: most of it is nobody's any more, and a checker such as memcheck
// would report each look at it.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_copy.h"
#include "ps_fetch.h"
#include "ps_placement.h"
#include "ps_scratch.h"
#include "ps_signals.h"
#include "ps_sys.h"

#include <sys/syscall.h>
#include <ucontext.h>

// As the kernel lays it down (struct rt_sigframe): where the handler returns to, the context, the details.
struct frame {
    uintptr_t restorer;
    unsigned long flags;
    struct ucontext_t *link;
    stack_t stack;
    mcontext_t machine;
    uint64_t mask;
    siginfo_t details;
};
_Static_assert(offsetof(struct frame, mask) == 8 + 40 + 256, "x86-64: sizeof(struct sigcontext) is 256");
_Static_assert(offsetof(ucontext_t, uc_sigmask) == offsetof(struct frame, mask) - 8, "libc's view of the same");

#define PAGE 4096ul
#define FARTHEST (16ul << 20) // a handler's frame is near; a stack may be huge
#define FARTHEST_VECTORS 4096ul
#define USER_CODE 0x33        // the code segment of 64-bit programs
// Where in a frame the code segment is: the word by which one is found.
#define CODE (offsetof(struct frame, machine.gregs) + REG_CSGSFS * sizeof(greg_t))

static PS_TOUCHED_AT_START uintptr_t main_stack_end;
void ps_signals_set_stack_end(const void *end) { main_stack_end = (uintptr_t)end; }

// The end of the stack that `from` lies in, as far as that is known: libc puts a thread's own data at the end of it.
static uintptr_t stack_end(uintptr_t from)
{
    stack_t other;
    if (ps_sys_call2(SYS_sigaltstack, 0, (long)&other) == 0 && !(other.ss_flags & SS_DISABLE)
        && from - (uintptr_t)other.ss_sp < other.ss_size)
        return (uintptr_t)other.ss_sp + other.ss_size;
    uintptr_t end = ps_sys_thread() == ps_sys_process() ? main_stack_end
                                                        : (uintptr_t)__builtin_thread_pointer();
    if (end < from) // a stack of the program's own making
        return from + (64ul << 10);
    return end - from > FARTHEST ? from + FARTHEST : end;
}

// One look at a stack.
struct look {
    uint64_t *piece;   // room for
    size_t room;       // so many bytes of the stack, of which are there
    uintptr_t begin;   // from here
    size_t count;      // so many
    uintptr_t other;   // a restorer that was found to be one, or 0
};

static bool fetch_word(uintptr_t from, uintptr_t *word) { return ps_fetch_stack(word, from, sizeof *word); }

// Whether some signal's handler returns to `address`, as the kernel knows.
static bool is_in_use(uintptr_t address)
{
    for (int number = 1; number <= 64; number++) {
        struct ps_kernel_action action;
        if (ps_sys_call4(SYS_rt_sigaction, number, 0, (long)&action, sizeof(uint64_t)) == 0 && action.handler >= 2
            && action.restorer == address)
            return true;
    }
    return false;
}

// Where handlers return to there is nothing but the system call that ends them, as unwinders rely on. What does more is
// asked for; that is rare.
static bool is_restorer(struct look *look, uintptr_t address)
{
    static const unsigned char by_long[9] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05}; // movq $15, %rax; syscall
    static const unsigned char by_int[7] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};              // movl $15, %eax; syscall
    unsigned char code[9];
    if (address < PAGE || !ps_fetch_stack(code, address, sizeof code))
        return false;
    bool is_long = true, is_int = true;
    for (size_t i = 0; i < sizeof by_long; i++)
        is_long = is_long && code[i] == by_long[i];
    for (size_t i = 0; i < sizeof by_int; i++)
        is_int = is_int && code[i] == by_int[i];
    if (is_long || is_int || address == look->other)
        return true;
    if (!is_in_use(address))
        return false;
    look->other = address;
    return true;
}

static bool is_frame(struct look *look, uintptr_t frame)
{
    uintptr_t vectors, restorer;
    // The details are filled in with SA_SIGINFO only; the saved vector registers always lie behind.
    return fetch_word(frame + offsetof(struct frame, machine.fpregs), &vectors) && vectors % 64 == 0
        && vectors - frame < FARTHEST_VECTORS && fetch_word(frame, &restorer) && is_restorer(look, restorer);
}

// The word at `at`. False: it cannot be read.
static bool word_at(struct look *look, uintptr_t at, uintptr_t end, uint64_t *word)
{
    if (at - look->begin >= look->count) {
        size_t count = PAGE - (at & (PAGE - 1)); // what lies in one page is there or not
        count = count < look->room ? count : look->room;
        count = count < end - at ? count : end - at;
        look->begin = at;
        look->count = ps_fetch_stack(look->piece, at, count) ? count : 0;
        if (look->count == 0)
            return false;
    }
    *word = look->piece[(at - look->begin) / sizeof *word];
    return true;
}

static bool clear_frames(struct look *look, uintptr_t from, uint64_t *after)
{
    bool found = false;
    uintptr_t at = (from + 7) & ~7ul, end = stack_end(at) & ~7ul;
    while (at + sizeof(struct frame) <= end) {
        uint64_t code;
        if (!word_at(look, at + CODE, end, &code))
            return found;
        if ((code & 0xffff) != USER_CODE || !is_frame(look, at)) {
            at += 8;
            continue;
        }
        uint64_t mask, without;
        uintptr_t interrupted;
        if (!fetch_word(at + offsetof(struct frame, mask), &mask)
            || !fetch_word(at + offsetof(struct frame, machine.gregs) + REG_RSP * sizeof(greg_t), &interrupted))
            return found;
        // Outermost last: when that handler has returned, the thread has this mask.
        *after = mask & PS_SIGNALS_OURS;
        found = true;
        without = mask & ~PS_SIGNALS_OURS;
        if (without != mask)
            ps_copy((char *)at + offsetof(struct frame, mask), &without, sizeof without);
        if (interrupted <= at || interrupted > end) { // it interrupted something on another stack
            at = (interrupted + 7) & ~7ul;
            end = stack_end(at) & ~7ul;
            if (end < at)
                return found;
        } else {
            at += sizeof(struct frame) & ~7ul;
        }
    }
    return found;
}

static __attribute__((noinline)) bool clear_with_little(uintptr_t from, uint64_t *after)
{
    uint64_t piece[32];
    struct look look = {.piece = piece, .room = sizeof piece};
    return clear_frames(&look, from, after);
}

bool ps_signals_clear_frames(uintptr_t from, uint64_t *after)
{
    struct look look = {.piece = ps_scratch_take(), .room = PS_SCRATCH_SIZE};
    if (look.piece == NULL)
        return clear_with_little(from, after);
    bool found = clear_frames(&look, from, after);
    ps_scratch_give(look.piece);
    return found;
}
