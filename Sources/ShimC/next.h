// The next definition of each name after ours, as dlsym(RTLD_NEXT) would find it: libc's, or another preload's.
#ifndef PS_NEXT_H
#define PS_NEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "ps_elf.h"

enum ps_next_slot {
#define FAMILY(family, about)
#define ENTRY(name, treatment, owes) PS_NEXT_##name,
#define ENTRY_SINCE(major, minor, name, treatment, owes) PS_NEXT_##name,
#define SYSTEM_CALL(name, treatment, how, owes)
#include "entry-points.def"
#undef FAMILY
#undef ENTRY
#undef ENTRY_SINCE
#undef SYSTEM_CALL
    PS_NEXT_COUNT
};

extern void *ps_next_slots[PS_NEXT_COUNT] __attribute__((visibility("hidden")));

// Looks the name up and fills its slot. Async-signal-safe, takes no lock, allocates nothing. Never NULL: for a name
// that nothing defines, a function that returns -1 with errno ENOSYS.
void *ps_next_find(enum ps_next_slot slot) __attribute__((visibility("hidden")));
// The same for functions that return a pointer: for a name that nothing defines, one that returns NULL.
void *ps_next_find_pointer(enum ps_next_slot slot);

const char *ps_next_name(enum ps_next_slot slot);
// Whether anything but us defines the name.
bool ps_next_is_there(const char *name);
// From the constructor: the objects that are there now are there for good.
void ps_next_started(void);
// The last of them in the loader's list; NULL: not started yet.
const struct link_map *ps_next_last_at_start(void);

// Whether libc itself is next for the name, and not another preload. Looks it up each time: ask once.
bool ps_next_is_libc(enum ps_next_slot slot) __attribute__((visibility("hidden")));

PS_ELF_EARLY_BEGIN
static inline void *ps_next_load(enum ps_next_slot slot)
{
    // Relaxed: every thread that stores here stores the same value, and what it points to is mapped for good.
    return __atomic_load_n(&ps_next_slots[slot], __ATOMIC_RELAXED);
}
static inline void *ps_next(enum ps_next_slot slot)
{
    void *next = ps_next_load(slot);
    return __builtin_expect(next != NULL, 1) ? next : ps_next_find(slot);
}
static inline void *ps_next_pointer(enum ps_next_slot slot)
{
    void *next = ps_next_load(slot);
    return __builtin_expect(next != NULL, 1) ? next : ps_next_find_pointer(slot);
}
PS_ELF_EARLY_END

// NEXT(read)(fd, buffer, count). One load and a predictable branch.
#define NEXT(name) ((__typeof__(&name))ps_next(PS_NEXT_##name))
// For functions that return a pointer.
#define NEXT_POINTER(name) ((__typeof__(&name))ps_next_pointer(PS_NEXT_##name))

// For naked functions: clang would count their entry (scripts/test --coverage), in the registers of the caller.
#define PS_UNCOUNTED no_profile_instrument_function
// Assembly in a naked function, before its jump: a call that leaves every argument, and the stack, as it found them.
#define PS_CALL_ASIDE(call)                                                                                            \
    "pushq %%rdi\n\t.cfi_adjust_cfa_offset 8\n\t"                                                                     \
    "pushq %%rsi\n\t.cfi_adjust_cfa_offset 8\n\t"                                                                     \
    "pushq %%rdx\n\t.cfi_adjust_cfa_offset 8\n\t"                                                                     \
    "pushq %%rcx\n\t.cfi_adjust_cfa_offset 8\n\t"                                                                     \
    "pushq %%r8\n\t.cfi_adjust_cfa_offset 8\n\t"                                                                      \
    "pushq %%r9\n\t.cfi_adjust_cfa_offset 8\n\t"                                                                      \
    "subq $8, %%rsp\n\t.cfi_adjust_cfa_offset 8\n\t"                                                                  \
    call                                                                                                               \
    "addq $8, %%rsp\n\t.cfi_adjust_cfa_offset -8\n\t"                                                                 \
    "popq %%r9\n\t.cfi_adjust_cfa_offset -8\n\t"                                                                      \
    "popq %%r8\n\t.cfi_adjust_cfa_offset -8\n\t"                                                                      \
    "popq %%rcx\n\t.cfi_adjust_cfa_offset -8\n\t"                                                                     \
    "popq %%rdx\n\t.cfi_adjust_cfa_offset -8\n\t"                                                                     \
    "popq %%rsi\n\t.cfi_adjust_cfa_offset -8\n\t"                                                                     \
    "popq %%rdi\n\t.cfi_adjust_cfa_offset -8\n\t"

// Assembly that ends a naked function: a jump to the next symbol, with every argument where the caller put it. Operand
// 0 is the slot's offset (slot * 8), operand 1 the slot. Only the first use pushes anything.
#define PS_JUMP_TO_NEXT                                                                                                \
    "movq ps_next_slots+%c0(%%rip), %%rax\n\t"                                                                         \
    "testq %%rax, %%rax\n\t"                                                                                           \
    "je 7f\n\t"                                                                                                        \
    "jmpq *%%rax\n"                                                                                                    \
    "7:\t" PS_CALL_ASIDE("movl $%c1, %%edi\n\tcall ps_next_find\n\t")                                                 \
    "jmpq *%%rax"
#define PS_NEXT_OPERANDS(slot) "i"((slot) * sizeof(void *)), "i"(slot)

#endif
