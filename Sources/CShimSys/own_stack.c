#include "ps_own_stack.h"

#include <stdbool.h>

void ps_switch_stack(void (*function)(void *), void *argument, void *end) __attribute__((visibility("hidden")));

// Whether the program runs under valgrind, whose tools follow the stack pointer: memcheck takes a change by some MiB
// for a switch of stacks, and says so; drd gives up. There the caller's stack has to do. A run of instructions that do
// nothing elsewhere asks (valgrind.h, RUNNING_ON_VALGRIND).
static bool is_under_valgrind(void)
{
    volatile uintptr_t request[6] = {0x1001};
    uintptr_t result = 0;
    __asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\txchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(&request[0])
                     : "cc", "memory");
    return result != 0;
}

void ps_on_own_stack(void *stack, size_t size, void (*function)(void *), void *argument)
{
    if (is_under_valgrind())
        return function(argument);
    ps_switch_stack(function, argument, (char *)stack + size);
}
