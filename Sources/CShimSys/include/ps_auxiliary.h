// What the kernel tells a program at its start (getauxval(3)), read where it lies: behind the environment, which lies
// behind the arguments. Not by getauxval, which a program may define.
#ifndef PS_AUXILIARY_H
#define PS_AUXILIARY_H

#include <elf.h>

// The value of that type, or 0. `arguments`: as the kernel laid them down.
static inline unsigned long ps_auxiliary(char *_Nullable const *_Nonnull arguments, unsigned long type)
{
    while (*arguments)
        arguments++;
    arguments++;
    while (*arguments) // the environment as it was at the start
        arguments++;
    const Elf64_auxv_t *entry = (const Elf64_auxv_t *)(const void *)(arguments + 1);
    for (; entry->a_type != AT_NULL; entry++)
        if (entry->a_type == type)
            return entry->a_un.a_val;
    return 0;
}

#endif
