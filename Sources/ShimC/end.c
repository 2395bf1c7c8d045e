// The end of a process by _exit. What it has counted and not shown yet goes into its record; by exit() and return from
// main the destructor does the same (constructor.c). In a vfork child nothing is done: its parent's figures are not its
// own.
#include "face.h"

#include <stdlib.h>
#include <unistd.h>

PS_ENTRY void _exit(int status)
{
    ps_engine_settle();
    NEXT(_exit)(status);
    __builtin_unreachable();
}
PS_ALIAS(_Exit, _exit);
