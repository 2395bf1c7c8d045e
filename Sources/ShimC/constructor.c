// The start. Calls that come earlier (preinit arrays, constructors of other preloads, malloc replacements) are passed
// on: the engine answers PS_PASS_ON until it has been started, and next.c needs no preparation.
#include "face.h"

#include <unistd.h>

#include "pmem.h"
#include "ps_signals.h"

// libc gives constructors what it gives main; the arguments lie at the end of the stack.
__attribute__((constructor)) static void start(int count, char **arguments)
{
    (void)count;
    if (arguments) {
        ps_signals_set_stack_end(arguments);
        ps_signals_read_auxiliary(arguments);
    }
    __atomic_store_n(&ps_signals_is_window, ps_engine_is_window, __ATOMIC_RELEASE);
    ps_engine_start(environ);
    if (ps_root())
        ps_pmem_load();
}

// The end by exit() or by return from main: _exit, exec and a signal leave up to 63 appends per descriptor uncounted.
__attribute__((destructor)) static void end(void) { ps_engine_settle(); }
