#include "ps_own_stack.h"

#include <stdbool.h>

void ps_switch_stack(void (*function)(void *), void *argument, void *end) __attribute__((visibility("hidden")));

// valgrind takes a change of the stack pointer by some MiB for a switch of stacks, and says so, unless it knows the stack.
// What tells it is a run of instructions that do nothing elsewhere (its "client request", valgrind.h).
static void tell_valgrind(void *stack, size_t size)
{
    volatile uintptr_t request[6] = {0x1501 /* VG_USERREQ__STACK_REGISTER */, (uintptr_t)stack, (uintptr_t)stack + size};
    uintptr_t result = 0;
    __asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\txchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(&request[0])
                     : "cc", "memory");
}

void ps_on_own_stack(void *stack, size_t size, void (*function)(void *), void *argument)
{
    static void *told; // under the engine lock; a forked child has an arena elsewhere at most
    if (told != stack) {
        told = stack;
        tell_valgrind(stack, size);
    }
    ps_switch_stack(function, argument, (char *)stack + size);
}
