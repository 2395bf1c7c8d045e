// The start. Calls that come earlier (preinit arrays, constructors of other preloads, malloc replacements) are passed
// on: the engine answers PS_PASS_ON until it has been started, and next.c needs no preparation.
#include "face.h"

#include <sys/auxv.h>

#include "pmem.h"
#include "ps_auxiliary.h"
#include "ps_own_files.h"
#include "ps_signals.h"

// A setuid or setgid program, or one with capabilities, to which the library comes by /etc/ld.so.preload: the
// environment is another user's, who must not make it write or serve anything. There we stand back altogether.
static bool is_secure(char **arguments)
{
    return arguments ? ps_auxiliary(arguments, AT_SECURE) != 0 : ps_sys_only_user() < 0;
}

// glibc gives constructors what it gives main; the arguments lie at the end of the stack. Other libcs give nothing, and
// there we stand back: all our entries go on to their functions.
__attribute__((constructor)) static void start(int count, char **arguments, char **environment)
{
    (void)count;
    if (!ps_libc_is_known() || is_secure(arguments))
        return;
    ps_libc_prepare();
    ps_next_started();
    if (arguments) {
        ps_signals_set_stack_end(arguments);
        ps_signals_set_frame_size(ps_auxiliary(arguments, AT_MINSIGSTKSZ));
    }
    __atomic_store_n(&ps_signals_is_window, ps_engine_is_window, __ATOMIC_RELEASE);
    // Not what it was at the exec: constructors before ours may have changed it.
    char **current = ps_libc_environment();
    ps_engine_start(current ? current : environment);
    if (ps_root())
        ps_pmem_load();
}

// The end by exit() or by return from main; by _exit: end.c. quick_exit, exec and a signal leave uncounted what has not
// been shown yet: up to 63 appends per descriptor, and all calls of a process that never mapped a window.
__attribute__((destructor)) static void end(void) { ps_engine_settle(); }
